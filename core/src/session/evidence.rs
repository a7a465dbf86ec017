//! Decides whether the last worker is provably gone. Every caller uses the same pure function over a single value.
//!
//! # Invariants
//! 1. [`LastWorker::Gone`] needs a lifeline without a holder *and* the death of every recorded process. There is a
//!    single exception: a worker that had been ready, with a recorded leader and a recorded answering process, both
//!    dead. A process that still holds such a worker's lifeline is a leftover.
//! 2. A process of another pid namespace of this boot counts as dead if its lifeline was seen held, is free now, and no
//!    process listens at the endpoint: a kernel lock is the same lock in all namespaces of a kernel.
//! 3. A lifeline that cannot be read, or could not be searched for everywhere, proves nothing; a record `exited` proves
//!    nothing by itself.
//! 4. A process with the socket at the private path of a session that had been ready is the session's worker, even if
//!    the recorded processes are dead.
//! 5. A living worker without a record is not ours to end unasked: a start writes its record before its process exists,
//!    so the record was removed later.
//!
//! Walked exhaustively by `gates/tests/evidence.rs`.

use crate::process::identity::{DeathProof, ProcessLiveness, UnknownReason};
pub use crate::session::lifeline::{Lifeline, LifelineHistory};
use crate::session::record::RecordState;

/// The holder of the session's endpoint, in addition to the finding of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndpointHolder {
    /// A process of our user has the socket at the session's own private path.
    Ours,
    /// No process has a socket at the endpoint, or there is no endpoint.
    Vacant,
    /// A process may have a socket at the endpoint, and may be no worker of ours; or the endpoint was not checked.
    Unclear,
}

/// All facts about the last worker of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// The recorded state; `None` without a record.
    pub recorded: Option<RecordState>,
    /// Whether the record says that the start's worker answered on its socket.
    pub start_observed: bool,
    /// Whether any process of the start still holds the kernel's lock.
    pub lifeline: Lifeline,
    /// Whether any process of the start ever held the lock.
    pub history: LifelineHistory,
    /// The started process, from the record or from the lifeline's mark.
    pub leader: Option<ProcessLiveness>,
    /// The process that answered on the socket when the worker became ready.
    pub peer: Option<ProcessLiveness>,
    /// The holder of the socket.
    pub endpoint: EndpointHolder,
}

impl Evidence {
    /// The evidence of a session that was never started.
    pub const NONE: Self = Self {
        recorded: None,
        start_observed: false,
        lifeline: Lifeline::Missing,
        history: LifelineHistory::NotKnown,
        leader: None,
        peer: None,
        endpoint: EndpointHolder::Unclear,
    };

    fn any(&self, is: impl Fn(ProcessLiveness) -> bool) -> bool {
        [self.leader, self.peer].into_iter().flatten().any(is)
    }

    fn all(&self, is: impl Fn(ProcessLiveness) -> bool) -> bool {
        [self.leader, self.peer].into_iter().flatten().all(is)
    }

    /// The exception of invariant 1.
    fn only_leftovers(&self) -> bool {
        self.start_observed
            && self.leader.is_some_and(ProcessLiveness::is_dead)
            && self.peer.is_some_and(ProcessLiveness::is_dead)
    }

    /// No process and no lifeline outlives the boot.
    fn of_another_boot(&self) -> bool {
        self.leader.is_some() && self.all(|standing| standing == ProcessLiveness::Dead(DeathProof::OtherBoot))
    }

    /// Invariant 2: every process is dead, or was in another pid namespace with a lock that is free now.
    fn ended_in_another_namespace(&self) -> bool {
        let elsewhere = ProcessLiveness::Unjudged(UnknownReason::OtherPidNamespace);
        self.history == LifelineHistory::WasHeld
            && self.endpoint == EndpointHolder::Vacant
            && self.all(|standing| standing.is_dead() || standing == elsewhere)
    }

    /// Invariant 4.
    fn is_answered_for(&self) -> bool {
        self.recorded == Some(RecordState::Ready) && self.endpoint == EndpointHolder::Ours
    }
}

/// Whether the kernel knows a process that listens under the worker's socket path, answering or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listener {
    /// A process listens, even if the path was removed since.
    Present,
    /// The kernel's table names no listener by this path.
    Absent,
}

/// The liveness of the answering process, which may have left its socket to another process.
///
/// Some daemons listen first and fork afterwards: the listener in the kernel's table ends, and the listener's child
/// goes on listening. Such a death says nothing about the worker, and does not count as a death.
pub fn standing_of_peer(peer: Option<ProcessLiveness>, listener: Listener) -> Option<ProcessLiveness> {
    match (peer, listener) {
        (Some(ProcessLiveness::Dead(_)), Listener::Present) => None,
        (peer, Listener::Present | Listener::Absent) => peer,
    }
}

/// The judgement on the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LastWorker {
    /// There was no worker, or the worker is provably gone.
    Gone,
    /// The worker lives, and its start was not observed to the end: the launcher died, or lied.
    AliveUnobserved,
    /// The worker lives and had been ready.
    AliveReady,
    /// The worker cannot be judged from here.
    Unknown,
}

/// Judges the last worker of a session.
///
/// ```
/// use rekindle_core::{Evidence, LastWorker, Lifeline, RecordState, last_worker};
///
/// assert_eq!(last_worker(&Evidence::NONE), LastWorker::Gone);
/// // The lock is held, whoever holds it: its launcher died before it could complete the record.
/// let starting = Evidence { recorded: Some(RecordState::Starting), ..Evidence::NONE };
/// assert_eq!(last_worker(&Evidence { lifeline: Lifeline::Held, ..starting }), LastWorker::AliveUnobserved);
/// ```
pub fn last_worker(evidence: &Evidence) -> LastWorker {
    let somebody_lives = evidence.any(ProcessLiveness::is_alive);
    let everybody_is_dead = evidence.all(ProcessLiveness::is_dead);
    match evidence.lifeline {
        _ if somebody_lives => alive(evidence),
        _ if evidence.is_answered_for() => LastWorker::AliveReady,
        _ if evidence.only_leftovers() => LastWorker::Gone,
        Lifeline::Held if everybody_is_dead => alive(evidence),
        Lifeline::Free | Lifeline::Missing if everybody_is_dead => LastWorker::Gone,
        Lifeline::Unreadable if evidence.of_another_boot() => LastWorker::Gone,
        Lifeline::Free if evidence.ended_in_another_namespace() => LastWorker::Gone,
        Lifeline::Held | Lifeline::Free | Lifeline::Missing | Lifeline::Unreadable => LastWorker::Unknown,
    }
}

fn alive(evidence: &Evidence) -> LastWorker {
    match evidence.recorded {
        Some(RecordState::Ready) | None => LastWorker::AliveReady,
        Some(RecordState::Starting | RecordState::Retained | RecordState::Exited) => {
            LastWorker::AliveUnobserved
        }
    }
}
