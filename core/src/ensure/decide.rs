//! Attach, spawn, adopt or reject: facts in, one verdict out.
//!
//! # Invariants
//! 1. Every cell of the table is written down; there is no default arm.
//! 2. [`Verdict::Spawn`] is reached only from a dormant socket whose last worker is [`LastWorker::Gone`].
//! 3. [`Intent::Attach`] starts nothing; [`Intent::Resume`] and [`Intent::Restart`] attach to nothing.
//! 4. Only [`Intent::Restart`] ends a worker that was ready, and never one whose state is unknown.
//!
//! Walked exhaustively by `gates/tests/decide.rs`.

use crate::session::evidence::LastWorker;
use core::fmt;
use serde::{Deserialize, Serialize};

/// What the caller wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    /// A running worker, whether it has to be started or not.
    #[default]
    Ensure,
    /// The worker that runs already, or none.
    Attach,
    /// A new start; a live worker is in the way.
    Resume,
    /// A new start; a live worker is ended first, under the same claim.
    Restart,
}

/// What was found at the session's socket, with what its verdict needs to know besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finding {
    /// Somebody accepts connections, and it is our user.
    Live,
    /// Nothing is there, or nobody listens: the worker itself decides.
    Dormant(LastWorker),
    /// The socket could not be judged.
    Indeterminate,
    /// It is no socket, or not ours, or in a directory that others can write to.
    Forged,
}

/// How a socket was found, in the word that JSON uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Liveness {
    /// It accepts connections.
    Live,
    /// Nothing is there, or nobody listens.
    Dormant,
    /// It could not be judged.
    Indeterminate,
    /// It is not a socket of ours.
    Forged,
}

impl fmt::Display for Liveness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Finding {
    /// What a probe found, beside what is known of the last worker.
    pub fn of(liveness: Liveness, last: LastWorker) -> Self {
        match liveness {
            Liveness::Live => Self::Live,
            Liveness::Dormant => Self::Dormant(last),
            Liveness::Indeterminate => Self::Indeterminate,
            Liveness::Forged => Self::Forged,
        }
    }

    /// The finding without what is known of the last worker.
    pub fn liveness(self) -> Liveness {
        match self {
            Self::Live => Liveness::Live,
            Self::Dormant(_) => Liveness::Dormant,
            Self::Indeterminate => Liveness::Indeterminate,
            Self::Forged => Liveness::Forged,
        }
    }
}

/// Why nothing was done. A rejection never keeps a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RejectReason {
    /// The socket path cannot be used; nothing was probed.
    BadTarget,
    /// Another launcher holds the claim; nothing was probed.
    TargetLocked,
    /// Something that is not ours stands at the socket path.
    TargetAddressConflict,
    /// The socket could not be judged, and unknown is never dead.
    IndeterminateNoSpawn,
    /// There is no worker to attach to.
    NotRunning,
    /// A worker runs where a new start was asked for.
    AlreadyLive,
    /// The worker lives, had been ready, and does not answer.
    WorkerUnresponsive,
    /// Whether the last worker lives cannot be told from here.
    WorkerUnknown,
    /// The worker lives and speaks another version; it is left as it is.
    VersionMismatch,
    /// The worker lives, and answers a handshake with something else; it is left as it is.
    HandshakeFailed,
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a verdict that is dropped was never carried out"]
pub enum Verdict {
    /// Use the worker that answered.
    Attach,
    /// Start one: the last is provably gone.
    Spawn,
    /// Watch the worker whose launcher died as if it were ours.
    Adopt,
    /// End the worker that runs, then start one.
    Replace,
    /// Do nothing, and say why.
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
        (I::Restart, F::Live | F::Dormant(W::AliveUnobserved | W::AliveReady)) => Verdict::Replace,
        (I::Attach, F::Dormant(W::Gone | W::AliveUnobserved | W::AliveReady | W::Unknown)) => {
            Verdict::Reject(R::NotRunning)
        }
        (I::Ensure | I::Resume | I::Restart, F::Dormant(W::Gone)) => Verdict::Spawn,
        (I::Ensure | I::Resume, F::Dormant(W::AliveUnobserved)) => Verdict::Adopt,
        (I::Ensure | I::Resume, F::Dormant(W::AliveReady)) => Verdict::Reject(R::WorkerUnresponsive),
        (I::Ensure | I::Resume | I::Restart, F::Dormant(W::Unknown)) => Verdict::Reject(R::WorkerUnknown),
        (I::Ensure | I::Attach | I::Resume | I::Restart, F::Indeterminate) => {
            Verdict::Reject(R::IndeterminateNoSpawn)
        }
        (I::Ensure | I::Attach | I::Resume | I::Restart, F::Forged) => {
            Verdict::Reject(R::TargetAddressConflict)
        }
    }
}
