//! The production seams of a start; the seams that watch for readiness are in `ready`.

use crate::store::claim_lock::HeldClaim;
use crate::worker::{self, Worker};
use async_trait::async_trait;
use rekindle_core::seams::{ExitWatcher, Killer, Timer};
use rekindle_core::{ChildExit, KillError, KillSignal, WatchError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use crate::ready::connect::PollingSocketWatcher;

/// Watches a worker by its pidfd and its lifeline.
#[derive(Debug, Default, Clone, Copy)]
pub struct PidfdExitWatcher;

#[async_trait]
impl ExitWatcher<Worker> for PidfdExitWatcher {
    async fn await_child_exit(&self, child: &Worker) -> Result<ChildExit, WatchError> {
        worker::await_exit(child).await
    }
}

/// Waits on tokio's clock, which is monotonic and stands still while the machine is suspended.
#[derive(Debug, Default, Clone, Copy)]
pub struct TokioTimer;

#[async_trait]
impl Timer for TokioTimer {
    async fn await_timeout(&self, after: Duration) -> Result<(), WatchError> {
        tokio::time::sleep(after).await;
        Ok(())
    }
}

/// Signals every process of a worker.
#[derive(Debug, Default, Clone, Copy)]
pub struct GroupKiller;

#[async_trait]
impl Killer<Worker> for GroupKiller {
    async fn kill_child(&self, child: &Worker, how: KillSignal) -> Result<(), KillError> {
        worker::signal(child, how)
    }
}

/// A claim shared by several parts of one start. The part that takes the claim out gives the claim up.
#[derive(Debug, Clone)]
pub struct SharedClaim(Arc<Mutex<Option<HeldClaim>>>);

impl SharedClaim {
    /// Shares a claim.
    pub fn new(claim: HeldClaim) -> Self {
        Self(Arc::new(Mutex::new(Some(claim))))
    }

    /// Runs `action` under the claim; `None` if the claim was given up already.
    pub fn with<T>(&self, action: impl FnOnce(&HeldClaim) -> T) -> Option<T> {
        // A panic elsewhere does not change what is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(action)
    }

    /// Takes the claim out, so the claim is given up only once.
    pub fn take(&self) -> Option<HeldClaim> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
