//! Permission to signal: a signal needs a [`Warrant`], and only the judges of this module make warrants.
//!
//! # Invariants
//! 1. An unjudged process gets no warrant: the pid may belong to a stranger.
//! 2. A warrant is for a pinned pid: the caller has opened the process's descriptor before asking for the warrant.
//! 3. A lifeline found by a search counts only by owner, device, mount namespace and pid namespace. The text of a link
//!    proves nothing.
//!
//! Checked by `gates/tests/warrant.rs`.

use crate::process::id::Pid;
use crate::process::identity::{Host, PidStatus, ProcessIdentity, ProcessLiveness, judge};

/// Permission to signal a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warrant {
    pid: Pid,
    ground: Ground,
}

/// The ground for a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ground {
    /// The process matches the recorded process in every field.
    Identity,
    /// The process holds the session's own lifeline.
    Lifeline,
    /// The process belongs to the process session of a proven leader.
    Session,
    /// The process holds the socket that listens at the session's own private path.
    Listener,
}

/// Whether a fact is the same for both things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sameness {
    /// The fact is the same.
    Same,
    /// The fact is different.
    Other,
    /// The system does not say.
    Unknown,
}

impl Sameness {
    /// Compares two facts; either fact may be unknown.
    pub fn of<T: PartialEq>(one: Option<T>, other: Option<T>) -> Self {
        match (one, other) {
            (Some(one), Some(other)) if one == other => Self::Same,
            (Some(_), Some(_)) => Self::Other,
            (Some(_) | None, None) | (None, Some(_)) => Self::Unknown,
        }
    }
}

/// The observation of a pinned process that may belong to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemberSighting {
    /// Whether the process has the session's lifeline open with the worker's lock.
    pub lifeline: Sameness,
    /// Whether the process belongs to the leader's process session.
    pub session: Sameness,
    /// Whether the leader is proven, and its pid still names the process session.
    pub leader: LeaderName,
    /// Whether the process holds the socket that listens at the session's private path, as our user and in our
    /// namespaces.
    pub listener: Sameness,
}

/// Whether the leader's pid surely names the worker's process session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaderName {
    /// The leader was proven and is present.
    Sure,
    /// The leader was never proven, or the pid may have changed hands.
    Doubtful,
}

impl Warrant {
    /// A warrant for a recorded process, if every field matches.
    ///
    /// # Errors
    /// The liveness of the process, if not proven alive.
    ///
    /// ```
    /// use rekindle_core::identity::{Host, PidStatus};
    /// use rekindle_core::{Pid, warrant::Warrant};
    ///
    /// let here = Host { hostname: "box".into(), machine_id: None, boot_id: None, pid_namespace: None, time_namespace: None };
    /// let worker = here.identify(Pid::new(42).unwrap(), None);
    /// // A process has the pid. The pid alone is no proof.
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

    /// A warrant for a member of a worker; `None` for a process without membership.
    pub fn by_membership(pid: Pid, seen: MemberSighting) -> Option<Self> {
        let ground = match (seen.lifeline, seen.session, seen.leader, seen.listener) {
            (Sameness::Same, _, _, _) => Ground::Lifeline,
            (Sameness::Other | Sameness::Unknown, Sameness::Same, LeaderName::Sure, _) => Ground::Session,
            (Sameness::Other | Sameness::Unknown, _, _, Sameness::Same) => Ground::Listener,
            (Sameness::Other | Sameness::Unknown, _, _, Sameness::Other | Sameness::Unknown) => return None,
        };
        Some(Self { pid, ground })
    }

    /// The process of the warrant.
    pub const fn pid(self) -> Pid {
        self.pid
    }

    /// The ground of the warrant.
    pub const fn ground(self) -> Ground {
        self.ground
    }
}

/// The observation of a lifeline that a process holds without a name in the session's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LifelineSighting {
    /// Whether the file belongs to our user.
    pub owner: Sameness,
    /// Whether the file is on the state root's device.
    pub device: Sameness,
    /// Whether the mark names this session, below a state root at the same path.
    pub mark: Sameness,
    /// Whether the mark names this session, below the very directory of the present state root.
    pub root: Sameness,
    /// Whether the holder sees our file system.
    pub mount_namespace: Sameness,
    /// Whether the holder's pid is valid in our pid namespace.
    pub pid_namespace: Sameness,
}

/// The judgement on a lifeline found in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FoundLifeline {
    /// The lifeline is the session's own.
    Ours,
    /// The lifeline may be the session's own; nothing can be proved from here.
    Doubtful,
    /// The lifeline belongs to another session.
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
            // A path names the same place only for processes with the same file system.
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
