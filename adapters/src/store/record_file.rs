//! The record on disk: read at any time, written only under the claim.

use crate::store::session_dir::SessionDir;
use crate::sys::linux::clock;
use rekindle_core::record::{RecordFile, Written};
use rekindle_core::stores::RecordStore;
use rekindle_core::{OsFailure, SessionRecord};
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
