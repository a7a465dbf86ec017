//! Is the last worker provably gone? One pure function over one value decides this, everywhere.
//!
//! # Invariants
//! 1. [`LastWorker::Gone`] needs a free lifeline *and* the death of every recorded process, with one exception: a
//!    worker that had been ready, whose leader and whose answering process are both recorded and both dead. What
//!    still holds its lifeline is a leftover.
//! 2. A lifeline that is missing or cannot be asked proves nothing, and a record `exited` proves nothing by itself.
//!
//! Walked exhaustively by `gates/tests/evidence.rs`.

use crate::identity::{DeathProof, Standing};
use crate::record::RecordState;

/// What the kernel says of the lifeline: the lock that a worker and its descendants hold as long as they live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lifeline {
    /// Nobody holds it.
    Free,
    /// Some process of the start holds it.
    Held,
    /// There is no lifeline file.
    Missing,
    /// The question failed.
    Unreadable,
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
    /// The process that was started, from the record or from what it wrote into its lifeline.
    pub leader: Option<Standing>,
    /// The process that answered on the socket when it became ready.
    pub peer: Option<Standing>,
}

impl Evidence {
    /// Of a session that was never started.
    pub const NONE: Self =
        Self { recorded: None, start_observed: false, lifeline: Lifeline::Missing, leader: None, peer: None };

    fn any(&self, is: impl Fn(Standing) -> bool) -> bool {
        [self.leader, self.peer].into_iter().flatten().any(is)
    }

    fn all(&self, is: impl Fn(Standing) -> bool) -> bool {
        [self.leader, self.peer].into_iter().flatten().all(is)
    }

    /// The exception of invariant 1.
    fn only_leftovers(&self) -> bool {
        self.start_observed
            && self.leader.is_some_and(Standing::is_dead)
            && self.peer.is_some_and(Standing::is_dead)
    }

    /// No process and no lifeline outlives its boot.
    fn of_another_boot(&self) -> bool {
        self.leader.is_some() && self.all(|standing| standing == Standing::Dead(DeathProof::OtherBoot))
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
pub fn standing_of_peer(peer: Option<Standing>, listener: Listener) -> Option<Standing> {
    match (peer, listener) {
        (Some(Standing::Dead(_)), Listener::Present) => None,
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
/// use rekindle_core::{Evidence, LastWorker, Lifeline, last_worker};
///
/// assert_eq!(last_worker(&Evidence::NONE), LastWorker::Gone);
/// // The lock is held, whoever holds it: its launcher died before it could write anything down.
/// assert_eq!(last_worker(&Evidence { lifeline: Lifeline::Held, ..Evidence::NONE }), LastWorker::AliveUnobserved);
/// ```
pub fn last_worker(evidence: &Evidence) -> LastWorker {
    if evidence.only_leftovers() {
        return LastWorker::Gone;
    }
    let somebody_lives = evidence.any(Standing::is_alive);
    let everybody_is_dead = evidence.all(Standing::is_dead);
    match evidence.lifeline {
        _ if somebody_lives => alive(evidence),
        Lifeline::Held if everybody_is_dead => alive(evidence),
        Lifeline::Free if everybody_is_dead => LastWorker::Gone,
        Lifeline::Missing if evidence.recorded.is_none() && everybody_is_dead => LastWorker::Gone,
        Lifeline::Missing if evidence.of_another_boot() => LastWorker::Gone,
        Lifeline::Held | Lifeline::Free | Lifeline::Missing | Lifeline::Unreadable => LastWorker::Unknown,
    }
}

fn alive(evidence: &Evidence) -> LastWorker {
    match evidence.recorded {
        Some(RecordState::Ready) => LastWorker::AliveReady,
        Some(RecordState::Starting | RecordState::Retained | RecordState::Exited) | None => {
            LastWorker::AliveUnobserved
        }
    }
}
