//! What the kernel keeps: files, processes and signals, as values.

use crate::session::record::RecordState;

/// The number of an actor: a launcher's is its slot.
pub type ActorId = u8;
/// The number of a start, and of the process that it began with.
pub type StartId = u8;
/// The number of a file under a name that may come to mean another.
pub type InodeId = u8;

/// What the session's directory holds beside its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Files {
    /// The evidence of a claim.
    pub evidence: Paper,
    /// The lifeline that stands under its name.
    pub lifeline: Option<InodeId>,
    /// The record.
    pub record: Option<Record>,
}

impl Files {
    /// An empty directory.
    pub const NONE: Self = Self { evidence: Paper::Absent, lifeline: None, record: None };
}

/// The evidence of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Paper {
    /// There is none.
    Absent,
    /// Held by this actor.
    Held(ActorId),
    /// Given up unreleased by this actor.
    Retained(ActorId),
}

/// The record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Record {
    /// How far the start had come.
    pub state: RecordState,
    /// Which start.
    pub generation: u8,
    /// Its leader.
    pub worker: Option<StartId>,
    /// The process that answered.
    pub peer: Option<Process>,
    /// Whether it ever answered.
    pub observed: bool,
}

/// What stands at the socket's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Socket {
    /// Nothing.
    Absent,
    /// A socket of a process that is gone.
    Stale,
    /// A socket on which its process does not listen yet.
    Bound(Process),
    /// A socket on which its process listens.
    Listening(Process),
}

/// One process of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Process {
    /// The start.
    pub start: StartId,
    /// Which of its processes.
    pub role: Role,
}

/// Which process of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The one that was forked.
    Leader,
    /// The one that it forked itself.
    Second,
}

/// One start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Start {
    /// Its generation.
    pub generation: u8,
    /// Its lifeline.
    pub inode: InodeId,
    /// The directory that its launcher held when it was forked.
    pub dir: Option<InodeId>,
    /// The child's copy of the claim's descriptor, with the lock that it shares.
    pub claim: Option<InodeId>,
    /// Whether its program runs.
    pub executed: bool,
    /// Whether its child left, since its files were not where they had been.
    pub left: bool,
    /// Whether it was ever written down as ready.
    pub observed: bool,
    /// Whether somebody unlocked its lifeline, which all of its processes share.
    pub unlocked: bool,
    /// The process that was forked.
    pub leader: Life,
    /// The process that it forked itself.
    pub second: Life,
}

/// How a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Life {
    /// It does not exist yet.
    Unborn,
    /// It runs.
    Alive {
        /// How many of its steps it has taken.
        steps: u8,
        /// Whether it holds the lifeline.
        holds: bool,
        /// The signal that it is dying of.
        signal: Pending,
    },
    /// It is gone.
    Dead,
}

/// A signal on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pending {
    /// None.
    None,
    /// SIGTERM: it will end, and may do something before.
    Term,
    /// SIGKILL: it will end.
    Kill,
}

impl Life {
    /// A process that has just been forked.
    pub fn born(holds: bool) -> Self {
        Self::Alive { steps: 0, holds, signal: Pending::None }
    }

    /// Whether it runs.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Alive { .. })
    }

    /// Whether it holds the lifeline.
    pub fn holds(self) -> bool {
        matches!(self, Self::Alive { holds: true, .. })
    }
}

impl Start {
    /// No start.
    pub const NONE: Self = Self {
        generation: 0,
        inode: 0,
        dir: None,
        claim: None,
        executed: false,
        left: false,
        observed: false,
        unlocked: false,
        leader: Life::Unborn,
        second: Life::Unborn,
    };

    /// Whether any process of it holds its lifeline.
    pub fn holds_lifeline(&self) -> bool {
        !self.unlocked && (self.leader.holds() || self.second.holds())
    }

    /// Whether any process of it runs.
    pub fn is_alive(&self) -> bool {
        self.leader.is_alive() || self.second.is_alive()
    }
}
