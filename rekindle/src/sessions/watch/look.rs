//! One look at a session, as the events see it.

use crate::error::Error;
use crate::sessions::list::lost_snapshot;
use crate::sessions::snapshot::Snapshot;
use rekindle_adapters::claim_lock::is_locked;
use rekindle_adapters::{SessionDir, StateRoot};
use rekindle_core::events::{End, Launcher, Look, Phase, Seen, phase};
use rekindle_core::{
    Endpoint, Generation, Host, LastWorker, OsFailure, Pid, ProcessIdentity, RecordState, SessionId,
    SessionRecord,
};

/// A session at one instant.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) look: Look,
    /// The facts, unless the session is absent or unreadable.
    pub(crate) snapshot: Option<Snapshot>,
}

impl Looked {
    /// Looks at a session. `learned` gives the end of a start as far as its watcher learned it.
    ///
    /// # Errors
    /// If the session cannot be read.
    pub(crate) fn at(
        root: &StateRoot,
        here: &Host,
        session: &SessionId,
        learned: impl FnOnce(Generation) -> End,
    ) -> Result<Self, Error> {
        let absent = Self { look: Look::Absent, snapshot: None };
        let (snapshot, dir) = match root.session(session)? {
            Some(dir) => (Snapshot::take(&dir, here)?, Some(dir)),
            None => match lost_snapshot(root, here, session) {
                Ok(snapshot) => (snapshot, None),
                Err(Error::UnknownSession { .. }) => return Ok(absent),
                Err(error) => return Err(error),
            },
        };
        if !snapshot.is_known() {
            return Ok(absent);
        }
        let launcher = launcher(&snapshot, dir.as_ref())?;
        let generation = snapshot.generation();
        let end = end(snapshot.record.as_ref(), learned(generation));
        let phase = phase(snapshot.evidence.recorded, snapshot.last_worker(), launcher, end);
        let was_ready = snapshot.record.as_ref().is_some_and(SessionRecord::start_observed);
        let look = phase.map_or(Look::Unclear, |phase| Look::Seen(Seen { generation, was_ready, phase }));
        Ok(Self { look, snapshot: Some(snapshot) })
    }

    /// Whether the worker is gone, and its record does not say so.
    pub(crate) fn lacks_end(&self) -> bool {
        let record = self.record();
        record.is_some_and(|record| record.state != RecordState::Exited) && self.is_ended()
    }

    fn is_ended(&self) -> bool {
        match self.look {
            Look::Seen(seen) => matches!(seen.phase, Phase::Ended(_)),
            Look::Absent | Look::Unclear => false,
        }
    }

    pub(crate) fn generation(&self) -> Option<Generation> {
        self.snapshot.as_ref().map(Snapshot::generation)
    }

    pub(crate) fn record(&self) -> Option<&SessionRecord> {
        self.snapshot.as_ref().and_then(|snapshot| snapshot.record.as_ref())
    }

    /// The process that was started, if known.
    pub(crate) fn leader(&self) -> Option<&ProcessIdentity> {
        self.snapshot.as_ref().and_then(Snapshot::leader)
    }

    pub(crate) fn pid(&self) -> Option<Pid> {
        self.leader().map(|leader| leader.pid)
    }

    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        self.snapshot.as_ref().and_then(Snapshot::endpoint)
    }
}

/// Whether a launcher is at work; asked only if the answer matters.
fn launcher(snapshot: &Snapshot, dir: Option<&SessionDir>) -> Result<Launcher, OsFailure> {
    let matters = snapshot.evidence.recorded == Some(RecordState::Starting)
        && snapshot.last_worker() == LastWorker::Gone;
    let is_locked = dir.filter(|_| matters).map_or(Ok(false), is_locked)?;
    Ok(if is_locked { Launcher::AtWork } else { Launcher::Away })
}

/// The end in a record, completed by what a watcher learned.
fn end(record: Option<&SessionRecord>, learned: End) -> End {
    let recorded = record.filter(|record| record.state == RecordState::Exited);
    let exit = recorded.and_then(|record| record.exit).filter(|exit| exit.is_known()).or(learned.exit);
    End { exit, by: recorded.map_or(learned.by, |record| record.ended_by) }
}
