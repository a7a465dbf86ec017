//! One start under the claim: its observations, and its record.
//!
//! The seams here are those of [`rekindle_core::execute`], wrapped around plain seams: the watchers note observations,
//! the releaser completes the record before the claim is given up. The spawners are in `fresh.rs` and `found.rs`.
//!
//! # Invariants
//! 1. The record is completed before the release of the claim, by the machine's observation: an exit beats a socket.
//! 2. An incomplete record loses nothing: the lifeline holds the worker's identity.
//!
//! Checked by `smoke/tests/smoke/session/*.rs`.

use crate::endpoint::hint;
use crate::endpoint::probe::Connection;
use crate::endpoint::socket_file::{self, Leftover};
use crate::ready::notify::NotifyListener;
use crate::start::place::CommandPlace;
use crate::start::seams::{PidfdExitWatcher, SharedClaim};
use crate::store::claim_lock::HeldClaim;
use crate::store::lifeline::{self};
use crate::store::record_file;
use crate::store::session_dir::SessionDir;
use crate::sys::linux::clock;
use crate::sys::linux::procfs;
use crate::sys::linux::socket_table::ListeningSockets;
use crate::worker::{self, ReapedExit, Worker};
use async_trait::async_trait;
use rekindle_core::claim::give_up::{GiveUpEffect, GiveUpEvent};
use rekindle_core::notify::Notices;
use rekindle_core::plan::{ForeignListener, SETTLE_DEFAULT};
use rekindle_core::protocol::Version;
use rekindle_core::readiness::ShownBy;
use rekindle_core::record::{EndedBy, SocketFile};
use rekindle_core::seams::{ExitWatcher, Killer, Releaser};
use rekindle_core::start::order::Room;
use rekindle_core::start::settle::{self, Heard, Noted, Settle, SettleEffect, SettleEvent};
use rekindle_core::{
    ChildExit, Endpoint, Host, KillError, KillSignal, Lifeline, LockClaim, OsFailure, ProcessIdentity,
    Readiness, ReleaseError, SessionRecord, SpawnBgPlan, WatchError,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A start in progress, shared by its seams.
#[derive(Debug, Clone)]
pub struct Start {
    pub(super) claim: SharedClaim,
    pub(super) here: Arc<Host>,
    notes: Arc<Mutex<Notes>>,
    pub(super) spawn_on: SpawnOn,
    pub(super) left_behind: Option<SocketFile>,
    pub(super) recorded_as: Option<Arc<SpawnBgPlan>>,
}

/// The thread that waits in the kernel during the birth of a worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SpawnOn {
    /// A blocking thread of the runtime, so no other task has to wait.
    #[default]
    BlockingThread,
    /// The calling thread: for programs without other tasks, which then need no second thread.
    CallingThread,
}

/// The record, and the observations since.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) record: Option<SessionRecord>,
    peer: Option<Option<ProcessIdentity>>,
    version: Option<Version>,
    exit: Option<ChildExit>,
    /// Whether this start signalled the worker.
    is_signalled: bool,
    notify_listener: Option<Arc<NotifyListener>>,
    pub(super) reaped: Option<ReapedExit>,
    worker: Option<Arc<Worker>>,
    place: Option<Arc<CommandPlace>>,
    seen: Seen,
    listened_at: Option<Endpoint>,
    answered_at: Option<Endpoint>,
}

impl Notes {
    /// The cause of the observed end.
    fn ended_by(&self) -> EndedBy {
        match (self.is_signalled, self.seen.is_final) {
            (false, _) => EndedBy::Worker,
            (true, true) => EndedBy::Timeout,
            (true, false) => EndedBy::WatchFailed,
        }
    }
}

/// The last finding of the watch for readiness.
#[derive(Debug, Default)]
struct Seen {
    finding: Option<String>,
    /// Whether the time for readiness is up: later findings tell of a worker that is being ended.
    is_final: bool,
}

impl Start {
    /// A start under `claim`; for an adoption, `record` is the record of the worker.
    pub fn new(claim: SharedClaim, here: Arc<Host>, record: Option<SessionRecord>) -> Self {
        let notes = Arc::new(Mutex::new(Notes { record, ..Notes::default() }));
        let (left_behind, recorded_as) = (None, None);
        Self { claim, here, notes, spawn_on: SpawnOn::default(), left_behind, recorded_as }
    }

    /// The same start, with leave to remove the last worker's socket file.
    #[must_use]
    pub fn replacing(self, left_behind: Option<SocketFile>) -> Self {
        Self { left_behind, ..self }
    }

    /// The same start, whose record has `plan`: the caller's plan, while the start itself has the rest of the time.
    #[must_use]
    pub fn recorded_as(self, plan: SpawnBgPlan) -> Self {
        Self { recorded_as: Some(Arc::new(plan)), ..self }
    }

    /// The same start, with another thread for the birth of the worker.
    #[must_use]
    pub fn spawn_on(self, thread: SpawnOn) -> Self {
        Self { spawn_on: thread, ..self }
    }

    /// The current record.
    pub fn record(&self) -> Option<SessionRecord> {
        self.note(|notes| notes.record.clone())
    }

    pub(super) fn note<T>(&self, action: impl FnOnce(&mut Notes) -> T) -> T {
        // A panic elsewhere does not undo observations.
        action(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The worker's notices, if the worker sends any.
    pub fn notices(&self) -> Option<Notices> {
        self.notify_listener().map(|listener| listener.notices())
    }

    /// The exit of the worker, if the worker is a child of this start.
    pub fn reaped_exit(&self) -> Option<ReapedExit> {
        self.note(|notes| notes.reaped.clone())
    }

    /// The condition for ready.
    pub(crate) fn readiness(&self) -> Readiness {
        self.note(|notes| notes.record.as_ref().map(|record| record.readiness().clone())).unwrap_or_default()
    }

    /// The treatment of a listener that is no process of the worker.
    pub(crate) fn foreign_listener(&self) -> ForeignListener {
        let of_plan = |record: &SessionRecord| record.whole_plan().map(|plan| plan.foreign_listener);
        self.note(|notes| notes.record.as_ref().and_then(of_plan)).unwrap_or_default()
    }

    /// The worker, pinned for recognising its processes; known after the spawn.
    pub(crate) fn worker(&self) -> Option<Arc<Worker>> {
        self.note(|notes| notes.worker.clone())
    }

    /// Remembers the worker, so that the watches can recognise its processes.
    pub(super) fn note_worker(&self, worker: &Worker) {
        match worker.pinned_again(&self.here) {
            Ok(pinned) => self.note(|notes| notes.worker = Some(Arc::new(pinned))),
            // Without recognition no listener is believed, and the time-out ends the worker.
            Err(error) => tracing::warn!(%error, "the worker's processes will not be recognised"),
        }
    }

    /// Notes the last finding of a watch, for the message of a start that was not ready in time.
    pub(crate) fn note_seen(&self, finding: impl Into<String>) {
        self.note(|notes| {
            if !notes.seen.is_final {
                notes.seen.finding = Some(finding.into());
            }
        });
    }

    /// Notes that the time for readiness is up: the last finding stays.
    pub(crate) fn note_time_up(&self) {
        self.note(|notes| notes.seen.is_final = true);
    }

    /// The last finding of the watch for readiness.
    pub fn last_seen(&self) -> Option<String> {
        self.note(|notes| notes.seen.finding.clone())
    }

    /// The time for which the program has to run, for [`Readiness::Running`].
    pub(crate) fn settle_time(&self) -> Duration {
        let of_plan = |record: &SessionRecord| record.whole_plan().map(|plan| plan.settle);
        self.note(|notes| notes.record.as_ref().and_then(of_plan)).unwrap_or(SETTLE_DEFAULT)
    }

    /// Looks into the session's directory; `None` once the claim is given up.
    pub(crate) fn in_session_dir<T>(&self, look: impl FnOnce(&SessionDir) -> T) -> Option<T> {
        self.claim.with(|held| look(held.dir()))
    }

    /// The worker's directory and environment, for [`Readiness::Exec`]; known after the spawn.
    pub(crate) fn command_place(&self) -> Option<Arc<CommandPlace>> {
        self.note(|notes| notes.place.clone())
    }

    /// Remembers the worker's directory and environment, if a command will need them.
    pub(super) fn note_place(&self, callers: &SpawnBgPlan) {
        self.note(|notes| {
            let place = notes.record.as_ref().and_then(|record| CommandPlace::of(record, callers));
            notes.place = place.map(Arc::new);
        });
    }

    /// The TCP port on which the worker listened when it was told to end, if it did not listen at its endpoint.
    pub fn listened_at(&self) -> Option<Endpoint> {
        self.note(|notes| notes.listened_at.clone())
    }

    /// Notes the TCP port of a worker that should have listened elsewhere.
    fn note_port_instead(&self, worker: &Worker) {
        let Some(record) = self.record() else { return };
        let endpoint = record.whole_plan().map(|plan| plan.target().clone());
        let Some(endpoint) =
            endpoint.filter(|it| record.readiness().kind().shown_by(it.kind()) == ShownBy::Listener)
        else {
            return;
        };
        if endpoint.socket().is_some_and(|socket| ListeningSockets::read().contains(socket)) {
            return;
        }
        if let Some(at) = hint::tcp_port(worker, &endpoint) {
            self.note(|notes| notes.listened_at = Some(Endpoint::Tcp(at)));
        }
    }

    pub(crate) fn notify_listener(&self) -> Option<Arc<NotifyListener>> {
        self.note(|notes| notes.notify_listener.clone())
    }

    /// Notes a connection, and the listening process if the process still runs.
    pub fn note_alive(&self, connection: &Connection) {
        let peer = connection.peer().and_then(|pid| procfs::identify(pid, &self.here));
        let version = connection.greeting().map(|greeting| greeting.version.clone());
        let answered_at = connection.endpoint().tcp().map(Endpoint::Tcp);
        self.note(|notes| {
            notes.version = version.or_else(|| notes.version.take());
            notes.answered_at = answered_at;
        });
        self.note_ready(peer);
    }

    /// Notes that the worker is ready, and the answering process, if known.
    pub(crate) fn note_ready(&self, peer: Option<ProcessIdentity>) {
        self.note(|notes| notes.peer = Some(peer));
    }

    /// The started process, if recorded.
    pub(crate) fn leader(&self) -> Option<ProcessIdentity> {
        self.note(|notes| notes.record.as_ref()?.worker.clone())
    }

    /// Settles the start: completes the record by the observations, then gives the claim up.
    ///
    /// # Errors
    /// If the claim cannot be given up in order. The observations are recorded all the same.
    pub fn settle(&self) -> Result<(), ReleaseError> {
        self.settle_by(Settle::released(self.noted().heard()))
    }

    /// Marks the record and the claim retained.
    ///
    /// # Errors
    /// If the claim cannot be marked.
    pub fn retain(&self) -> Result<(), ReleaseError> {
        self.settle_by(Settle::retained())
    }

    /// The observations of the start.
    fn noted(&self) -> Noted {
        self.note(|notes| Noted { exit: notes.exit.is_some(), ready: notes.peer.is_some() })
    }

    fn settle_by(&self, mut settle: Settle) -> Result<(), ReleaseError> {
        self.stop_listening();
        let Some(mut held) = self.claim.take() else { return Ok(()) };
        let (mut leftover, mut trouble) = (Leftover::default(), None);
        loop {
            let event = match settle.effect() {
                SettleEffect::GiveUp(GiveUpEffect::Done(given_up)) => {
                    return held.given_up(given_up, trouble);
                }
                SettleEffect::WriteRecord(heard) => {
                    self.write_observed(&held, heard);
                    SettleEvent::Did
                }
                SettleEffect::WriteRetained => {
                    if let Some(record) = self.record() {
                        write(&held, &record.into_retained());
                    }
                    SettleEvent::Did
                }
                SettleEffect::LookAtSocket => SettleEvent::Room(match self.record() {
                    Some(record) => leftover.look(held.dir(), record.socket(), record.socket_file),
                    None => Room::Free,
                }),
                SettleEffect::RemoveSocket => {
                    leftover.remove();
                    SettleEvent::Did
                }
                SettleEffect::GiveUp(effect) => {
                    SettleEvent::GaveUp(held.perform(effect).unwrap_or_else(|error| {
                        trouble.get_or_insert(error);
                        GiveUpEvent::Failed
                    }))
                }
            };
            settle = settle::step(settle, event);
        }
    }

    /// Records the observations while the claim is still held.
    fn write_observed(&self, held: &HeldClaim, heard: Heard) {
        let observed = self.note(|notes| {
            let record = notes.record.take()?;
            Some(match heard {
                Heard::Exit => {
                    let exit = notes.exit.unwrap_or(ChildExit::Unknown);
                    record.into_exited(clock::now(), exit).ended_by(notes.ended_by())
                }
                Heard::Ready => {
                    let peer = notes.peer.take().flatten();
                    record
                        .into_ready(clock::now(), peer)
                        .reporting(notes.version.take())
                        .answering_at(notes.answered_at.take())
                }
                Heard::Nothing => record.into_never_started(clock::now()),
            })
        });
        let Some(record) = observed else { return };
        let record = if heard == Heard::Ready { guarded(held, record) } else { record };
        self.note(|notes| notes.record = Some(record.clone()));
        write(held, &record);
    }

    pub(super) fn open_notify_listener(
        &self,
        dir: &SessionDir,
        notices: Notices,
    ) -> Result<Arc<NotifyListener>, OsFailure> {
        let listener = Arc::new(NotifyListener::open(dir, self.here.clone(), notices)?);
        self.note(|notes| notes.notify_listener = Some(listener.clone()));
        Ok(listener)
    }

    /// Receives messages from now on, for a worker with a dead launcher.
    pub(super) fn hear_again(&self, worker: &Worker, plan: &SpawnBgPlan) -> Result<(), OsFailure> {
        let notices = Notices::missed(plan.observe_timeout);
        let listener = self.claim.with(|held| self.open_notify_listener(held.dir(), notices)).transpose()?;
        listener.map_or(Ok(()), |listener| listener.listen_to(worker))
    }

    /// The socket is removed while the claim is held; received notices stay.
    fn stop_listening(&self) {
        if let Some(listener) = self.notify_listener() {
            self.claim.with(|_| listener.close());
        }
    }
}

/// The record of a ready worker, with its current guards: lifeline and socket file.
fn guarded(held: &HeldClaim, record: SessionRecord) -> SessionRecord {
    let asked = lifeline::open(held.dir()).ok().flatten().map(|lifeline| lifeline.ask());
    let socket_file = record.socket().and_then(socket_file::file_at);
    record.guarded_by(asked.unwrap_or(Lifeline::Unreadable), socket_file)
}

/// Writes a record; a failure is logged, since the lifeline identifies the worker.
pub(super) fn write(held: &HeldClaim, record: &SessionRecord) {
    if let Err(error) = record_file::write(held.dir(), record) {
        tracing::warn!(session = %record.session, %error, "the record could not be completed");
    }
}

/// Watches a worker's exit, and notes the exit status.
pub(crate) struct NotingExitWatcher(pub(crate) Start);

#[async_trait]
impl ExitWatcher<Worker> for NotingExitWatcher {
    async fn await_child_exit(&self, child: &Worker) -> Result<ChildExit, WatchError> {
        let exit = PidfdExitWatcher.await_child_exit(child).await?;
        self.0.note(|notes| notes.exit = Some(exit));
        Ok(exit)
    }
}

/// Signals every process of a worker, and notes before where the worker listens instead.
pub(crate) struct NotingKiller(pub(crate) Start);

#[async_trait]
impl Killer<Worker> for NotingKiller {
    async fn kill_child(&self, child: &Worker, how: KillSignal) -> Result<(), KillError> {
        self.0.note_port_instead(child);
        self.0.note(|notes| notes.is_signalled = true);
        let stop = self.0.record().map(|record| record.kill_policy().signal()).unwrap_or_default();
        worker::signal_by(child, how, stop)
    }
}

/// Settles the start if the claim matches.
pub(crate) struct CompletingReleaser(pub(crate) Start);

#[async_trait]
impl Releaser for CompletingReleaser {
    async fn release_lock(&self, claim: &LockClaim) -> Result<(), ReleaseError> {
        let is_meant = self.0.claim.with(|held| held.claim().nonce == claim.nonce).unwrap_or(false);
        if is_meant { self.0.settle() } else { Err(ReleaseError::NotHeld { path: claim.lock_path.clone() }) }
    }
}
