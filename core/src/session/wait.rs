//! Waiting for the end of one start's worker: what a look at the session leads to.
//!
//! # Invariants
//! 1. Only a proof ends a wait: the worker of this start is gone, or its leader is.
//! 2. An unknown state is an error of the wait, never an end.
//!
//! Every cell is checked by `gates/tests/wait.rs`.

use crate::process::id::Generation;
use crate::process::identity::{ProcessLiveness, UnknownReason};
use crate::session::evidence::LastWorker;

/// The next step of a wait, after a look at the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a wait goes on from here"]
pub enum Next {
    /// The worker has ended.
    Ended,
    /// The worker runs: watch its processes, then look again.
    Watch,
    /// The session knows a later start. Judge the leader of this start alone.
    AskLeader,
    /// Nothing proves from here whether the worker runs.
    Unknown,
}

/// The step after a look: `started` is the start whose end is awaited, `seen` the start that the session knows, `last` the
/// state of the latter's worker.
pub fn after_look(started: Generation, seen: Generation, last: LastWorker) -> Next {
    if seen > started {
        return Next::AskLeader;
    }
    match last {
        LastWorker::Gone => Next::Ended,
        LastWorker::AliveUnobserved | LastWorker::AliveReady => Next::Watch,
        LastWorker::Unknown => Next::Unknown,
    }
}

/// The next step of a wait that judges the leader alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a wait goes on from here"]
pub enum OfLeader {
    /// The leader has ended.
    Ended,
    /// The leader runs: watch it.
    Watch,
    /// Nothing proves from here whether the leader runs; `None` if no leader is recorded.
    Unknown(Option<UnknownReason>),
}

/// The step after a look at the leader; `None` if no leader is recorded.
pub fn after_look_at_leader(leader: Option<ProcessLiveness>) -> OfLeader {
    match leader {
        Some(ProcessLiveness::Dead(_)) => OfLeader::Ended,
        Some(ProcessLiveness::Alive) => OfLeader::Watch,
        Some(ProcessLiveness::Unjudged(reason)) => OfLeader::Unknown(Some(reason)),
        None => OfLeader::Unknown(None),
    }
}
