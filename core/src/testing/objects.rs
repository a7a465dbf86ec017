//! The objects of the kernel: files, processes and signals, as values.

use crate::session::record::RecordState;

/// The number of an actor; for a launcher, the number of its slot.
pub type ActorId = u8;
/// The number of a start, and of the start's leader.
pub type StartId = u8;
/// The number of a file; a name may pass to another file.
pub type InodeId = u8;

/// The content of the session's directory, without the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Files {
    /// The evidence of a claim.
    pub evidence: Paper,
    /// The lifeline under its name.
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
    /// There is no evidence.
    Absent,
    /// This actor holds the claim.
    Held(ActorId),
    /// This actor gave the claim up without a release.
    Retained(ActorId),
}

/// The record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Record {
    /// The progress of the start.
    pub state: RecordState,
    /// The generation of the start.
    pub generation: u8,
    /// The leader.
    pub worker: Option<StartId>,
    /// The process that answered.
    pub peer: Option<Process>,
    /// Whether the worker ever answered.
    pub observed: bool,
    /// The endpoint of the start.
    pub place: Place,
}

/// The number of TCP ports of the machine.
pub const PORTS: usize = 2;

/// An endpoint of the simulated machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The path of a Unix socket, in the session's directory.
    Path,
    /// A TCP port.
    Port(u8),
    /// No endpoint.
    Nowhere,
}

/// The socket at a place: for a path, the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Socket {
    /// No file.
    Absent,
    /// A socket of a dead process.
    Stale,
    /// A socket whose process does not listen yet.
    Bound(Process),
    /// A socket whose process listens.
    Listening(Process),
    /// A socket of a process that is no part of the session.
    Stranger,
}

/// A process of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Process {
    /// The start.
    pub start: StartId,
    /// The role within the start.
    pub role: Role,
}

/// The role of a process within a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The forked process.
    Leader,
    /// The process that the leader forked.
    Second,
}

/// A start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Start {
    /// The generation.
    pub generation: u8,
    /// The lifeline.
    pub inode: InodeId,
    /// The directory held by the launcher at the fork.
    pub dir: Option<InodeId>,
    /// The child's copy of the claim's descriptor, with the shared lock.
    pub claim: Option<InodeId>,
    /// Whether the program runs.
    pub executed: bool,
    /// Whether the child left because its files were gone.
    pub left: bool,
    /// Whether the start was ever recorded as ready.
    pub observed: bool,
    /// The endpoint given to the program.
    pub place: Place,
    /// Whether the lifeline was unlocked; all processes of the start share the lock.
    pub unlocked: bool,
    /// The forked process.
    pub leader: Life,
    /// The process that the leader forked.
    pub second: Life,
}

/// The state of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Life {
    /// The process does not exist yet.
    Unborn,
    /// The process runs.
    Alive {
        /// The number of steps taken.
        steps: u8,
        /// Whether the process holds the lifeline.
        holds: bool,
        /// The pending signal.
        signal: Pending,
    },
    /// The process is gone.
    Dead,
}

/// A signal on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pending {
    /// None.
    None,
    /// SIGTERM: the process will end, and may take steps before.
    Term,
    /// SIGKILL: the process will end.
    Kill,
}

impl Life {
    /// A process directly after the fork.
    pub fn born(holds: bool) -> Self {
        Self::Alive { steps: 0, holds, signal: Pending::None }
    }

    /// Whether the process runs.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Alive { .. })
    }

    /// Whether the process holds the lifeline.
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
        place: Place::Path,
        unlocked: false,
        leader: Life::Unborn,
        second: Life::Unborn,
    };

    /// Whether any process of the start holds the lifeline.
    pub fn holds_lifeline(&self) -> bool {
        !self.unlocked && (self.leader.holds() || self.second.holds())
    }

    /// Whether any process of the start runs.
    pub fn is_alive(&self) -> bool {
        self.leader.is_alive() || self.second.is_alive()
    }
}
