//! The events of sessions, as they happen.
//!
//! The kernel wakes the watcher: by inotify if a name appears or goes in the state directory or in a session's directory,
//! and by pidfds if a worker ends. Each wake-up leads to a look at the session; [`rekindle_core::events`] derives the events
//! from two looks.
//!
//! # Invariants
//! 1. Watch first, then look: no change is missed in between. If the kernel lost events, every session is looked at.
//! 2. A worker is pinned while it lives, so its exit is known when it has ended.
//! 3. While nothing happens, nothing wakes up.
//!
//! Checked by `smoke/tests/smoke/watch/events.rs`.

use crate::error::Error;
use crate::sessions::watch::complete::{Ended, STOP_WRITES_WITHIN, is_being_stopped};
use crate::sessions::watch::event::SessionEvent;
use crate::sessions::watch::look::Looked;
use rekindle_adapters::clock::Timestamp;
use rekindle_adapters::directories::{Changes, DirectoryWatch, Watched};
use rekindle_adapters::{StateRoot, Worker, clock, worker};
use rekindle_core::events::{End, Event, FirstLook, Happened, Look, Phase, Seen, advance};
use rekindle_core::{ChildExit, Generation, Host, ProcessIdentity, SessionId, SessionRecord};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// The pause before another look at a session whose processes are between two states.
const RELOOK_PAUSE: Duration = Duration::from_millis(50);

/// The text of an exit that nobody learned.
const NOBODY_WATCHED: &str = "nobody who could learn the exit watched the worker when it ended";

/// The events of a state directory's sessions: the present state of each session first, then each event as it happens.
///
/// A session that appears later is followed too. A session whose files were removed before the watch began is not.
/// Dropping the value ends the watch.
#[derive(Debug)]
pub struct Events {
    root: StateRoot,
    here: Arc<Host>,
    /// Only these sessions; empty means all.
    only: Vec<SessionId>,
    watch: DirectoryWatch,
    tracked: BTreeMap<SessionId, Tracked>,
    /// The sessions to look at.
    due: BTreeSet<SessionId>,
    is_scan_due: bool,
    ready: VecDeque<SessionEvent>,
    ends: JoinSet<SessionId>,
    /// Whether the first look at every session is over.
    is_following: bool,
}

/// What is known of a session.
#[derive(Debug, Default)]
struct Tracked {
    seen: Option<Seen>,
    worker: Option<Pinned>,
    /// The next look, even if nothing wakes the watcher.
    relook_at: Option<Instant>,
    /// The time when the end of the worker was seen, and until when a stop may write the end down.
    patience: Option<(Timestamp, Instant)>,
}

/// The watched worker of a start.
#[derive(Debug)]
struct Pinned {
    generation: Generation,
    leader: Option<ProcessIdentity>,
    worker: Arc<Worker>,
}

impl Events {
    /// Begins to watch.
    ///
    /// # Errors
    /// If the directories cannot be watched or listed.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub(crate) fn open(root: &StateRoot, here: &Arc<Host>, only: &[SessionId]) -> Result<Self, Error> {
        let mut events = Self {
            root: root.clone(),
            here: here.clone(),
            only: only.to_vec(),
            watch: DirectoryWatch::new()?,
            tracked: BTreeMap::new(),
            due: BTreeSet::new(),
            is_scan_due: true,
            ready: VecDeque::new(),
            ends: JoinSet::new(),
            is_following: false,
        };
        events.catch_up()?;
        events.is_following = true;
        Ok(events)
    }

    /// The same watch, without the state of the sessions at its beginning.
    #[must_use]
    pub fn since_now(mut self) -> Self {
        self.ready.retain(|event| !event.present);
        self
    }

    /// The next event; waits for the event.
    ///
    /// # Errors
    /// If a directory or a process cannot be watched, for example because this process has no free descriptor. A session
    /// that cannot be read or judged gives no event, and is looked at again when it changes.
    ///
    /// # Cancel safety
    /// Safe; no event is lost.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn next(&mut self) -> Result<SessionEvent, Error> {
        loop {
            self.catch_up()?;
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            let relook_at = self.tracked.values().filter_map(|it| it.relook_at).min();
            tokio::select! {
                changes = self.watch.changed() => {
                    let changes = changes?;
                    self.note(&changes);
                }
                Some(ended) = self.ends.join_next(), if !self.ends.is_empty() => self.due.extend(ended.ok()),
                () = sleep_until(relook_at.unwrap_or_else(Instant::now)), if relook_at.is_some() => {
                    self.note_time();
                }
            }
        }
    }

    fn note(&mut self, changes: &Changes) {
        self.is_scan_due |= changes.overflowed;
        if changes.overflowed {
            self.due.extend(self.tracked.keys().cloned());
        }
        for path in &changes.directories {
            match self.session_at(path) {
                Some(session) => drop(self.due.insert(session)),
                // The state directory, or a directory above while there is no state directory.
                None => self.is_scan_due = true,
            }
        }
    }

    fn note_time(&mut self) {
        let now = Instant::now();
        for (session, tracked) in &mut self.tracked {
            if tracked.relook_at.is_some_and(|at| at <= now) {
                tracked.relook_at = None;
                self.due.insert(session.clone());
            }
        }
    }

    fn session_at(&self, path: &Path) -> Option<SessionId> {
        if path.parent() != Some(self.root.path()) {
            return None;
        }
        path.file_name()?.to_str()?.parse().ok()
    }

    /// Lists the sessions if necessary, and looks at every session that is due.
    fn catch_up(&mut self) -> Result<(), Error> {
        while self.is_scan_due || !self.due.is_empty() {
            if std::mem::take(&mut self.is_scan_due) {
                self.scan()?;
            }
            for session in std::mem::take(&mut self.due) {
                self.look(&session)?;
            }
        }
        Ok(())
    }

    /// Watches the state directory and each session's directory, and finds the new and the removed sessions.
    fn scan(&mut self) -> Result<(), Error> {
        let root = self.root.path().to_owned();
        // Without a state directory, the nearest directory above tells of the next step towards one.
        for place in root.ancestors() {
            match self.watch.add(place)? {
                Watched::Absent => {}
                Watched::Newly | Watched::Already => break,
            }
        }
        let there: BTreeSet<SessionId> =
            self.root.sessions()?.into_iter().filter(|it| self.is_meant(it)).collect();
        for session in &there {
            let is_new = self.watch.add(&root.join(session.as_str()))? != Watched::Already;
            if is_new || !self.tracked.contains_key(session) {
                self.due.insert(session.clone());
            }
        }
        self.due.extend(self.tracked.keys().filter(|session| !there.contains(*session)).cloned());
        Ok(())
    }

    fn is_meant(&self, session: &SessionId) -> bool {
        self.only.is_empty() || self.only.contains(session)
    }

    fn look(&mut self, session: &SessionId) -> Result<(), Error> {
        if !self.is_meant(session) {
            return Ok(());
        }
        let mut tracked = self.tracked.remove(session).unwrap_or_default();
        let mut looked = self.look_at(session, &tracked);
        match tracked.patience(&looked, || is_being_stopped(&self.root, session)) {
            Patience::Waits => {
                self.tracked.insert(session.clone(), tracked);
                return Ok(());
            }
            Patience::IsOver { generation, at } => {
                let exit = tracked.learned(generation).exit.unwrap_or(ChildExit::Unknown);
                let (root, here) = (&self.root, &*self.here);
                Ended { root, here, session, generation, exit, at }.complete();
                looked = self.look_at(session, &tracked);
            }
            Patience::IsNotNeeded => {}
        }
        let before = tracked.seen;
        let learned = before.map(|seen| tracked.learned(seen.generation)).unwrap_or_default();
        let present = !self.is_following;
        let first = if present { FirstLook::State } else { FirstLook::History };
        let (seen, events) = advance(before, looked.look, learned, first);
        tracked.seen = seen;
        self.ready.extend(events.iter().map(|event| told(session, event, &looked, present)));
        self.pin(session, &mut tracked, &looked)?;
        if tracked.seen.is_some() || looked.look != Look::Absent {
            self.tracked.insert(session.clone(), tracked);
        }
        Ok(())
    }

    fn look_at(&self, session: &SessionId, tracked: &Tracked) -> Looked {
        let learned = |generation| tracked.learned(generation);
        Looked::at(&self.root, &self.here, session, learned).unwrap_or_else(|error| {
            // A session that cannot be read is unclear, not gone.
            tracing::warn!(%session, %error, "a session could not be looked at");
            Looked { look: Look::Unclear, snapshot: None }
        })
    }

    /// Pins the worker of a start, once for each process that turns out to be the started one.
    fn pin(&mut self, session: &SessionId, tracked: &mut Tracked, looked: &Looked) -> Result<(), Error> {
        let running = match (looked.look, &looked.snapshot) {
            (Look::Seen(seen), Some(snapshot)) if !matches!(seen.phase, Phase::Ended(_)) => {
                Some((seen, snapshot))
            }
            (Look::Seen(_) | Look::Absent | Look::Unclear, _) => None,
        };
        let Some((seen, snapshot)) = running else {
            // An ended or a lost worker stays pinned until its end was told.
            if matches!(looked.look, Look::Seen(_)) {
                tracked.worker = None;
            }
            return Ok(());
        };
        let leader = looked.leader().cloned();
        let is_pinned = |pinned: &Pinned| pinned.generation == seen.generation && pinned.leader == leader;
        if tracked.worker.as_ref().is_some_and(is_pinned) {
            return Ok(());
        }
        let worker = match (&leader, &snapshot.record) {
            // Until the process exists, the launcher tells of its own end.
            (None, Some(record)) if seen.phase == Phase::Starting => {
                let launcher = Worker::adopt(None, Some(record.launcher.clone()), None, &self.here)?;
                if launcher.is_gone() { snapshot.worker(&self.here)? } else { launcher }
            }
            (Some(_) | None, _) => snapshot.worker(&self.here)?,
        };
        let worker = Arc::new(worker);
        tracked.worker = Some(Pinned { generation: seen.generation, leader, worker: worker.clone() });
        if worker.is_gone() {
            // Its end is seen at the next look, unless another process is about to appear.
            tracked.relook_at = Some(Instant::now() + RELOOK_PAUSE);
            tracked.worker = None;
            return Ok(());
        }
        let session = session.clone();
        self.ends.spawn(async move {
            if let Err(error) = worker::await_exit(&worker).await {
                tracing::debug!(%session, %error, "a worker's end could not be watched");
                tokio::time::sleep(RELOOK_PAUSE).await;
            }
            session
        });
        Ok(())
    }
}

/// Whether to wait before an end is told: a stop may be about to write down how the worker ended.
enum Patience {
    IsNotNeeded,
    Waits,
    /// No stop is in progress, or the stop wrote nothing in time.
    IsOver {
        generation: Generation,
        /// The time when the end was seen.
        at: Timestamp,
    },
}

impl Tracked {
    /// The end of the worker of a start, as far as the kernel told. The cause is for the record to say.
    fn learned(&self, generation: Generation) -> End {
        let pinned = self.worker.as_ref().filter(|pinned| pinned.generation == generation);
        End { exit: pinned.map(|pinned| pinned.worker.exit()).filter(|exit| exit.is_known()), by: None }
    }

    /// Waits after a look that showed the end of a worker that ran at the look before.
    fn patience(&mut self, looked: &Looked, is_being_stopped: impl FnOnce() -> bool) -> Patience {
        let ran = self.seen.filter(|seen| !matches!(seen.phase, Phase::Ended(_)));
        let is_same = |seen: &Seen| looked.generation() == Some(seen.generation);
        let Some(seen) = ran.filter(is_same).filter(|_| looked.lacks_end()) else {
            self.patience = None;
            return Patience::IsNotNeeded;
        };
        let now = Instant::now();
        let (at, until) = *self.patience.get_or_insert_with(|| (clock::now(), now + STOP_WRITES_WITHIN));
        if now >= until || !is_being_stopped() {
            return Patience::IsOver { generation: seen.generation, at };
        }
        self.relook_at = Some(now + RELOOK_PAUSE);
        Patience::Waits
    }
}

/// An event with the facts of the look.
fn told(session: &SessionId, event: &Event, looked: &Looked, present: bool) -> SessionEvent {
    let record = looked.record().filter(|record| record.generation == event.generation);
    let recorded_at = record.and_then(|record| recorded_at(record, event.happened));
    let is_end = matches!(event.happened, Happened::Exited | Happened::Stopped);
    let exit = event.end.exit.filter(|exit| exit.is_known());
    SessionEvent {
        event: event.happened,
        session: session.clone(),
        generation: event.generation,
        at: recorded_at.unwrap_or_else(|| clock::now().to_string()),
        present,
        pid: record.and_then(|_| looked.pid()),
        address: record.and_then(|_| looked.endpoint()),
        exit,
        ended_by: event.end.by.filter(|_| is_end),
        exit_why: (is_end && exit.is_none()).then_some(NOBODY_WATCHED),
    }
}

fn recorded_at(record: &SessionRecord, happened: Happened) -> Option<String> {
    let at = match happened {
        Happened::Starting | Happened::Restarting => Some(record.started_at),
        Happened::Ready => record.ready_at,
        Happened::Exited | Happened::Stopped => record.exited_at,
        Happened::Retained | Happened::Released | Happened::Removed => None,
    };
    at.map(|at| at.to_string())
}
