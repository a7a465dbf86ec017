//! The effects of a start one by one, so that each can be replaced alone.
//!
//! [`SpawnBgResumeDeps`](crate::SpawnBgResumeDeps) is their sum. An adapter implements them one at a time; whoever
//! composes a start may put its own in the place of any, or wrap one to see what passes through. Errors and cancel
//! safety are those of the method with the same name in [`crate::effects`].

use crate::claim::LockClaim;
use crate::effects::{ChildExit, KillError, KillSignal, ReleaseError, SpawnError, WatchError};
use crate::prelude::*;
use crate::session::plan::SpawnBgPlan;
use async_trait::async_trait;

/// Starts a worker, or takes over one that was started before.
#[async_trait]
pub trait Spawner<Child>: Send + Sync {
    /// See [`spawn_child`](crate::SpawnBgResumeDeps::spawn_child).
    async fn spawn_child(&self, plan: &SpawnBgPlan) -> Result<Child, SpawnError>;
}

/// Waits for a socket to answer.
#[async_trait]
pub trait SocketWatcher<Connection>: Send + Sync {
    /// See [`await_socket_alive`](crate::SpawnBgResumeDeps::await_socket_alive).
    async fn await_socket_alive(&self, socket: &Path) -> Result<Connection, WatchError>;
}

/// Waits for a worker to end.
#[async_trait]
pub trait ExitWatcher<Child>: Send + Sync {
    /// See [`await_child_exit`](crate::SpawnBgResumeDeps::await_child_exit).
    async fn await_child_exit(&self, child: &Child) -> Result<ChildExit, WatchError>;
}

/// Waits.
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

/// Gives a claim up.
#[async_trait]
pub trait Releaser: Send + Sync {
    /// See [`release_lock`](crate::SpawnBgResumeDeps::release_lock).
    async fn release_lock(&self, claim: &LockClaim) -> Result<(), ReleaseError>;
}
