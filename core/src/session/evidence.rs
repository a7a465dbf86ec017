//! Is the last worker provably gone? One pure function over one value decides this, everywhere.
//!
//! # Invariants
//! 1. [`LastWorker::Gone`] needs a lifeline that nobody holds *and* the death of every recorded process, with one
//!    exception: a worker that had been ready, whose leader and whose answering process are both recorded and both dead.
//!    What still holds its lifeline is a leftover.
//! 2. A process of another pid namespace of this boot counts as dead if its lifeline was seen held, is free now, and
//!    nobody listens at the endpoint: a kernel lock is one lock for all namespaces of a kernel.
//! 3. A lifeline that cannot be asked, or could not be searched for everywhere, proves nothing; a record `exited` proves
//!    nothing by itself.
//! 4. Whoever has the socket at the private path of a session that had been ready is its worker, whatever became of the
//!    processes that were recorded.
//! 5. A worker that lives without a record is not ours to end unasked: a start writes its record before its process exists,
//!    so somebody removed it.
//!
//! Walked exhaustively by `gates/tests/evidence.rs`.

use crate::process::identity::{DeathProof, ProcessLiveness, UnknownReason};
pub use crate::session::lifeline::{Lifeline, LifelineHistory};
use crate::session::record::RecordState;

/// What is known of the session's endpoint, besides what a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Some process of our user has the socket at the session's own private path.
    Ours,
    /// Nobody has a socket there.
    Vacant,
    /// Somebody may have a socket there, who need not be a worker of ours; or nobody asked.
    Unclear,
}

/// All that is known about the last worker of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// What the record says; `None` without a record.
    pub recorded: Option<RecordState>,
    /// Whether the record says that this start came to answer on its socket.
    pub start_observed: bool,
    /// Whether any process of it still holds the kernel's lock.
    pub lifeline: Lifeline,
    /// Whether any process of it ever did.
    pub history: LifelineHistory,
    /// The process that was started, from the record or from what it wrote into its lifeline.
    pub leader: Option<ProcessLiveness>,
    /// The process that answered on the socket when it became ready.
    pub peer: Option<ProcessLiveness>,
    /// Who has the socket.
    pub endpoint: Endpoint,
}

impl Evidence {
    /// Of a session that was never started.
    pub const NONE: Self = Self {
        recorded: None,
        start_observed: false,
        lifeline: Lifeline::Missing,
        history: LifelineHistory::NotKnown,
        leader: None,
        peer: None,
        endpoint: Endpoint::Unclear,
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

    /// No process and no lifeline outlives its boot.
    fn of_another_boot(&self) -> bool {
        self.leader.is_some() && self.all(|standing| standing == ProcessLiveness::Dead(DeathProof::OtherBoot))
    }

    /// Invariant 2: everybody is dead, or was in a pid namespace whose lock is gone.
    fn ended_in_another_namespace(&self) -> bool {
        let elsewhere = ProcessLiveness::Unjudged(UnknownReason::OtherPidNamespace);
        self.history == LifelineHistory::WasHeld
            && self.endpoint == Endpoint::Vacant
            && self.all(|standing| standing.is_dead() || standing == elsewhere)
    }

    /// Invariant 4.
    fn is_answered_for(&self) -> bool {
        self.recorded == Some(RecordState::Ready) && self.endpoint == Endpoint::Ours
    }
}

/// Whether the kernel knows of somebody who listens under the worker's socket path, answering or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listener {
    /// Somebody does, even if the path was removed since.
    Present,
    /// Nobody that the kernel's table names by this path.
    Absent,
}

/// What is known of the process that answered, now that it may have left its socket to another.
///
/// Some daemons listen first and fork then: the process that the kernel names as the listener ends, and its child goes
/// on listening. Such a death says nothing about the worker, so it is not counted as one.
pub fn standing_of_peer(peer: Option<ProcessLiveness>, listener: Listener) -> Option<ProcessLiveness> {
    match (peer, listener) {
        (Some(ProcessLiveness::Dead(_)), Listener::Present) => None,
        (peer, Listener::Present | Listener::Absent) => peer,
    }
}

/// What the evidence amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LastWorker {
    /// There is none, or it is provably gone.
    Gone,
    /// It lives, and nobody saw the end of its start: its launcher died, or lied.
    AliveUnobserved,
    /// It lives and had been ready.
    AliveReady,
    /// Not to be judged from here.
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
