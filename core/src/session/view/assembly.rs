//! How the facts of a look are put together: whose lifeline it is, which start is meant, whom to ask about.
//!
//! A look reads the record, then the lifeline and its mark, then asks about processes, each at another instant. This
//! module says what may be concluded from the three; whoever performs the look gathers them.
//!
//! # Invariants
//! 1. A mark speaks of its own start only: one of another generation, or with another nonce, says nothing of this one.
//! 2. A lifeline that is held and does not say by which start makes the look torn, whatever was recorded.
//! 3. A lifeline that had to be searched for and is of an earlier start than the record is none of the session's.
//! 4. A mark stands in for a record that was lost, and never overrides one.
//!
//! Checked by `gates/tests/assembly.rs`, and inside every transaction by `gates/tests/transactions.rs`.

use super::{Coherence, Contact, RecordIs, View};
use crate::process::id::{Generation, Nonce};
use crate::process::identity::{ProcessIdentity, ProcessLiveness};
use crate::session::evidence::{
    Endpoint, Evidence, LastWorker, Lifeline, LifelineHistory, Listener, last_worker, standing_of_peer,
};
use crate::session::record::{RecordState, SessionRecord};

/// What a record says, as far as a decision depends on that. `I` identifies a process, `N` a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recorded<I, N> {
    /// What the record is.
    pub is: RecordIs,
    /// Which start it describes.
    pub generation: Option<Generation>,
    /// What the worker of that start was told to know itself by.
    pub nonce: Option<N>,
    /// How far that start had come.
    pub state: Option<RecordState>,
    /// Whether its worker was ever seen to be ready.
    pub start_observed: bool,
    /// Whether its lifeline was held then, where that was written down.
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
    /// What a record that can be read says.
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

/// What a worker wrote into its lifeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Marked<I, N> {
    /// Which start it belongs to.
    pub generation: Generation,
    /// What the worker was told to know itself by.
    pub nonce: Option<N>,
    /// The process that took the lifeline.
    pub worker: I,
}

/// How a lifeline was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FoundBy {
    /// It has its name in the session's directory.
    Name,
    /// It has lost that name, and a process was seen to have it open.
    Search,
}

/// Record, lifeline and mark of one look, before any process was asked about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Assembly<I, N> {
    recorded: Recorded<I, N>,
    lifeline: Lifeline,
    /// Whether the mark is of the start that is meant.
    is_marked: bool,
    generation: Generation,
    /// The process that was started, by the record or else by the mark.
    pub leader: Option<I>,
    /// The process that answered.
    pub peer: Option<I>,
    /// The process that took the lifeline.
    pub taker: Option<I>,
}

impl<I: Clone + PartialEq, N: PartialEq> Assembly<I, N> {
    /// Puts together what was read.
    pub fn new(
        recorded: Recorded<I, N>,
        (lifeline, found_by): (Lifeline, FoundBy),
        mark: Option<Marked<I, N>>,
    ) -> Self {
        // A process that an earlier start left behind says nothing of the start that was recorded.
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

    /// What the kernel says of the session's lifeline; missing, if the one that was found is of an earlier start.
    pub fn lifeline(&self) -> Lifeline {
        self.lifeline
    }

    /// Which start is meant.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Whether the mark is of the start that is meant.
    pub fn is_marked(&self) -> bool {
        self.is_marked
    }

    /// Whether the leader is the process that took the lifeline, which is held: then that it still has the lifeline open is
    /// proof enough that it runs.
    pub fn leader_took_lifeline(&self) -> bool {
        self.lifeline == Lifeline::Held && self.taker.is_some() && self.taker == self.leader
    }

    /// Whether what was read is of two different starts: a launcher is between two steps.
    pub fn coherence(&self) -> Coherence {
        let is_torn = self.lifeline == Lifeline::Held && !self.is_marked;
        if is_torn { Coherence::Torn } else { Coherence::OneStart }
    }

    /// Whether the worker lives without a record, which can be written anew from what it wrote itself.
    pub fn lacks_record(&self) -> bool {
        self.recorded.is == RecordIs::Absent && self.lifeline == Lifeline::Held && self.is_marked
    }

    /// The evidence, once leader and peer were asked about. Who has the endpoint is not asked yet.
    pub fn evidence(&self, leader: Option<ProcessLiveness>, peer: Option<ProcessLiveness>) -> Evidence {
        // Of a start that nobody observed, the mark says that its lifeline was taken.
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
            endpoint: Endpoint::Unclear,
        }
    }

    /// What the look amounts to.
    pub fn view(&self, evidence: &Evidence, contact: Contact) -> View {
        View {
            generation: self.generation,
            last: last_worker(evidence),
            recorded: evidence.recorded,
            record: self.recorded.is,
            lifeline: evidence.lifeline,
            coherence: self.coherence(),
            contact,
        }
    }
}

/// What is still to be asked about a session whose recorded processes do not answer for it.
impl Evidence {
    /// Whether the lifeline is held and none of those lives who were written down: then it is asked who listens.
    pub fn is_held_by_others(&self) -> bool {
        let lives = |standing: Option<ProcessLiveness>| standing.is_some_and(ProcessLiveness::is_alive);
        self.lifeline == Lifeline::Held && !lives(self.leader) && !lives(self.peer)
    }

    /// The same evidence, with what is known of who listens where the worker should.
    #[must_use]
    pub fn heard_of(self, listener: Listener) -> Self {
        Self { peer: standing_of_peer(self.peer, listener), ..self }
    }

    /// Whether a worker that had been ready seems to be gone, or a worker of another namespace cannot be judged: then it is
    /// asked who has its endpoint.
    pub fn was_lost_sight_of(&self) -> bool {
        match last_worker(self) {
            LastWorker::Gone => self.recorded == Some(RecordState::Ready),
            LastWorker::Unknown => self.history == LifelineHistory::WasHeld,
            LastWorker::AliveUnobserved | LastWorker::AliveReady => false,
        }
    }
}
