//! What a start needs besides its plan.

use crate::endpoint::bound::BoundSocket;
use crate::ready::notify::NotifyListener;
use crate::store::claim_lock::HeldClaim;
use crate::store::lifeline::LifelineProbe;
use jiff::Timestamp;
use rekindle_core::{Generation, Host, Nonce, SpawnBgPlan};

/// What a start needs besides its plan.
#[derive(Debug)]
pub struct SpawnRequest<'a> {
    /// What to start.
    pub plan: &'a SpawnBgPlan,
    /// The claim under which it is started.
    pub claim: &'a HeldClaim,
    /// Which start of the session it is.
    pub generation: Generation,
    /// What the worker is told to know itself by.
    pub nonce: &'a Nonce,
    /// The fresh lifeline that it will take.
    pub lifeline: LifelineProbe,
    /// Where we are.
    pub host: &'a Host,
    /// When the start began.
    pub started_at: Timestamp,
    /// What it gets to become ready with.
    pub provision: Provision<'a>,
}

/// What a worker gets to become ready with.
#[derive(Debug, Clone, Copy)]
pub enum Provision<'a> {
    /// Nothing: it opens its socket itself.
    Nothing,
    /// Somebody to tell that it is ready: `NOTIFY_SOCKET`.
    NotifySocket(&'a NotifyListener),
    /// The socket on which it is to answer, as descriptor 3: `LISTEN_FDS`, `LISTEN_PID`, `LISTEN_FDNAMES`. The child
    /// itself begins to listen on it, so that the kernel names the worker, and not its launcher, as the listener.
    Socket(&'a BoundSocket),
}
