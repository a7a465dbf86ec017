//! The effects of a start, each as a separate trait, so that a caller can replace each effect alone.
//!
//! [`SpawnBgResumeDeps`](crate::SpawnBgResumeDeps) is the sum of the seams. An adapter implements a single seam. The
//! program that composes a start may replace any seam, or wrap a seam to observe the calls. Errors and cancel safety
//! are the same as for the method of the same name in [`crate::effects`].

use crate::claim::LockClaim;
use crate::effects::{ChildExit, KillError, KillSignal, ReleaseError, SpawnError, WatchError};
use crate::prelude::*;
use crate::session::endpoint::Endpoint;
use crate::session::plan::SpawnBgPlan;
use async_trait::async_trait;

/// Starts a worker, or takes over a running worker.
#[async_trait]
pub trait Spawner<Child>: Send + Sync {
    /// See [`spawn_child`](crate::SpawnBgResumeDeps::spawn_child).
    async fn spawn_child(&self, plan: &SpawnBgPlan) -> Result<Child, SpawnError>;
}

/// Waits until a worker is ready at its endpoint.
#[async_trait]
pub trait SocketWatcher<Connection>: Send + Sync {
    /// See [`await_socket_alive`](crate::SpawnBgResumeDeps::await_socket_alive).
    async fn await_socket_alive(&self, endpoint: &Endpoint) -> Result<Connection, WatchError>;
}

/// Waits for a worker to end.
#[async_trait]
pub trait ExitWatcher<Child>: Send + Sync {
    /// See [`await_child_exit`](crate::SpawnBgResumeDeps::await_child_exit).
    async fn await_child_exit(&self, child: &Child) -> Result<ChildExit, WatchError>;
}

/// Waits for a duration.
#[async_trait]
pub trait Timer: Send + Sync {
    /// See [`await_timeout`](crate::SpawnBgResumeDeps::await_timeout).
    async fn await_timeout(&self, after: Duration) -> Result<(), WatchError>;
}

/// Signals a worker.
#[async_trait]
pub trait Killer<Child>: Send + Sync {
    /// See [`kill_child`](crate::SpawnBgResumeDeps::kill_child).
    async fn kill_child(&self, child: &Child, how: KillSignal) -> Result<(), KillError>;
}

/// Releases a claim.
#[async_trait]
pub trait Releaser: Send + Sync {
    /// See [`release_lock`](crate::SpawnBgResumeDeps::release_lock).
    async fn release_lock(&self, claim: &LockClaim) -> Result<(), ReleaseError>;
}
