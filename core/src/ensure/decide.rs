//! Attach, spawn, adopt or reject: facts in, one verdict out.
//!
//! # Invariants
//! 1. Every cell of the table is written down; there is no default arm.
//! 2. [`Verdict::Spawn`] is reached only from a dormant socket whose last worker is [`LastWorker::Gone`].
//! 3. [`Intent::Attach`] starts no worker; [`Intent::Resume`], [`Intent::Restart`] and [`Intent::RestartIfRunning`] attach
//!    to no worker. [`Intent::RestartIfRunning`] starts no worker, except in the place of another.
//! 4. Only [`Intent::Restart`] and [`Intent::RestartIfRunning`] end a ready worker, and no intent ends a worker in an unknown state.
//!
//! Walked exhaustively by `gates/tests/decide.rs`.

use crate::session::evidence::LastWorker;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The caller's intent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    /// Use the running worker, or start a worker.
    #[default]
    Ensure,
    /// Use the running worker, and start none.
    Attach,
    /// Start a worker; a live worker is a conflict.
    Resume,
    /// Start a worker, after the end of a live worker under the same claim.
    Restart,
    /// As [`Intent::Restart`], if a worker runs; else start none.
    RestartIfRunning,
}

impl Intent {
    /// Whether a running worker is ended first.
    pub const fn is_restart(self) -> bool {
        match self {
            Self::Restart | Self::RestartIfRunning => true,
            Self::Ensure | Self::Attach | Self::Resume => false,
        }
    }
}

/// The treatment of a process that answers at the endpoint, if no worker of ours may run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unrecorded {
    /// Taken for the session's worker, as not managed.
    #[default]
    Taken,
    /// Refused.
    Refused,
}

/// The finding at the session's endpoint, with the facts for the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finding {
    /// A process of our user accepts connections.
    Live,
    /// A process of our user accepts connections, no worker of ours may run, and the caller takes only recorded workers.
    Unrecorded,
    /// The socket is absent, or no process listens: the state of the last worker decides.
    Dormant(LastWorker),
    /// The socket could not be judged.
    Indeterminate,
    /// The path leads to no socket, to a foreign socket, or through a directory that others can write to.
    Forged,
}

/// The state of an endpoint, serialized under the name in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Liveness {
    /// The endpoint accepts connections; or there is none, and the worker runs.
    Live,
    /// No process listens at the endpoint.
    Dormant,
    /// The endpoint could not be judged.
    Indeterminate,
    /// The path leads to no socket of ours, or a stranger listens on the port.
    Forged,
}

impl fmt::Display for Liveness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Finding {
    /// The finding of a probe, with the state of the last worker.
    pub fn of(liveness: Liveness, last: LastWorker) -> Self {
        match liveness {
            Liveness::Live => Self::Live,
            Liveness::Dormant => Self::Dormant(last),
            Liveness::Indeterminate => Self::Indeterminate,
            Liveness::Forged => Self::Forged,
        }
    }

    /// The same finding, for a caller that may take only recorded workers; `may_be_ours` tells whether a worker of ours may
    /// run.
    #[must_use]
    pub fn judged_by(self, policy: Unrecorded, may_be_ours: bool) -> Self {
        match (self, policy) {
            (Self::Live, Unrecorded::Refused) if !may_be_ours => Self::Unrecorded,
            (Self::Live | Self::Unrecorded | Self::Dormant(_) | Self::Indeterminate | Self::Forged, _) => {
                self
            }
        }
    }

    /// The finding without the state of the last worker.
    pub fn liveness(self) -> Liveness {
        match self {
            Self::Live | Self::Unrecorded => Liveness::Live,
            Self::Dormant(_) => Liveness::Dormant,
            Self::Indeterminate => Liveness::Indeterminate,
            Self::Forged => Liveness::Forged,
        }
    }
}

/// The reason for a rejection. A rejection keeps no claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RejectReason {
    /// The socket path cannot be used; nothing was probed.
    BadTarget,
    /// Another launcher holds the claim; nothing was probed.
    TargetLocked,
    /// A foreign file or socket occupies the socket path.
    TargetAddressConflict,
    /// The socket could not be judged, and an unknown state is never taken for dead.
    IndeterminateNoSpawn,
    /// There is no worker to attach to.
    NotRunning,
    /// The worker runs, and answers nowhere: there is nothing to attach to.
    NoEndpoint,
    /// A process answers that no record names, and the caller takes only recorded workers.
    RecordLessSocket,
    /// A worker runs, and the caller asked for a new start.
    AlreadyLive,
    /// The worker lives, had been ready, and does not answer.
    WorkerUnresponsive,
    /// The state of the last worker is unknown.
    WorkerUnknown,
    /// The worker lives and speaks another version; the call leaves the worker alone.
    VersionMismatch,
    /// The worker lives, and fails the handshake; the call leaves the worker alone.
    HandshakeFailed,
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The decision about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a verdict that is dropped was never carried out"]
pub enum Verdict {
    /// Use the answering worker.
    Attach,
    /// Start a worker: the last worker is provably gone.
    Spawn,
    /// Watch the worker of a dead launcher like a child of ours.
    Adopt,
    /// End the running worker, then start another.
    Replace,
    /// Do nothing, and report the reason.
    Reject(RejectReason),
}

/// Decides about one session.
///
/// ```
/// use rekindle_core::{Finding, Intent, LastWorker, Verdict, decide};
///
/// assert_eq!(decide(Intent::Ensure, Finding::Live), Verdict::Attach);
/// assert_eq!(decide(Intent::Ensure, Finding::Dormant(LastWorker::Gone)), Verdict::Spawn);
/// assert_eq!(decide(Intent::Ensure, Finding::Dormant(LastWorker::AliveUnobserved)), Verdict::Adopt);
/// ```
pub fn decide(intent: Intent, finding: Finding) -> Verdict {
    use {Finding as F, Intent as I, LastWorker as W, RejectReason as R};
    match (intent, finding) {
        (I::Ensure | I::Attach, F::Live) => Verdict::Attach,
        (I::Resume, F::Live) => Verdict::Reject(R::AlreadyLive),
        (I::Restart | I::RestartIfRunning, F::Live | F::Dormant(W::AliveUnobserved | W::AliveReady)) => {
            Verdict::Replace
        }
        (I::Ensure | I::Attach | I::Resume | I::Restart | I::RestartIfRunning, F::Unrecorded) => {
            Verdict::Reject(R::RecordLessSocket)
        }
        (I::Attach, F::Dormant(W::Gone | W::AliveUnobserved | W::AliveReady | W::Unknown)) => {
            Verdict::Reject(R::NotRunning)
        }
        (I::RestartIfRunning, F::Dormant(W::Gone)) => Verdict::Reject(R::NotRunning),
        (I::Ensure | I::Resume | I::Restart, F::Dormant(W::Gone)) => Verdict::Spawn,
        (I::Ensure | I::Resume, F::Dormant(W::AliveUnobserved)) => Verdict::Adopt,
        (I::Ensure | I::Resume, F::Dormant(W::AliveReady)) => Verdict::Reject(R::WorkerUnresponsive),
        (I::Ensure | I::Resume | I::Restart | I::RestartIfRunning, F::Dormant(W::Unknown)) => {
            Verdict::Reject(R::WorkerUnknown)
        }
        (I::Ensure | I::Attach | I::Resume | I::Restart | I::RestartIfRunning, F::Indeterminate) => {
            Verdict::Reject(R::IndeterminateNoSpawn)
        }
        (I::Ensure | I::Attach | I::Resume | I::Restart | I::RestartIfRunning, F::Forged) => {
            Verdict::Reject(R::TargetAddressConflict)
        }
    }
}
