//! Records the executor's calls, and passes them on to an implementation.

use async_trait::async_trait;
use rekindle_core::effects::{
    ChildExit, KillError, KillSignal, ReleaseError, SpawnBgResumeDeps, SpawnError, WatchError,
};
use rekindle_core::{Endpoint, LockClaim, Pid, SpawnBgPlan};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// An implementation with a record of the calls.
#[derive(Debug)]
pub struct Recording<'d, D> {
    deps: &'d D,
    watches: AtomicUsize,
    kills: Mutex<Vec<KillSignal>>,
    releases: AtomicUsize,
}

impl<'d, D> Recording<'d, D> {
    /// Records the calls to `deps` from now on.
    pub fn new(deps: &'d D) -> Self {
        Self { deps, watches: AtomicUsize::new(0), kills: Mutex::default(), releases: AtomicUsize::new(0) }
    }

    /// The number of calls of the socket watch or the exit watch.
    pub fn watches(&self) -> usize {
        self.watches.load(Ordering::Relaxed)
    }

    /// The requested signals, in order.
    pub fn kills(&self) -> Vec<KillSignal> {
        self.kills.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number of release calls.
    pub fn releases(&self) -> usize {
        self.releases.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl<D: SpawnBgResumeDeps> SpawnBgResumeDeps for Recording<'_, D> {
    type Child = D::Child;
    type Connection = D::Connection;

    async fn spawn_child(&self, plan: &SpawnBgPlan) -> Result<Self::Child, SpawnError> {
        self.deps.spawn_child(plan).await
    }

    async fn await_socket_alive(&self, endpoint: &Endpoint) -> Result<Self::Connection, WatchError> {
        self.watches.fetch_add(1, Ordering::Relaxed);
        self.deps.await_socket_alive(endpoint).await
    }

    async fn await_child_exit(&self, child: &Self::Child) -> Result<ChildExit, WatchError> {
        self.watches.fetch_add(1, Ordering::Relaxed);
        self.deps.await_child_exit(child).await
    }

    async fn await_timeout(&self, after: Duration) -> Result<(), WatchError> {
        self.deps.await_timeout(after).await
    }

    async fn kill_child(&self, child: &Self::Child, how: KillSignal) -> Result<(), KillError> {
        self.kills.lock().unwrap_or_else(PoisonError::into_inner).push(how);
        self.deps.kill_child(child, how).await
    }

    async fn release_lock(&self, claim: &LockClaim) -> Result<(), ReleaseError> {
        self.releases.fetch_add(1, Ordering::Relaxed);
        self.deps.release_lock(claim).await
    }

    fn child_pid(&self, child: &Self::Child) -> Option<Pid> {
        self.deps.child_pid(child)
    }
}
