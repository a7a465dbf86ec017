//! The record on disk: read at any time, written only under the claim. A lock on the file marks a stop in progress.

use crate::store::session_dir::SessionDir;
use crate::sys::linux::clock;
use crate::sys::linux::fs::flock::{self, LockKind};
use rekindle_core::record::{RecordFile, Written};
use rekindle_core::stores::RecordStore;
use rekindle_core::{OsFailure, SessionRecord};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// The name of the record file.
pub const RECORD_FILE: &str = "session.json";

/// Keeps records in the file `session.json` of each session's directory.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileRecords;

impl RecordStore<SessionDir> for FileRecords {
    /// A failed system call, such as for a shortage of descriptors, is no fault of the record. A file too long for a
    /// record is corrupt.
    fn read(&self, at: &SessionDir) -> Result<RecordFile, OsFailure> {
        let content = match at.read(RECORD_FILE) {
            Ok(content) => content,
            // Without an errno, the file itself is no record.
            Err(failure) if failure.raw_errno().is_none() => {
                return Ok(RecordFile::Corrupt { why: failure.to_string() });
            }
            Err(failure) => return Err(failure),
        };
        // The age matters only for an empty file.
        let empty = content.as_ref().filter(|content| content.bytes.is_empty());
        let written = empty.map_or(Written::ThisBoot, |content| clock::written(content.modified_at));
        let bytes = content.as_ref().map(|content| content.bytes.as_slice());
        Ok(RecordFile::read(bytes, written, at.session()))
    }

    fn write(&self, at: &SessionDir, record: &SessionRecord) -> Result<(), OsFailure> {
        let mut bytes = serde_json::to_vec_pretty(record).expect("a record holds nothing that JSON cannot");
        bytes.push(b'\n');
        at.replace(RECORD_FILE, &bytes).map(drop)
    }

    fn set_aside(&self, at: &SessionDir) -> Result<PathBuf, OsFailure> {
        at.set_aside(RECORD_FILE)
    }

    fn remove(&self, at: &SessionDir) -> Result<(), OsFailure> {
        at.remove(RECORD_FILE)
    }
}

/// Reads the record of a session.
///
/// # Errors
/// As [`RecordStore::read`].
pub fn read(dir: &SessionDir) -> Result<RecordFile, OsFailure> {
    dir.records().read(dir)
}

/// Puts a record in place. Only under the claim, for the caller's own generation.
///
/// # Errors
/// If the directory is not in place, or the record cannot be written; the old record then still exists.
pub fn write(dir: &SessionDir, record: &SessionRecord) -> Result<(), OsFailure> {
    dir.require_in_place()?;
    dir.records().write(dir, record)
}

/// The mark of a stop in progress, on the record of the start that is being stopped. The kernel ends the mark with the
/// process that stops.
#[derive(Debug)]
pub struct StopMark {
    _record: OwnedFd,
}

/// Marks the start as being stopped: whoever sees the worker end leaves the record to the stop. `None` without a record
/// file; the mark only adds to what watchers know.
pub fn mark_stop(dir: &SessionDir) -> Option<StopMark> {
    let record = dir.open_file(RECORD_FILE).ok()?;
    // Shared: several stops may be at work.
    flock::try_flock(&record, LockKind::Shared).ok().filter(|is_ours| *is_ours)?;
    Some(StopMark { _record: record })
}

/// Whether a stop of the recorded start is in progress.
pub fn is_being_stopped(dir: &SessionDir) -> bool {
    let Ok(record) = dir.open_file(RECORD_FILE) else { return false };
    // The lock of the question goes with the descriptor.
    matches!(flock::try_flock(&record, LockKind::Exclusive), Ok(false))
}
