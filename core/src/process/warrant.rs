//! Who may be signalled: a signal needs a [`Warrant`], and only the judges of this module make one.
//!
//! # Invariants
//! 1. A process that is not to be judged gets no warrant: its pid may be a stranger's.
//! 2. A warrant is for a pid that is pinned: whoever asks for one has opened the process's descriptor before.
//! 3. A lifeline that was searched for counts only by owner, device, mount namespace and pid namespace. The text of a
//!    link proves nothing.
//!
//! Checked by `gates/tests/warrant.rs`.

use crate::process::id::Pid;
use crate::process::identity::{Host, PidStatus, ProcessIdentity, ProcessLiveness, judge};

/// Leave to signal one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warrant {
    pid: Pid,
    ground: Ground,
}

/// Why a process may be signalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ground {
    /// It is the process that was written down, in every field.
    Identity,
    /// It holds the session's own lifeline.
    Lifeline,
    /// It belongs to the session that a proven leader leads.
    Session,
    /// It holds the socket that listens at the session's own private path.
    Listener,
}

/// Whether one fact about two things is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sameness {
    /// It is the same.
    Same,
    /// It is another.
    Other,
    /// The system does not say.
    Unknown,
}

impl Sameness {
    /// Compares two facts, either of which may be unknown.
    pub fn of<T: PartialEq>(one: Option<T>, other: Option<T>) -> Self {
        match (one, other) {
            (Some(one), Some(other)) if one == other => Self::Same,
            (Some(_), Some(_)) => Self::Other,
            (Some(_) | None, None) | (None, Some(_)) => Self::Unknown,
        }
    }
}

/// What was seen of a process, now that it is pinned, that may belong to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemberSighting {
    /// Whether it has the session's lifeline open with the worker's lock.
    pub lifeline: Sameness,
    /// Whether its session is the one that the worker's leader leads.
    pub session: Sameness,
    /// Whether that leader is proven, and its pid still names its session.
    pub leader: LeaderName,
    /// Whether it holds the socket that listens at the session's private path, as our user and in our namespaces.
    pub listener: Sameness,
}

/// Whether the leader's pid is sure to name the worker's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaderName {
    /// The leader was proven and is there.
    Sure,
    /// The leader was never proven, or its name may have changed hands.
    Doubtful,
}

impl Warrant {
    /// For a process that was written down, if it is proved in every field that this is it.
    ///
    /// # Errors
    /// How the process stands, where that is no proof.
    ///
    /// ```
    /// use rekindle_core::identity::{Host, PidStatus};
    /// use rekindle_core::{Pid, warrant::Warrant};
    ///
    /// let here = Host { hostname: "box".into(), machine_id: None, boot_id: None, pid_namespace: None, time_namespace: None };
    /// let worker = here.identify(Pid::new(42).unwrap(), None);
    /// // Some process has the pid. That is no proof.
    /// assert!(Warrant::by_identity(&worker, &here, PidStatus::Running { start_time: None }).is_err());
    /// ```
    pub fn by_identity(
        process: &ProcessIdentity,
        here: &Host,
        status: PidStatus,
    ) -> Result<Self, ProcessLiveness> {
        match judge(process, here, status) {
            ProcessLiveness::Alive => Ok(Self { pid: process.pid, ground: Ground::Identity }),
            standing @ (ProcessLiveness::Dead(_) | ProcessLiveness::Unjudged(_)) => Err(standing),
        }
    }

    /// For a process that turned out to belong to a worker; `None` if it does not.
    pub fn by_membership(pid: Pid, seen: MemberSighting) -> Option<Self> {
        let ground = match (seen.lifeline, seen.session, seen.leader, seen.listener) {
            (Sameness::Same, _, _, _) => Ground::Lifeline,
            (Sameness::Other | Sameness::Unknown, Sameness::Same, LeaderName::Sure, _) => Ground::Session,
            (Sameness::Other | Sameness::Unknown, _, _, Sameness::Same) => Ground::Listener,
            (Sameness::Other | Sameness::Unknown, _, _, Sameness::Other | Sameness::Unknown) => return None,
        };
        Some(Self { pid, ground })
    }

    /// The process that it is for.
    pub const fn pid(self) -> Pid {
        self.pid
    }

    /// Why that process may be signalled.
    pub const fn ground(self) -> Ground {
        self.ground
    }
}

/// What was seen of a lifeline that was found in a process, without a name in the session's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LifelineSighting {
    /// Whether the file belongs to our user.
    pub owner: Sameness,
    /// Whether the file is on the state root's device.
    pub device: Sameness,
    /// Whether its mark names this session, below a state root at this path.
    pub mark: Sameness,
    /// Whether its mark names this session, below the very directory that is the state root now.
    pub root: Sameness,
    /// Whether its holder sees our file system.
    pub mount_namespace: Sameness,
    /// Whether its holder's pid is a pid of ours.
    pub pid_namespace: Sameness,
}

/// What a lifeline that was found in a process amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FoundLifeline {
    /// It is the session's own.
    Ours,
    /// It may be the session's own, and nothing can be proved from here.
    Doubtful,
    /// It is another's.
    Others,
}

impl LifelineSighting {
    /// Whether the lifeline is the session's own.
    pub fn judge(self) -> FoundLifeline {
        use Sameness::{Other, Same, Unknown};
        match (self.owner, self.device) {
            (Same, Same) => {}
            (Other, _) | (_, Other) => return FoundLifeline::Others,
            (Unknown, Same | Unknown) | (Same, Unknown) => return FoundLifeline::Doubtful,
        }
        match (self.mount_namespace, self.pid_namespace) {
            // One path names one place only for those who share a file system.
            (Same, Same) => match self.mark {
                Same => FoundLifeline::Ours,
                Other => FoundLifeline::Others,
                Unknown => FoundLifeline::Doubtful,
            },
            (Other | Unknown, _) | (Same, Other | Unknown) => match self.root {
                Same | Unknown => FoundLifeline::Doubtful,
                Other => FoundLifeline::Others,
            },
        }
    }
}
