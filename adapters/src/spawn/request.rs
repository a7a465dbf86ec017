//! The inputs of a start besides the plan.

use crate::ready::notify::NotifyListener;
use crate::store::claim_lock::HeldClaim;
use crate::store::lifeline::LifelineProbe;
use jiff::Timestamp;
use rekindle_core::{Generation, Host, Nonce, SpawnBgPlan};
use std::os::fd::BorrowedFd;

/// The inputs of a start besides the plan.
#[derive(Debug)]
pub struct SpawnRequest<'a> {
    /// The plan.
    pub plan: &'a SpawnBgPlan,
    /// The claim over the start.
    pub claim: &'a HeldClaim,
    /// The number of this start of the session.
    pub generation: Generation,
    /// The worker's nonce.
    pub nonce: &'a Nonce,
    /// The fresh lifeline for the worker.
    pub lifeline: LifelineProbe,
    /// This machine, boot and namespaces.
    pub host: &'a Host,
    /// The time of the start.
    pub started_at: Timestamp,
    /// The means of readiness for the worker.
    pub provision: Provision<'a>,
}

/// The means of readiness for a worker.
#[derive(Debug, Clone, Copy)]
pub enum Provision<'a> {
    /// None: the worker opens its socket itself.
    Nothing,
    /// A launcher to notify: `NOTIFY_SOCKET`.
    NotifySocket(&'a NotifyListener),
    /// The worker's socket as descriptor 3: `LISTEN_FDS`, `LISTEN_PID`, `LISTEN_FDNAMES`. The child calls `listen`, so
    /// the kernel names the worker as the listener, not the launcher.
    Socket(BorrowedFd<'a>),
}
