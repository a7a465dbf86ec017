//! Shows one session without asking its worker.

pub(crate) mod logs;
pub(crate) mod pass;

use crate::error::Error;
use crate::json::look::{ClaimJson, LifelineJson, RecordFields, RecordJson, ShowJson};
use crate::json::path_text;
use crate::json::word::described_as;
use crate::sessions::list;
use crate::sessions::show::pass::{LogPaths, pass_by};
use crate::sessions::snapshot::{ListenerTables, Snapshot};
use rekindle_adapters::claim_lock::{is_locked, read_evidence};
use rekindle_adapters::logs::names::LOGS;
use rekindle_adapters::{SessionDir, StateRoot, hint, record_file};
use rekindle_core::claim::Found;
use rekindle_core::record::{NewerRecord, RecordFile};
use rekindle_core::{Host, LockClaim, OsFailure, Pid, RecordState, SessionId, SessionRecord, SessionState};
use serde::{Serialize, Serializer};
use serde_json::Map;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Everything about one session. The JSON is the record, with `status`, `claim`, `lifeline` and `exit_why` beside the
/// record's fields. `exit` is spelled as in all JSON; `exit_why` says why an exit is unknown.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionView {
    /// The record as stored.
    pub record: RecordView,
    /// The state of the session.
    pub status: SessionState,
    /// The evidence of the claim, if any.
    pub claim: Option<ClaimView>,
    /// Whether the lifeline is held, and the visible holders.
    pub lifeline: LifelineView,
    /// The logs of the last start.
    pub logs: LogPaths,
}

/// The record of a session. For an unreadable record, [`Sessions::show`](crate::Sessions::show) returns an error.
#[derive(Debug, Clone, PartialEq)]
pub enum RecordView {
    /// No record: the record was removed under a living worker, or only a claim was ever made.
    Absent,
    /// A record of a known schema.
    Known(Box<SessionRecord>),
    /// A record of a later version, as stored.
    Newer(NewerRecord),
}

/// The evidence of a claim. The JSON has no nonce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimView {
    /// The present or past holder of the claim; `None` if the evidence cannot be read.
    pub holder: Option<LockClaim>,
    /// Whether a launcher holds the kernel's lock.
    pub locked: bool,
}

/// The lifeline of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LifelineView {
    /// Whether any process of the worker lives; `null` if unknown.
    pub held: Option<bool>,
    /// The visible holders.
    pub holders: Vec<Pid>,
}

impl SessionView {
    /// Why the exit of an ended worker is unknown; `None` if the exit is known, or the worker runs.
    pub fn exit_why(&self) -> Option<&'static str> {
        if self.status == SessionState::Exited { why_unknown(self.record.known()) } else { None }
    }
}

impl RecordView {
    /// The record if this version knows the schema.
    pub fn known(&self) -> Option<&SessionRecord> {
        match self {
            Self::Known(record) => Some(record),
            Self::Absent | Self::Newer(_) => None,
        }
    }

    fn fields(&self) -> RecordFields<'_> {
        match self {
            Self::Absent => RecordFields::Stored(Map::new()),
            Self::Known(record) => RecordFields::Known(Box::new(RecordJson::from(&**record))),
            Self::Newer(newer) => {
                let mut fields = newer.content.clone();
                // The version in front is that of the output.
                if let Some(version) = fields.shift_remove("schema_version") {
                    fields.shift_insert(0, "record_schema_version".to_owned(), version);
                }
                RecordFields::Stored(fields)
            }
        }
    }
}

described_as!(SessionView => ShowJson<'static>);

/// Why the exit of an ended worker is unknown; `None` if the exit is known, or no process ever existed.
pub(crate) fn why_unknown(record: Option<&SessionRecord>) -> Option<&'static str> {
    let Some(record) = record else { return Some("the record of the worker was removed") };
    match (record.state, record.exit) {
        (_, Some(exit)) if exit.is_known() => None,
        (RecordState::Exited, None) => None,
        (RecordState::Exited, Some(_)) => Some(
            "who saw the worker gone was not watching it when it ended, or the kernel did not tell its exit",
        ),
        (RecordState::Starting | RecordState::Ready | RecordState::Retained, _) => {
            Some("nobody watched the worker when it ended")
        }
    }
}

impl Serialize for RecordView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields().serialize(serializer)
    }
}

impl ClaimView {
    fn fields(&self) -> ClaimJson<'_> {
        let holder = self.holder.as_ref().map(Into::into);
        ClaimJson { corrupt: holder.is_none().then_some(true), holder, locked: self.locked }
    }
}

impl Serialize for ClaimView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields().serialize(serializer)
    }
}

impl Serialize for SessionView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = ShowJson {
            record: self.record.fields(),
            status: self.status,
            claim: self.claim.as_ref().map(ClaimView::fields),
            lifeline: LifelineJson { held: self.lifeline.held, holders: &self.lifeline.holders },
            exit_why: self.exit_why(),
            stdout_log: self.logs.stdout.as_deref().map(path_text),
            stderr_log: self.logs.stderr.as_deref().map(path_text),
        };
        fields.serialize(serializer)
    }
}

/// The same JSON, indented.
impl fmt::Display for SessionView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", serde_json::to_value(self).unwrap_or_default())
    }
}

/// Everything about one session.
pub(crate) fn show(root: &StateRoot, here: &Host, session: &SessionId) -> Result<SessionView, Error> {
    let unknown = || list::unknown(root, session);
    let dir = root.session(session)?;
    let (snapshot, claim) = match &dir {
        Some(dir) => (Snapshot::take(dir, here)?, claim_view(dir)?),
        None => (list::lost_snapshot(root, here, session)?.ok_or_else(unknown)?, None),
    };
    snapshot.require_readable(&root.path().join(session.as_str()), session)?;
    if !snapshot.is_known() && claim.is_none() {
        return Err(unknown());
    }
    let held = snapshot.evidence.lifeline.is_held();
    if let Some(dir) = &dir {
        pass_by(dir, snapshot.record.as_ref());
    }
    let logs = dir.as_ref().filter(|_| snapshot.is_known()).map(|dir| LogPaths::of(dir.path()));
    Ok(SessionView {
        record: dir.as_ref().map_or(Ok(RecordView::Absent), record_view)?,
        status: snapshot.state(&ListenerTables::read(), here),
        claim,
        lifeline: LifelineView { held, holders: snapshot.holders()? },
        logs: logs.unwrap_or_default(),
    })
}

/// The ends of both logs of a session's last worker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogTails {
    /// The end of the standard output.
    pub stdout: LogTail,
    /// The end of the standard error.
    pub stderr: LogTail,
}

/// The end of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogTail {
    /// The path of the log.
    pub path: PathBuf,
    /// The last lines, at most 4 KiB, the first of them perhaps cut; `None` if there is no log, or it cannot be read. Bytes
    /// that are not UTF-8 are replaced.
    pub text: Option<String>,
}

/// The ends of both logs.
pub(crate) fn log_tails(root: &StateRoot, session: &SessionId) -> LogTails {
    let dir = root.session(session).ok().flatten();
    let [stdout, stderr] = LOGS.map(|name| LogTail {
        path: root.path().join(session.as_str()).join(name),
        text: dir.as_ref().and_then(|dir| list::tail(dir, name)),
    });
    LogTails { stdout, stderr }
}

/// A TCP port on which the session's worker listens, if it does not listen at its endpoint.
pub(crate) fn tcp_port(root: &StateRoot, here: &Host, session: &SessionId) -> Option<SocketAddr> {
    let dir = root.session(session).ok()??;
    let snapshot = Snapshot::take(&dir, here).ok()?;
    hint::tcp_port(&snapshot.worker(here).ok()?, &snapshot.endpoint()?)
}

fn record_view(dir: &SessionDir) -> Result<RecordView, OsFailure> {
    Ok(match record_file::read(dir)? {
        RecordFile::Whole(record) => RecordView::Known(record),
        RecordFile::Newer(newer) => RecordView::Newer(newer),
        // A record that became unreadable after the snapshot is shown as absent.
        RecordFile::Absent | RecordFile::Corrupt { .. } => RecordView::Absent,
    })
}

/// The stored claim, readable or not, and whether the kernel's lock is held.
fn claim_view(dir: &SessionDir) -> Result<Option<ClaimView>, OsFailure> {
    let found = read_evidence(dir)?;
    if found == Found::Nothing {
        return Ok(None);
    }
    Ok(Some(ClaimView { holder: found.payload().cloned(), locked: is_locked(dir)? }))
}
