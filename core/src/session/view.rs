//! What a transaction decides by: the facts of one look at a session, in as few words as they need.
//!
//! # Invariants
//! 1. A view is a value: it is true for the instant of its look, and no step asks it again later.
//! 2. What is of two different starts is said to be torn, and nothing is decided by it.

pub mod assembly;

use crate::process::id::Generation;
use crate::session::evidence::{LastWorker, Lifeline};
use crate::session::record::RecordState;

/// The facts of one look at a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct View {
    /// The start that the facts are about.
    pub generation: Generation,
    /// What the facts amount to.
    pub last: LastWorker,
    /// How far the start had come, as far as that was recorded.
    pub recorded: Option<RecordState>,
    /// The record itself.
    pub record: RecordIs,
    /// What the kernel says of the lifeline.
    pub lifeline: Lifeline,
    /// Whether record and lifeline are of two different starts.
    pub coherence: Coherence,
    /// Whether the worker may be connected to for a mere look.
    pub contact: Contact,
}

/// What the record of a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordIs {
    /// There is none.
    Absent,
    /// It can be read, and names its worker.
    NamesWorker,
    /// It can be read, and does not name its worker yet.
    NamesNobody,
    /// A later version wrote it: this version may not rewrite it.
    Newer,
    /// It cannot be read.
    Corrupt,
}

/// Whether the facts of a look are of one start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coherence {
    /// They are.
    OneStart,
    /// Somebody is between two steps of the next start.
    Torn,
}

/// Whether a worker may be connected to for a mere look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Contact {
    /// It may.
    Connect,
    /// It was not connected to when it became ready, and a connection may end it.
    Gentle,
}

impl View {
    /// Of a session of which there is nothing.
    pub const NOTHING: Self = Self {
        generation: Generation::UNMANAGED,
        last: LastWorker::Gone,
        recorded: None,
        record: RecordIs::Absent,
        lifeline: Lifeline::Missing,
        coherence: Coherence::OneStart,
        contact: Contact::Connect,
    };

    /// Whether there ever was a worker.
    pub fn is_known(&self) -> bool {
        self.generation != Generation::UNMANAGED || self.recorded.is_some() || self.lifeline == Lifeline::Held
    }

    /// Whether whatever answers on the session's endpoint can be a worker of ours.
    pub fn may_answer(&self) -> bool {
        self.is_known() && self.last != LastWorker::Gone
    }

    /// Whether the record says that a worker of ours answers.
    pub fn is_known_to_answer(&self) -> bool {
        self.recorded == Some(RecordState::Ready) && self.may_answer()
    }

    /// Whether a worker of ours answers whose record was never completed.
    pub fn is_unfinished(&self) -> bool {
        let is_ready = self.recorded == Some(RecordState::Ready);
        match self.record {
            RecordIs::NamesWorker => self.may_answer() && !is_ready,
            RecordIs::NamesNobody => self.may_answer(),
            RecordIs::Absent | RecordIs::Newer | RecordIs::Corrupt => false,
        }
    }

    /// Whether nothing of the session runs any more, leftovers included.
    pub fn is_all_gone(&self) -> bool {
        self.last == LastWorker::Gone && self.lifeline != Lifeline::Held
    }
}
