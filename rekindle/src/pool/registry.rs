//! The registry of a pool: the records of its sessions, one file each.
//!
//! # Invariants
//! 1. No worker is connected to: the records, the lifelines and the kernel's socket table answer.
//! 2. An unreadable record is an error of its own session only.
//! 3. A session belongs to the pool if the record says so. Without a role in a record, the session's name decides.

use super::call::Dialogue;
use super::error::PoolError;
use super::outcome::PoolEntry;
use crate::error::Error;
use crate::sessions::Sessions;
use crate::sessions::list::Listed;
use crate::sessions::list::{self, LeftOut};
use crate::sessions::snapshot::Snapshot;
use crate::sessions::update_record::update_record;
use rekindle_adapters::procfs;
use rekindle_adapters::record_file::{self, RECORD_FILE};
use rekindle_core::care::similar::most_similar;
use rekindle_core::plan::Role;
use rekindle_core::pool::{self, Meant, is_generated};
use rekindle_core::protocol::{Version, WorkerName};
use rekindle_core::record::RecordFile;
use rekindle_core::{LastWorker, SessionId, SessionRecord};

/// Every session of the pool.
pub(super) fn list(sessions: &Sessions) -> Result<Vec<PoolEntry>, PoolError> {
    let is_member = |listed: &Listed| is_pools(&listed.session, listed.snapshot.role());
    let (summaries, left_out) = list::list_those(sessions.root(), sessions.here(), is_member)?;
    let concerns_pool = |it: &LeftOut| it.session.as_ref().is_none_or(is_generated);
    for LeftOut { session, why } in left_out.into_iter().filter(concerns_pool) {
        tracing::warn!(?session, why, "left out of the list");
    }
    let entry = |(summary, record): (_, Option<SessionRecord>)| {
        let (worker_name, worker_version) =
            record.map(|record| (record.worker_name, record.worker_version)).unwrap_or_default();
        PoolEntry { summary, worker_name, worker_version }
    };
    Ok(summaries.into_iter().map(entry).collect())
}

/// The session with a name.
pub(super) fn find(sessions: &Sessions, name: &str) -> Result<SessionId, PoolError> {
    // Most callers use our own name: no search is needed.
    if let Ok(ours) = name.parse::<SessionId>()
        && sessions.root().session(&ours)?.is_some()
        && is_member(sessions, &ours)
    {
        return Ok(ours);
    }
    let members = members(sessions)?.into_iter();
    let known: Vec<(SessionId, Option<WorkerName>)> =
        members.map(|(session, record)| (session, record.and_then(|record| record.worker_name))).collect();
    match pool::find(name, known.iter().cloned()) {
        Meant::Session(session) => Ok(session),
        Meant::Unknown => {
            let by_worker = known.iter().filter_map(|(_, name)| name.as_ref().map(WorkerName::as_str));
            let names: Vec<&str> = known.iter().map(|(ours, _)| ours.as_str()).chain(by_worker).collect();
            let similar = most_similar(name, &names).map(ToOwned::to_owned);
            Err(PoolError::UnknownSession { name: name.to_owned(), similar })
        }
        Meant::Ambiguous(sessions) => Err(PoolError::AmbiguousSession { name: name.to_owned(), sessions }),
    }
}

/// Whether a session belongs to the pool.
pub(super) fn is_member(sessions: &Sessions, session: &SessionId) -> bool {
    member(sessions, session).is_some()
}

/// A session of the pool, with the record if readable; `None` for any other session.
fn member(sessions: &Sessions, session: &SessionId) -> Option<Option<SessionRecord>> {
    let dir = sessions.root().session(session).ok().flatten();
    let (role, record) = match dir.and_then(|dir| record_file::read(&dir).ok()) {
        Some(RecordFile::Whole(record)) => (Some(record.role()), Some(*record)),
        Some(RecordFile::Newer(newer)) => (newer.role(), None),
        Some(RecordFile::Absent | RecordFile::Corrupt { .. }) | None => (None, None),
    };
    is_pools(session, role).then_some(record)
}

/// Whether a session belongs to the pool, by the record's role, or else by the name.
fn is_pools(session: &SessionId, role: Option<Role>) -> bool {
    role.map_or_else(|| is_generated(session), |role| role == Role::PoolWorker)
}

/// The record of a session.
pub(super) fn record(sessions: &Sessions, session: &SessionId) -> Result<SessionRecord, PoolError> {
    let unknown = || PoolError::UnknownSession { name: session.to_string(), similar: None };
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

/// Records the worker's version and the worker's name of the session.
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

/// The sessions without a recorded beginning whose host is provably gone.
pub(super) fn forsaken(sessions: &Sessions) -> Result<Vec<SessionId>, PoolError> {
    let host_is_gone = |record: &SessionRecord| {
        record.worker_name.is_none() && procfs::standing(&record.launcher, sessions.here()).is_dead()
    };
    let members = members(sessions)?.into_iter();
    Ok(members.filter(|(_, record)| record.as_ref().is_some_and(host_is_gone)).map(|(it, _)| it).collect())
}

fn members(sessions: &Sessions) -> Result<Vec<(SessionId, Option<SessionRecord>)>, PoolError> {
    let there = sessions.root().sessions()?.into_iter();
    Ok(there.filter_map(|session| member(sessions, &session).map(|record| (session, record))).collect())
}
