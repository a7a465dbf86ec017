//! Updates the record of a known start.
//!
//! # Invariants
//! 1. Only under the claim, and only if the session's generation is unchanged: the record of another start is left
//!    alone.

use crate::error::Error;
use crate::sessions::unlock::Force;
use rekindle_adapters::claim_file::CLAIM_FILE;
use rekindle_adapters::claim_lock::{ClaimAttempt, ClaimQueue};
use rekindle_adapters::{SessionDir, StateRoot, record_file};
use rekindle_core::record::RecordFile;
use rekindle_core::{Generation, Host, SessionId, SessionRecord};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The limit of waiting for another launcher's claim; after the limit, the record stays unchanged.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Replaces the record of `generation` by the result of `change`.
///
/// # Errors
/// If the claim is not free in time, the record is no longer the record of `generation`, or the record cannot be
/// written.
pub(crate) async fn update_record(
    root: &StateRoot,
    here: &Host,
    session: &SessionId,
    generation: Generation,
    change: impl FnOnce(SessionRecord) -> SessionRecord,
) -> Result<(), Error> {
    let deadline = Instant::now() + WAIT_MAX;
    let mut queue = ClaimQueue::new(root, session, here);
    let held = loop {
        match queue.attempt()? {
            ClaimAttempt::Held(held) => break held,
            ClaimAttempt::Conflict { why, holder } => {
                if !why.may_pass() || timeout_at(deadline, queue.wait()).await.is_err() {
                    let path = root.path().join(session.as_str()).join(CLAIM_FILE);
                    return Err(Error::claimed(session, &path, &why, holder.map(|it| *it), Force::No));
                }
            }
        }
    };
    let written = rewrite(held.dir(), generation, change);
    let released =
        held.release().map_err(|source| Error::ReleaseAfterUpdate { session: session.clone(), source });
    written.and(released)
}

fn rewrite(
    dir: &SessionDir,
    generation: Generation,
    change: impl FnOnce(SessionRecord) -> SessionRecord,
) -> Result<(), Error> {
    match record_file::read(dir)? {
        RecordFile::Whole(record) if record.generation == generation => {
            Ok(record_file::write(dir, &change(*record))?)
        }
        RecordFile::Newer(newer) => {
            Err(Error::RecordNewer { session: dir.session().clone(), schema_version: newer.schema_version })
        }
        RecordFile::Absent | RecordFile::Whole(_) | RecordFile::Corrupt { .. } => {
            Err(Error::RecordGone { session: dir.session().clone(), generation })
        }
    }
}
