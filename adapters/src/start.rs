//! One start under the claim: its order, and the record that goes with it.
//!
//! Everything here is a seam of [`rekindle_core::execute`] wrapped around a plain one: the spawner prepares the session
//! before its process exists, the watchers note what was observed, the releaser completes the record before the claim
//! goes.
//!
//! # Invariants
//! 1. The order of a start: fresh lifeline, stale socket removed, record `starting`, then the process.
//! 2. The record is completed before the claim is released, by what the machine heard: an exit beats a socket.
//! 3. A record that cannot be completed loses nothing: the lifeline holds the worker's identity.
//!
//! Checked by `smoke/tests/smoke/s3_*.rs`.

use crate::probe::{self, Connection, Probed};
use crate::seams::{ClaimReleaser, PidfdExitWatcher, PollingSocketWatcher, SharedClaim};
use crate::session_dir::SessionDir;
use crate::spawn::{SpawnRequest, spawn};
use crate::worker::Worker;
use crate::{clock, lifeline, procfs, program, random, record_file};
use async_trait::async_trait;
use rekindle_core::seams::{ExitWatcher, Releaser, SocketWatcher, Spawner};
use rekindle_core::{
    ChildExit, Generation, Host, LockClaim, OsFailure, ProcessIdentity, ReleaseError, SessionRecord,
    SpawnBgPlan, SpawnError, WatchError,
};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A start in progress, shared by its seams.
#[derive(Debug, Clone)]
pub struct Start {
    claim: SharedClaim,
    here: Arc<Host>,
    notes: Arc<Mutex<Notes>>,
    spawn_on: SpawnOn,
}

/// Which thread waits in the kernel while a worker is born.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SpawnOn {
    /// One of the runtime's own for blocking work, so that nothing else has to wait.
    #[default]
    BlockingThread,
    /// The one that asks: for programs that have nothing else to do, and then need no second thread.
    CallingThread,
}

/// What has been written down, and what has been seen since.
#[derive(Debug, Default)]
struct Notes {
    record: Option<SessionRecord>,
    peer: Option<Option<ProcessIdentity>>,
    exit: Option<ChildExit>,
}

impl Start {
    /// A start under `claim`; `record` is that of the worker to be adopted, if one is.
    pub fn new(claim: SharedClaim, here: Arc<Host>, record: Option<SessionRecord>) -> Self {
        let notes = Arc::new(Mutex::new(Notes { record, ..Notes::default() }));
        Self { claim, here, notes, spawn_on: SpawnOn::default() }
    }

    /// The same start, with its worker spawned by another thread.
    #[must_use]
    pub fn spawn_on(self, thread: SpawnOn) -> Self {
        Self { spawn_on: thread, ..self }
    }

    /// The record as it stands.
    pub fn record(&self) -> Option<SessionRecord> {
        self.note(|notes| notes.record.clone())
    }

    fn note<T>(&self, action: impl FnOnce(&mut Notes) -> T) -> T {
        // A panic elsewhere does not undo what was seen.
        action(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that a connection was made, and who listens: only a process that runs now can be meant.
    pub fn note_alive(&self, connection: &Connection) {
        let peer = connection.peer().and_then(|pid| procfs::identify(pid, &self.here));
        self.note(|notes| notes.peer = Some(peer));
    }

    /// Writes down what was observed, while the claim is still held.
    pub fn complete(&self) {
        let (observed, exited) = self.note(|notes| {
            let record = notes.record.take();
            let observed = record.map(|record| match (notes.exit, notes.peer.take()) {
                (Some(exit), _) => record.into_exited(clock::now(), exit),
                (None, Some(peer)) => record.into_ready(clock::now(), peer),
                (None, None) => record.into_never_started(clock::now()),
            });
            notes.record.clone_from(&observed);
            (observed, notes.exit.is_some())
        });
        if let Some(record) = observed {
            self.write(&record);
            if exited {
                self.claim.with(|held| clear_socket(held.dir(), &record.socket));
            }
        }
    }

    /// Marks the record and the claim retained.
    ///
    /// # Errors
    /// If the claim cannot be marked.
    pub fn retain(&self) -> Result<(), OsFailure> {
        if let Some(record) = self.record() {
            self.write(&record.into_retained());
        }
        self.claim.take().map_or(Ok(()), |held| held.retain().map(drop))
    }

    fn write(&self, record: &SessionRecord) {
        let written = self.claim.with(|held| record_file::write(held.dir(), record));
        if let Some(Err(error)) = written {
            tracing::warn!(session = %record.session, %error, "the record could not be completed");
        }
    }
}

/// Removes a socket on which nobody listens any more. What answers, or is no socket of ours, stays.
///
/// Only under the claim, once its worker is provably gone.
pub fn clear_socket(dir: &SessionDir, socket: &Path) {
    if let Err(error) = remove_stale_socket(socket) {
        tracing::warn!(session = %dir.session(), %error, "a stale socket was left where it is");
    }
}

fn remove_stale_socket(socket: &Path) -> Result<(), SpawnError> {
    let busy = |why: &str| SpawnError::Abandoned { why: format!("`{}`: {why}", socket.display()) };
    match probe::probe_once(socket) {
        Probed::Dormant { .. } => {}
        Probed::Live(_) => return Err(busy("somebody answers on it now")),
        other @ (Probed::Indeterminate { .. } | Probed::Forged { .. }) => return Err(busy(other.why())),
    }
    match std::fs::remove_file(socket) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(OsFailure::new("remove the stale socket", error.to_string()).on(socket).into()),
    }
}

/// Starts a new worker, in the order that was found to be safe.
#[derive(Debug)]
pub struct FreshWorker {
    start: Start,
    generation: Generation,
}

impl FreshWorker {
    /// A worker that will be `generation`.
    pub fn new(start: &Start, generation: Generation) -> Self {
        Self { start: start.clone(), generation }
    }
}

#[async_trait]
impl Spawner<Worker> for FreshWorker {
    async fn spawn_child(&self, plan: &SpawnBgPlan) -> Result<Worker, SpawnError> {
        match self.start.spawn_on {
            SpawnOn::CallingThread => self.start.spawn(plan, self.generation),
            SpawnOn::BlockingThread => {
                let (start, plan, generation) = (self.start.clone(), plan.clone(), self.generation);
                tokio::task::spawn_blocking(move || start.spawn(&plan, generation))
                    .await
                    .unwrap_or_else(|error| Err(OsFailure::new("spawn the worker", error.to_string()).into()))
            }
        }
    }
}

impl Start {
    fn spawn(&self, plan: &SpawnBgPlan, generation: Generation) -> Result<Worker, SpawnError> {
        // A program that does not exist changes nothing.
        program::resolve(plan.program().ok_or(SpawnError::NoProgram)?)?;
        let spawned = self.claim.with(|held| {
            let dir = held.dir();
            dir.require_in_place()?;
            let lifeline = lifeline::renew(dir)?;
            remove_stale_socket(&plan.expected_socket_path)?;
            let launcher = procfs::this_process(&self.here);
            let nonce = random::nonce()?;
            let record = SessionRecord::starting(plan, generation, nonce.clone(), launcher, clock::now());
            record_file::write(dir, &record)?;
            self.note(|notes| notes.record = Some(record));
            spawn(SpawnRequest { plan, claim: held, generation, nonce: &nonce, lifeline, host: &self.here })
        });
        let worker =
            spawned.unwrap_or_else(|| Err(SpawnError::Abandoned { why: "its claim is gone".into() }))?;
        let record = self.note(|notes| {
            let record = notes.record.as_mut()?;
            record.worker = worker.identity().cloned();
            Some(record.clone())
        });
        if let Some(record) = record {
            self.write(&record);
        }
        Ok(worker)
    }
}

/// Takes over a worker whose launcher died, in place of starting one.
#[derive(Debug)]
pub struct FoundWorker {
    worker: Mutex<Option<Worker>>,
}

impl FoundWorker {
    /// A worker that runs already.
    pub fn new(worker: Worker) -> Self {
        Self { worker: Mutex::new(Some(worker)) }
    }
}

#[async_trait]
impl Spawner<Worker> for FoundWorker {
    async fn spawn_child(&self, _plan: &SpawnBgPlan) -> Result<Worker, SpawnError> {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        worker.ok_or_else(|| SpawnError::Abandoned { why: "the worker was adopted already".into() })
    }
}

/// Watches a socket, and notes who answered.
pub(crate) struct NotingSocketWatcher(pub(crate) Start);

#[async_trait]
impl SocketWatcher<Connection> for NotingSocketWatcher {
    async fn await_socket_alive(&self, socket: &Path) -> Result<Connection, WatchError> {
        let connection = PollingSocketWatcher.await_socket_alive(socket).await?;
        self.0.note_alive(&connection);
        Ok(connection)
    }
}

/// Watches a worker's exit, and notes how it ended.
pub(crate) struct NotingExitWatcher(pub(crate) Start);

#[async_trait]
impl ExitWatcher<Worker> for NotingExitWatcher {
    async fn await_child_exit(&self, child: &Worker) -> Result<ChildExit, WatchError> {
        let exit = PidfdExitWatcher.await_child_exit(child).await?;
        self.0.note(|notes| notes.exit = Some(exit));
        Ok(exit)
    }
}

/// Completes the record, then releases the claim.
pub(crate) struct CompletingReleaser(pub(crate) Start);

#[async_trait]
impl Releaser for CompletingReleaser {
    async fn release_lock(&self, claim: &LockClaim) -> Result<(), ReleaseError> {
        self.0.complete();
        ClaimReleaser::new(self.0.claim.clone()).release_lock(claim).await
    }
}
