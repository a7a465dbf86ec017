//! The basis for the decisions of a transaction: the few facts of a look at a session.
//!
//! # Invariants
//! 1. A view is a value: true at the instant of the look; no step reads the facts again later.
//! 2. Facts of two different starts make the view torn, and nothing is decided by a torn view.

pub mod assembly;

use crate::ensure::decide::Liveness;
use crate::process::id::Generation;
use crate::session::endpoint::EndpointKind;
use crate::session::evidence::{LastWorker, Lifeline};
use crate::session::readiness::{Proof, ReadyKind, ShownBy};
use crate::session::record::RecordState;

/// The facts of a look at a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct View {
    /// The start of the facts.
    pub generation: Generation,
    /// The judgement on the last worker.
    pub last: LastWorker,
    /// The recorded progress of the start, if there is a record.
    pub recorded: Option<RecordState>,
    /// The state of the record.
    pub record: RecordIs,
    /// The kernel's answer about the lifeline.
    pub lifeline: Lifeline,
    /// Whether record and lifeline belong to different starts.
    pub coherence: Coherence,
    /// Whether the worker may be connected to for a mere look.
    pub contact: Contact,
    /// The kind of the endpoint in question.
    pub endpoint: EndpointKind,
    /// What proves the start in question ready.
    pub proof: Proof,
    /// What shows that a ready worker is live.
    pub shown_by: ShownBy,
}

/// The endpoint in question, as far as a decision depends on the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EndpointView {
    /// The kind.
    pub kind: EndpointKind,
    /// Whether the worker may be connected to for a mere look.
    pub contact: Contact,
    /// What proves the start in question ready.
    pub proof: Proof,
    /// What shows that a ready worker is live.
    pub shown_by: ShownBy,
}

impl EndpointView {
    /// An endpoint of this kind, for a worker with this condition for ready.
    pub const fn of(condition: ReadyKind, kind: EndpointKind) -> Self {
        let row = condition.row();
        let contact = if row.connects.allows_probes() { Contact::Connect } else { Contact::Gentle };
        Self { kind, contact, proof: row.proof, shown_by: condition.shown_by(kind) }
    }

    /// A Unix socket that may be connected to, for a worker that is live if it listens.
    pub const SOCKET: Self = Self::of(ReadyKind::Connect, EndpointKind::Unix);

    /// No endpoint.
    pub const NONE: Self = Self::of(ReadyKind::Running, EndpointKind::None);
}

/// The state of a session's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordIs {
    /// There is no record.
    Absent,
    /// The record is readable, and names the worker.
    NamesWorker,
    /// The record is readable, and does not name the worker yet.
    NamesNobody,
    /// A later version wrote the record: this version may not rewrite the file.
    Newer,
    /// The record cannot be read.
    Corrupt,
}

/// Whether the facts of a look belong to the same start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coherence {
    /// All facts belong to the same start.
    OneStart,
    /// A launcher is between two steps of the next start.
    Torn,
}

/// Whether a worker may be connected to for a mere look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Contact {
    /// The worker may be connected to.
    Connect,
    /// The worker became ready without a connection, and a connection may end the worker.
    Gentle,
}

impl View {
    /// The view of an absent session.
    pub const NOTHING: Self = Self {
        generation: Generation::UNMANAGED,
        last: LastWorker::Gone,
        recorded: None,
        record: RecordIs::Absent,
        lifeline: Lifeline::Missing,
        coherence: Coherence::OneStart,
        contact: Contact::Connect,
        endpoint: EndpointKind::Unix,
        proof: Proof::Listener,
        shown_by: ShownBy::Listener,
    };

    /// The liveness of the session, from the finding at the endpoint.
    ///
    /// A worker that its process shows to be live need not listen. A listener that is not ours stays a conflict.
    ///
    /// A worker whose start no launcher observed to its end is not live by a listener that proves nothing: the next
    /// launcher watches such a worker.
    pub fn liveness(&self, found: Liveness) -> Liveness {
        use {Liveness as L, Proof as P};
        match (found, self.last) {
            (L::Dormant | L::Indeterminate, _) if self.is_shown_by_process() => L::Live,
            (L::Live | L::Indeterminate, LastWorker::AliveUnobserved) if self.proof == P::Watch => L::Dormant,
            (found, _) => found,
        }
    }

    /// Whether the process shows that the worker is live: a listener is no part of the condition for ready, and the worker
    /// had been ready and runs. If no process can be judged, a held lifeline proves that some process of the start runs.
    pub fn is_shown_by_process(&self) -> bool {
        let runs = match self.last {
            LastWorker::AliveReady => true,
            LastWorker::Unknown => {
                self.recorded == Some(RecordState::Ready) && self.lifeline == Lifeline::Held
            }
            LastWorker::AliveUnobserved | LastWorker::Gone => false,
        };
        runs && self.shown_by == ShownBy::Process && self.coherence == Coherence::OneStart
    }

    /// Whether there ever was a worker.
    pub fn is_known(&self) -> bool {
        self.generation != Generation::UNMANAGED || self.recorded.is_some() || self.lifeline == Lifeline::Held
    }

    /// Whether a process that answers on the session's endpoint can be a worker of ours.
    pub fn may_answer(&self) -> bool {
        self.is_known() && self.last != LastWorker::Gone
    }

    /// Whether the record says that a worker of ours answers.
    pub fn is_known_to_answer(&self) -> bool {
        self.recorded == Some(RecordState::Ready) && self.may_answer()
    }

    /// Whether a worker of ours answers although its record is incomplete.
    pub fn is_unfinished(&self) -> bool {
        let is_ready = self.recorded == Some(RecordState::Ready);
        match self.record {
            RecordIs::NamesWorker => self.may_answer() && !is_ready,
            RecordIs::NamesNobody => self.may_answer(),
            RecordIs::Absent | RecordIs::Newer | RecordIs::Corrupt => false,
        }
    }

    /// Whether no process of the session runs any more, leftovers included.
    pub fn is_all_gone(&self) -> bool {
        self.last == LastWorker::Gone && self.lifeline != Lifeline::Held
    }
}
