//! Combines the facts of a look: the owner of the lifeline, the start in question, and the processes to ask about.
//!
//! A look reads the record, then the lifeline and its mark, then asks about processes, each at another instant. This
//! module decides which conclusions the three permit; the caller gathers the facts.
//!
//! # Invariants
//! 1. A mark is valid for its own start only: a mark of another generation, or with another nonce, is ignored.
//! 2. A held lifeline without a valid mark makes the look torn, whatever was recorded.
//! 3. A lifeline found by a search does not belong to the session if its start is earlier than the recorded start.
//! 4. A mark replaces a lost record, and never overrides a record.
//!
//! Checked by `gates/tests/assembly.rs`, and inside every transaction by `gates/tests/transactions.rs`.

use super::{Coherence, EndpointView, RecordIs, View};
use crate::process::id::{Generation, Nonce};
use crate::process::identity::{ProcessIdentity, ProcessLiveness};
use crate::session::evidence::{
    EndpointHolder, Evidence, LastWorker, Lifeline, LifelineHistory, Listener, last_worker, standing_of_peer,
};
use crate::session::record::{RecordState, SessionRecord};

/// The content of a record, as far as a decision depends on it. `I` identifies a process, `N` a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recorded<I, N> {
    /// The state of the record.
    pub is: RecordIs,
    /// The start of the record.
    pub generation: Option<Generation>,
    /// The nonce of the start's worker.
    pub nonce: Option<N>,
    /// The progress of the start.
    pub state: Option<RecordState>,
    /// Whether the worker was ever ready.
    pub start_observed: bool,
    /// Whether the lifeline was held at that time, if recorded.
    pub history: Option<LifelineHistory>,
    /// The process that was started.
    pub worker: Option<I>,
    /// The process that answered.
    pub peer: Option<I>,
}

impl<I, N> Recorded<I, N> {
    /// There is no record.
    pub const ABSENT: Self = Self {
        is: RecordIs::Absent,
        generation: None,
        nonce: None,
        state: None,
        start_observed: false,
        history: None,
        worker: None,
        peer: None,
    };
}

impl Recorded<ProcessIdentity, Nonce> {
    /// The content of a readable record.
    pub fn of(record: &SessionRecord) -> Self {
        Self {
            is: if record.worker.is_some() { RecordIs::NamesWorker } else { RecordIs::NamesNobody },
            generation: Some(record.generation),
            nonce: Some(record.nonce.clone()),
            state: Some(record.state),
            start_observed: record.start_observed(),
            history: record.lifeline_history(),
            worker: record.worker.clone(),
            peer: record.peer.clone(),
        }
    }
}

/// The content of a lifeline's mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Marked<I, N> {
    /// The start of the mark.
    pub generation: Generation,
    /// The nonce of the start's worker.
    pub nonce: Option<N>,
    /// The process that took the lifeline.
    pub worker: I,
}

/// The way in which a lifeline was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FoundBy {
    /// By its name in the session's directory.
    Name,
    /// In a process that has the lifeline open; the name is lost.
    Search,
}

/// Record, lifeline and mark of a look, before any question about processes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Assembly<I, N> {
    recorded: Recorded<I, N>,
    lifeline: Lifeline,
    /// Whether the mark belongs to the start in question.
    is_marked: bool,
    generation: Generation,
    /// The started process, from the record or else from the mark.
    pub leader: Option<I>,
    /// The process that answered.
    pub peer: Option<I>,
    /// The process that took the lifeline.
    pub taker: Option<I>,
}

impl<I: Clone + PartialEq, N: PartialEq> Assembly<I, N> {
    /// Combines the facts read.
    pub fn new(
        recorded: Recorded<I, N>,
        (lifeline, found_by): (Lifeline, FoundBy),
        mark: Option<Marked<I, N>>,
    ) -> Self {
        // A leftover process of an earlier start says nothing about the recorded start.
        let older = |mark: &Marked<I, N>| recorded.generation.is_some_and(|it| mark.generation < it);
        let is_leftover = found_by == FoundBy::Search && mark.as_ref().is_some_and(older);
        let lifeline = if is_leftover { Lifeline::Missing } else { lifeline };
        let is_of_it = |mark: &Marked<I, N>| {
            recorded.generation.is_none_or(|recorded| recorded == mark.generation)
                && (recorded.nonce.is_none() || mark.nonce.is_none() || recorded.nonce == mark.nonce)
        };
        let mark = mark.filter(is_of_it);
        let marked = mark.as_ref().map(|mark| mark.generation);
        let taker = mark.as_ref().map(|mark| mark.worker.clone());
        Self {
            generation: recorded.generation.or(marked).unwrap_or(Generation::UNMANAGED),
            leader: recorded.worker.clone().or_else(|| taker.clone()),
            peer: recorded.peer.clone(),
            is_marked: mark.is_some(),
            taker,
            lifeline,
            recorded,
        }
    }

    /// The state of the session's lifeline; missing, if the found lifeline belongs to an earlier start.
    pub fn lifeline(&self) -> Lifeline {
        self.lifeline
    }

    /// The start in question.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Whether the mark belongs to the start in question.
    pub fn is_marked(&self) -> bool {
        self.is_marked
    }

    /// Whether the leader took the held lifeline: then an open lifeline in the leader is sufficient proof that the
    /// leader runs.
    pub fn leader_took_lifeline(&self) -> bool {
        self.lifeline == Lifeline::Held && self.taker.is_some() && self.taker == self.leader
    }

    /// Whether the facts belong to different starts: a launcher is between two steps.
    pub fn coherence(&self) -> Coherence {
        let is_torn = self.lifeline == Lifeline::Held && !self.is_marked;
        if is_torn { Coherence::Torn } else { Coherence::OneStart }
    }

    /// Whether the worker lives without a record; the record can be restored from the mark.
    pub fn lacks_record(&self) -> bool {
        self.recorded.is == RecordIs::Absent && self.lifeline == Lifeline::Held && self.is_marked
    }

    /// The evidence, with the answers about leader and peer. The holder of the endpoint is not known yet.
    pub fn evidence(&self, leader: Option<ProcessLiveness>, peer: Option<ProcessLiveness>) -> Evidence {
        // If the start was not observed, the mark proves that the lifeline was taken.
        let is_read = matches!(self.recorded.is, RecordIs::NamesWorker | RecordIs::NamesNobody);
        let was_marked = self.is_marked && is_read;
        let history = self.recorded.history.or(was_marked.then_some(LifelineHistory::WasHeld));
        Evidence {
            recorded: self.recorded.state,
            start_observed: self.recorded.start_observed,
            lifeline: self.lifeline,
            history: history.unwrap_or(LifelineHistory::NotKnown),
            leader,
            peer,
            endpoint: EndpointHolder::Unclear,
        }
    }

    /// The view of the look.
    pub fn view(&self, evidence: &Evidence, endpoint: EndpointView) -> View {
        View {
            generation: self.generation,
            last: last_worker(evidence),
            recorded: evidence.recorded,
            record: self.recorded.is,
            lifeline: evidence.lifeline,
            coherence: self.coherence(),
            contact: endpoint.contact,
            endpoint: endpoint.kind,
            proof: endpoint.proof,
            shown_by: endpoint.shown_by,
        }
    }
}

/// Further questions about a session whose recorded processes do not answer.
impl Evidence {
    /// Whether the lifeline is held and no recorded process lives: then the next question is who listens.
    pub fn is_held_by_others(&self) -> bool {
        let lives = |standing: Option<ProcessLiveness>| standing.is_some_and(ProcessLiveness::is_alive);
        self.lifeline == Lifeline::Held && !lives(self.leader) && !lives(self.peer)
    }

    /// The same evidence, with the knowledge of a listener at the worker's socket.
    #[must_use]
    pub fn heard_of(self, listener: Listener) -> Self {
        Self { peer: standing_of_peer(self.peer, listener), ..self }
    }

    /// Whether a worker that had been ready seems to be gone, or a worker of another namespace cannot be judged: then
    /// the next question is who has the endpoint.
    pub fn was_lost_sight_of(&self) -> bool {
        match last_worker(self) {
            LastWorker::Gone => self.recorded == Some(RecordState::Ready),
            LastWorker::Unknown => self.history == LifelineHistory::WasHeld,
            LastWorker::AliveUnobserved | LastWorker::AliveReady => false,
        }
    }
}
