//! Completes the record of a worker that has ended.
//!
//! # Invariants
//! 1. Only under the claim, only if the claim is free at once, and only for the generation whose end was seen: whoever
//!    holds the claim decides about the session, and sees the same end.
//! 2. A stop writes its own end: while a stop is in progress, a watcher waits.
//!
//! Checked by `smoke/tests/smoke/watch/wait.rs`.

use crate::error::Error;
use crate::sessions::snapshot::Snapshot;
use rekindle_adapters::backoff::Backoff;
use rekindle_adapters::clock::Timestamp;
use rekindle_adapters::{ClaimAttempt, HeldClaim, StateRoot, claim_lock, record_file};
use rekindle_core::record::{EndedBy, RecordFile};
use rekindle_core::{ChildExit, Generation, Host, LastWorker, SessionId, SessionRecord};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a stop may take from the end of the worker to its record.
pub(crate) const STOP_WRITES_WITHIN: Duration = Duration::from_secs(10);

/// Whether a stop of the session is in progress.
pub(crate) fn is_being_stopped(root: &StateRoot, session: &SessionId) -> bool {
    root.session(session).is_ok_and(|dir| dir.is_some_and(|dir| record_file::is_being_stopped(&dir)))
}

/// The worker of one start, which has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended<'e> {
    pub(crate) root: &'e StateRoot,
    pub(crate) here: &'e Host,
    pub(crate) session: &'e SessionId,
    pub(crate) generation: Generation,
    /// The exit, as the watcher learned it.
    pub(crate) exit: ChildExit,
    /// The time when the watcher saw the end.
    pub(crate) at: Timestamp,
}

impl Ended<'_> {
    /// Completes the record, unless a stop in progress does the same. A failure is logged: the end was seen all the same.
    ///
    /// # Cancel safety
    /// Safe; the claim is not held across a wait.
    pub(crate) async fn complete_in_time(&self) {
        let deadline = Instant::now() + STOP_WRITES_WITHIN;
        let mut pauses = Backoff::for_name_in(&self.root.path().join(self.session.as_str()));
        while self.is_lacking() && is_being_stopped(self.root, self.session) {
            if timeout_at(deadline, pauses.wait()).await.is_err() {
                break;
            }
        }
        self.complete();
    }

    /// Completes the record at once, if the claim is free.
    pub(crate) fn complete(&self) {
        if self.is_lacking()
            && let Err(error) = self.write()
        {
            tracing::debug!(session = %self.session, %error, "the record of an ended worker was not completed");
        }
    }

    /// Whether the record is still without the end of this start.
    fn is_lacking(&self) -> bool {
        let Ok(Some(dir)) = self.root.session(self.session) else { return false };
        match record_file::read(&dir) {
            Ok(RecordFile::Whole(record)) => self.is_without_end(&record),
            Ok(RecordFile::Absent | RecordFile::Newer(_) | RecordFile::Corrupt { .. }) | Err(_) => false,
        }
    }

    fn is_without_end(&self, record: &SessionRecord) -> bool {
        record.generation == self.generation && record.lacks_end(self.exit)
    }

    fn write(&self) -> Result<(), Error> {
        match claim_lock::try_claim(self.root, self.session, self.here)? {
            ClaimAttempt::Held(held) => {
                let written = self.write_under(&held);
                let released = held
                    .release()
                    .map_err(|source| Error::ReleaseAfterUpdate { session: self.session.clone(), source });
                written.and(released)
            }
            ClaimAttempt::Conflict { .. } => Ok(()),
        }
    }

    fn write_under(&self, held: &HeldClaim) -> Result<(), Error> {
        let now = Snapshot::take(held.dir(), self.here)?;
        let is_gone = now.last_worker() == LastWorker::Gone;
        let record = now.record.filter(|record| is_gone && self.is_without_end(record));
        let ended = record.and_then(|record| record.after_end(self.at, self.exit, EndedBy::Worker));
        ended.map_or(Ok(()), |record| Ok(record_file::write(held.dir(), &record)?))
    }
}
