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
//! Checked by `smoke/tests/smoke/session/*.rs`.

use crate::endpoint::bound::BoundSocket;
use crate::endpoint::probe::Connection;
use crate::endpoint::socket_file;
use crate::ready::notify::NotifyListener;
use crate::spawn::program;
use crate::spawn::{Provision, SpawnRequest, spawn};
use crate::start::seams::{ClaimReleaser, PidfdExitWatcher, SharedClaim};
use crate::store::claim_lock::HeldClaim;
use crate::store::lifeline;
use crate::store::record_file;
use crate::store::session_dir::SessionDir;
use crate::sys::linux::clock;
use crate::sys::linux::procfs;
use crate::sys::linux::random;
use crate::worker::Worker;
use async_trait::async_trait;
use rekindle_core::notify::Notices;
use rekindle_core::protocol::Version;
use rekindle_core::record::SocketFile;
use rekindle_core::seams::{ExitWatcher, Releaser, Spawner};
use rekindle_core::{
    ChildExit, Generation, Host, Lifeline, LockClaim, OsFailure, ProcessIdentity, ReadyKind, RecordState,
    ReleaseError, SessionRecord, SpawnBgPlan, SpawnError, WatchError,
};
use std::sync::{Arc, Mutex, PoisonError};

/// A start in progress, shared by its seams.
#[derive(Debug, Clone)]
pub struct Start {
    claim: SharedClaim,
    here: Arc<Host>,
    notes: Arc<Mutex<Notes>>,
    spawn_on: SpawnOn,
    left_behind: Option<SocketFile>,
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
    version: Option<Version>,
    exit: Option<ChildExit>,
    notify_listener: Option<Arc<NotifyListener>>,
}

impl Start {
    /// A start under `claim`; `record` is that of the worker to be adopted, if one is.
    pub fn new(claim: SharedClaim, here: Arc<Host>, record: Option<SessionRecord>) -> Self {
        let notes = Arc::new(Mutex::new(Notes { record, ..Notes::default() }));
        Self { claim, here, notes, spawn_on: SpawnOn::default(), left_behind: None }
    }

    /// The same start, which may remove the socket file that the last worker left behind.
    #[must_use]
    pub fn replacing(self, left_behind: Option<SocketFile>) -> Self {
        Self { left_behind, ..self }
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

    /// What the worker says about itself, where it says anything.
    pub fn notices(&self) -> Option<Notices> {
        self.notify_listener().map(|listener| listener.notices())
    }

    /// What counts as ready.
    pub(crate) fn readiness(&self) -> ReadyKind {
        self.note(|notes| notes.record.as_ref().map(|record| record.readiness)).unwrap_or_default()
    }

    pub(crate) fn notify_listener(&self) -> Option<Arc<NotifyListener>> {
        self.note(|notes| notes.notify_listener.clone())
    }

    /// Notes that a connection was made, and who listens: only a process that runs now can be meant.
    pub fn note_alive(&self, connection: &Connection) {
        let peer = connection.peer().and_then(|pid| procfs::identify(pid, &self.here));
        let version = connection.greeting().map(|greeting| greeting.version.clone());
        self.note(|notes| notes.version = version.or_else(|| notes.version.take()));
        self.note_ready(peer);
    }

    /// Notes that the worker is ready, and which of its processes answers, where that is known.
    pub(crate) fn note_ready(&self, peer: Option<ProcessIdentity>) {
        self.note(|notes| notes.peer = Some(peer));
    }

    /// The process that was started, where the record says.
    pub(crate) fn leader(&self) -> Option<ProcessIdentity> {
        self.note(|notes| notes.record.as_ref()?.worker.clone())
    }

    /// Writes down what was observed, while the claim is still held.
    pub fn complete(&self) {
        let (observed, exited) = self.note(|notes| {
            let record = notes.record.take();
            let observed = record.map(|record| match (notes.exit, notes.peer.take()) {
                (Some(exit), _) => record.into_exited(clock::now(), exit),
                (None, Some(peer)) => record.into_ready(clock::now(), peer).reporting(notes.version.take()),
                (None, None) => record.into_never_started(clock::now()),
            });
            (observed, notes.exit.is_some())
        });
        self.stop_listening();
        let Some(record) = observed else { return };
        let record = if record.state == RecordState::Ready { self.guarded(record) } else { record };
        self.note(|notes| notes.record = Some(record.clone()));
        self.write(&record);
        if exited {
            self.claim.with(|held| socket_file::clear(held.dir(), &record.socket, record.socket_file));
        }
    }

    /// The record of a worker that is ready, with what guards it now.
    fn guarded(&self, record: SessionRecord) -> SessionRecord {
        let asked = self.claim.with(|held| Some(lifeline::open(held.dir()).ok()??.ask()));
        let socket_file = socket_file::file_at(&record.socket);
        record.guarded_by(asked.flatten().unwrap_or(Lifeline::Unreadable), socket_file)
    }

    /// Marks the record and the claim retained.
    ///
    /// # Errors
    /// If the claim cannot be marked.
    pub fn retain(&self) -> Result<(), ReleaseError> {
        self.stop_listening();
        if let Some(record) = self.record() {
            self.write(&record.into_retained());
        }
        self.claim.take().map_or(Ok(()), |held| held.retain().map(drop))
    }

    /// The socket goes while the claim is held; what was heard stays.
    fn stop_listening(&self) {
        if let Some(listener) = self.notify_listener() {
            self.claim.with(|_| listener.close());
        }
    }

    fn write(&self, record: &SessionRecord) {
        let written = self.claim.with(|held| record_file::write(held.dir(), record));
        if let Some(Err(error)) = written {
            tracing::warn!(session = %record.session, %error, "the record could not be completed");
        }
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
        if plan.cwd.as_os_str().is_empty() {
            return Err(SpawnError::NoWorkingDirectory);
        }
        let spawned = self.claim.with(|held| self.spawn_under(held, plan, generation));
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

    fn spawn_under(
        &self,
        held: &HeldClaim,
        plan: &SpawnBgPlan,
        generation: Generation,
    ) -> Result<Worker, SpawnError> {
        let dir = held.dir();
        dir.require_in_place()?;
        let lifeline = lifeline::renew(dir)?;
        socket_file::make_room(dir, &plan.expected_socket_path, self.left_behind)?;
        let launcher = procfs::this_process(&self.here);
        let (nonce, started_at) = (random::nonce()?, clock::now());
        let record = SessionRecord::starting(plan, generation, nonce.clone(), launcher, started_at);
        record_file::write(dir, &record)?;
        self.note(|notes| notes.record = Some(record));
        let spawn_with = |provision| {
            let (nonce, host) = (&nonce, &*self.here);
            spawn(SpawnRequest {
                plan,
                claim: held,
                generation,
                nonce,
                lifeline,
                host,
                started_at,
                provision,
            })
        };
        match plan.ready {
            ReadyKind::Notify => {
                let notices = Notices::none(plan.observe_timeout);
                let listener = self.open_notify_listener(dir, notices)?;
                let worker =
                    spawn_with(Provision::NotifySocket(&listener)).inspect_err(|_| listener.close())?;
                // It runs: whom nobody can recognise is not believed, and ended when its time is up.
                if let Err(error) = listener.listen_to(&worker) {
                    tracing::warn!(session = %plan.session_id, %error, "the worker will not be recognised");
                }
                Ok(worker)
            }
            ReadyKind::Listen => {
                let socket = BoundSocket::stream(&plan.expected_socket_path)?;
                // Our copy goes with this scope: once the worker is dead, nobody is left who listens.
                spawn_with(Provision::Socket(&socket)).inspect_err(|_| socket.remove())
            }
            ReadyKind::Connect | _ => spawn_with(Provision::Nothing),
        }
    }

    fn open_notify_listener(
        &self,
        dir: &SessionDir,
        notices: Notices,
    ) -> Result<Arc<NotifyListener>, OsFailure> {
        let listener = Arc::new(NotifyListener::open(dir, self.here.clone(), notices)?);
        self.note(|notes| notes.notify_listener = Some(listener.clone()));
        Ok(listener)
    }

    /// Hears what a worker says from now on whose launcher died.
    fn hear_again(&self, worker: &Worker, plan: &SpawnBgPlan) -> Result<(), OsFailure> {
        let notices = Notices::missed(plan.observe_timeout);
        let listener = self.claim.with(|held| self.open_notify_listener(held.dir(), notices)).transpose()?;
        listener.map_or(Ok(()), |listener| listener.listen_to(worker))
    }
}

/// Takes over a worker whose launcher died, in place of starting one.
///
/// One that was to say that it is ready may have said so to nobody, and will not say it again: it counts as ready when
/// somebody listens on its socket. What else it says is heard from now on.
#[derive(Debug)]
pub struct FoundWorker {
    start: Start,
    worker: Mutex<Option<Worker>>,
}

impl FoundWorker {
    /// A worker that runs already.
    pub fn new(start: &Start, worker: Worker) -> Self {
        Self { start: start.clone(), worker: Mutex::new(Some(worker)) }
    }
}

#[async_trait]
impl Spawner<Worker> for FoundWorker {
    async fn spawn_child(&self, plan: &SpawnBgPlan) -> Result<Worker, SpawnError> {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        let worker =
            worker.ok_or_else(|| SpawnError::Abandoned { why: "the worker was adopted already".into() })?;
        if self.start.readiness() == ReadyKind::Notify
            && let Err(error) = self.start.hear_again(&worker, plan)
        {
            tracing::warn!(session = %plan.session_id, %error, "what the adopted worker says is not heard");
        }
        Ok(worker)
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
