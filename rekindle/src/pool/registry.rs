//! The registry of a pool: the records of its sessions, one file each.
//!
//! # Invariants
//! 1. Nobody is connected to: the records, the lifelines and the kernel's table of sockets answer.
//! 2. A record that cannot be read is an error on its session alone.

use super::call::Dialogue;
use super::error::PoolError;
use super::outcome::PoolEntry;
use crate::error::Error;
use crate::sessions::Sessions;
use crate::sessions::list::{self, LeftOut};
use crate::sessions::snapshot::Snapshot;
use crate::sessions::update_record::update_record;
use rekindle_adapters::procfs;
use rekindle_adapters::record_file::{self, RECORD_FILE};
use rekindle_core::pool::{self, Meant, is_generated};
use rekindle_core::protocol::{Version, WorkerName};
use rekindle_core::record::RecordFile;
use rekindle_core::{LastWorker, SessionId, SessionRecord};

/// Every session of the pool.
pub(super) fn list(sessions: &Sessions) -> Result<Vec<PoolEntry>, PoolError> {
    let (summaries, left_out) = list::list_those(sessions.root(), sessions.here(), is_generated)?;
    for LeftOut { session, why } in left_out {
        tracing::warn!(?session, why, "left out of the list");
    }
    let entry = |(summary, record): (_, Option<SessionRecord>)| {
        let (worker_name, worker_version) =
            record.map(|record| (record.worker_name, record.worker_version)).unwrap_or_default();
        PoolEntry { summary, worker_name, worker_version }
    };
    Ok(summaries.into_iter().map(entry).collect())
}

/// The session that a name means.
pub(super) fn find(sessions: &Sessions, name: &str) -> Result<SessionId, PoolError> {
    // Most callers use our own name, which needs no search.
    if let Ok(ours) = name.parse::<SessionId>()
        && is_generated(&ours)
        && sessions.root().session(&ours)?.is_some()
    {
        return Ok(ours);
    }
    let known = generated(sessions)?.into_iter().map(|session| {
        let by_worker = record(sessions, &session).ok().and_then(|record| record.worker_name);
        (session, by_worker)
    });
    match pool::find(name, known) {
        Meant::Session(session) => Ok(session),
        Meant::Unknown => Err(PoolError::UnknownSession { name: name.to_owned() }),
        Meant::Ambiguous(sessions) => Err(PoolError::AmbiguousSession { name: name.to_owned(), sessions }),
    }
}

/// The record of a session.
pub(super) fn record(sessions: &Sessions, session: &SessionId) -> Result<SessionRecord, PoolError> {
    let unknown = || PoolError::UnknownSession { name: session.to_string() };
    let dir = sessions.root().session(session)?.ok_or_else(unknown)?;
    match record_file::read(&dir)? {
        RecordFile::Whole(record) => Ok(*record),
        RecordFile::Absent => Err(unknown()),
        RecordFile::Newer(newer) => {
            let (session, schema_version) = (session.clone(), newer.schema_version);
            Err(Error::RecordNewer { session, schema_version }.into())
        }
        RecordFile::Corrupt { why } => {
            let (session, path) = (session.clone(), dir.path_of(RECORD_FILE));
            Err(Error::RecordCorrupt { session, path, why }.into())
        }
    }
}

/// Whether the worker of a session is provably gone.
pub(super) fn worker_is_gone(sessions: &Sessions, session: &SessionId) -> Result<bool, PoolError> {
    let Some(dir) = sessions.root().session(session)? else { return Ok(true) };
    let snapshot = Snapshot::take(&dir, sessions.here()).map_err(Error::from)?;
    Ok(snapshot.last_worker() == LastWorker::Gone)
}

/// Writes down what a worker said of itself and of its session.
pub(super) async fn remember(
    sessions: &Sessions,
    dialogue: &Dialogue,
    version: Version,
    name: WorkerName,
) -> Result<(), PoolError> {
    let Dialogue { session, generation, .. } = dialogue;
    let change = |record: SessionRecord| record.into_fed(Some(version), name);
    Ok(update_record(sessions.root(), sessions.here(), session, *generation, change).await?)
}

/// The sessions of which nobody wrote down that they began, and whose host is provably gone.
pub(super) fn forsaken(sessions: &Sessions) -> Result<Vec<SessionId>, PoolError> {
    let host_is_gone = |session: &SessionId| {
        record(sessions, session).is_ok_and(|record| {
            record.worker_name.is_none() && procfs::standing(&record.launcher, sessions.here()).is_dead()
        })
    };
    Ok(generated(sessions)?.into_iter().filter(host_is_gone).collect())
}

fn generated(sessions: &Sessions) -> Result<Vec<SessionId>, PoolError> {
    Ok(sessions.root().sessions()?.into_iter().filter(is_generated).collect())
}
