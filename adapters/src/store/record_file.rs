//! The record on disk: read by anybody, written only under the claim.

use crate::store::session_dir::SessionDir;
use crate::sys::linux::clock;
use rekindle_core::record::{RecordFile, Written};
use rekindle_core::{OsFailure, SessionRecord};

/// The name of the record file.
pub const RECORD_FILE: &str = "session.json";

/// Reads the record of a session.
///
/// # Errors
/// If the file is there and the system does not let us read it: a shortage of descriptors, say, is no fault of the record.
/// What it holds may still be [`RecordFile::Corrupt`], as is a file that is too long for a record, or none.
pub fn read(dir: &SessionDir) -> Result<RecordFile, OsFailure> {
    let content = match dir.read(RECORD_FILE) {
        Ok(content) => content,
        // Not refused by the system: what is there is no record.
        Err(failure) if failure.raw_errno().is_none() => {
            return Ok(RecordFile::Corrupt { why: failure.to_string() });
        }
        Err(failure) => return Err(failure),
    };
    // Only of an empty file does it matter how old it is.
    let empty = content.as_ref().filter(|content| content.bytes.is_empty());
    let written = empty.map_or(Written::ThisBoot, |content| clock::written(content.modified_at));
    let bytes = content.as_ref().map(|content| content.bytes.as_slice());
    Ok(RecordFile::read(bytes, written, dir.session()))
}

/// Puts a record in place. Only under the claim, for the generation that the caller is responsible for.
///
/// # Errors
/// If it cannot be written; the old one then still stands.
pub fn write(dir: &SessionDir, record: &SessionRecord) -> Result<(), OsFailure> {
    dir.require_in_place()?;
    let mut bytes = serde_json::to_vec_pretty(record).expect("a record holds nothing that JSON cannot");
    bytes.push(b'\n');
    dir.replace(RECORD_FILE, &bytes).map(drop)
}
