//! [`ProductionSpawnBgResumeDeps`]: the seams of one start, assembled. Each seam can be replaced.

use crate::endpoint::probe::Connection;
use crate::ready::watcher::{ExtendingTimer, ReadinessWatcher};
use crate::start::found::FoundWorker;
use crate::start::fresh::FreshWorker;
use crate::start::progress::{CompletingReleaser, NotingExitWatcher, NotingKiller, Start};
use crate::worker::Worker;
use async_trait::async_trait;
use rekindle_core::seams::{ExitWatcher, Killer, Releaser, SocketWatcher, Spawner, Timer};
use rekindle_core::{
    ChildExit, Endpoint, Generation, KillError, KillSignal, LockClaim, Pid, ReleaseError, SpawnBgPlan,
    SpawnBgResumeDeps, SpawnError, WatchError,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The effects of one start on the real operating system.
pub struct ProductionSpawnBgResumeDeps {
    spawner: Arc<dyn Spawner<Worker>>,
    socket_watcher: Arc<dyn SocketWatcher<Connection>>,
    exit_watcher: Arc<dyn ExitWatcher<Worker>>,
    timer: Arc<dyn Timer>,
    killer: Arc<dyn Killer<Worker>>,
    releaser: Arc<dyn Releaser>,
}

impl fmt::Debug for ProductionSpawnBgResumeDeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProductionSpawnBgResumeDeps").finish_non_exhaustive()
    }
}

/// A builder of [`ProductionSpawnBgResumeDeps`].
#[must_use = "a builder does nothing until it is built"]
pub struct Builder(ProductionSpawnBgResumeDeps);

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ProductionSpawnBgResumeDeps {
    /// The effects of starting a new worker, as `generation`.
    pub fn fresh(start: &Start, generation: Generation) -> Builder {
        Self::of(start, FreshWorker::new(start, generation))
    }

    /// The effects of watching another launcher's worker as if the worker were ours.
    pub fn adopting(start: &Start, worker: Worker) -> Builder {
        Self::of(start, FoundWorker::new(start, worker))
    }

    fn of(start: &Start, spawner: impl Spawner<Worker> + 'static) -> Builder {
        Builder(Self {
            spawner: Arc::new(spawner),
            socket_watcher: Arc::new(ReadinessWatcher(start.clone())),
            exit_watcher: Arc::new(NotingExitWatcher(start.clone())),
            timer: Arc::new(ExtendingTimer::new(start)),
            killer: Arc::new(NotingKiller(start.clone())),
            releaser: Arc::new(CompletingReleaser(start.clone())),
        })
    }
}

impl Builder {
    /// Replaces the spawner.
    pub fn spawner(mut self, spawner: impl Spawner<Worker> + 'static) -> Self {
        self.0.spawner = Arc::new(spawner);
        self
    }

    /// Replaces the socket watch. The new watcher should report the connection to [`Start::note_alive`], so the record
    /// names the answering process.
    pub fn socket_watcher(mut self, watcher: impl SocketWatcher<Connection> + 'static) -> Self {
        self.0.socket_watcher = Arc::new(watcher);
        self
    }

    /// Replaces the exit watch.
    pub fn exit_watcher(mut self, watcher: impl ExitWatcher<Worker> + 'static) -> Self {
        self.0.exit_watcher = Arc::new(watcher);
        self
    }

    /// Replaces the timer.
    pub fn timer(mut self, timer: impl Timer + 'static) -> Self {
        self.0.timer = Arc::new(timer);
        self
    }

    /// Replaces the killer.
    pub fn killer(mut self, killer: impl Killer<Worker> + 'static) -> Self {
        self.0.killer = Arc::new(killer);
        self
    }

    /// Replaces the releaser.
    pub fn releaser(mut self, releaser: impl Releaser + 'static) -> Self {
        self.0.releaser = Arc::new(releaser);
        self
    }

    /// Builds the effects.
    pub fn build(self) -> ProductionSpawnBgResumeDeps {
        self.0
    }
}

#[async_trait]
impl SpawnBgResumeDeps for ProductionSpawnBgResumeDeps {
    type Child = Worker;
    type Connection = Connection;

    async fn spawn_child(&self, plan: &SpawnBgPlan) -> Result<Worker, SpawnError> {
        self.spawner.spawn_child(plan).await
    }

    async fn await_socket_alive(&self, endpoint: &Endpoint) -> Result<Connection, WatchError> {
        self.socket_watcher.await_socket_alive(endpoint).await
    }

    async fn await_child_exit(&self, child: &Worker) -> Result<ChildExit, WatchError> {
        self.exit_watcher.await_child_exit(child).await
    }

    async fn await_timeout(&self, after: Duration) -> Result<(), WatchError> {
        self.timer.await_timeout(after).await
    }

    async fn kill_child(&self, child: &Worker, how: KillSignal) -> Result<(), KillError> {
        self.killer.kill_child(child, how).await
    }

    async fn release_lock(&self, claim: &LockClaim) -> Result<(), ReleaseError> {
        self.releaser.release_lock(claim).await
    }

    fn child_pid(&self, child: &Worker) -> Option<Pid> {
        child.pid()
    }
}
