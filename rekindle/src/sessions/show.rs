//! Shows one session without asking its worker.

use crate::error::Error;
use crate::json::without_nonce;
use crate::sessions::list;
use crate::sessions::snapshot::{ListenerTables, Snapshot};
use rekindle_adapters::claim_lock::{is_locked, read_evidence};
use rekindle_adapters::{SessionDir, StateRoot, hint, record_file};
use rekindle_core::claim::Found;
use rekindle_core::record::{NewerRecord, RecordFile};
use rekindle_core::{Host, LockClaim, OsFailure, Pid, SessionId, SessionRecord, SessionState};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The logs of a session, standard output first.
const LOGS: [&str; 2] = ["stdout.log", "stderr.log"];

/// Everything about one session. The JSON is the record, with `status`, `claim` and `lifeline` beside the record's
/// fields.
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

impl RecordView {
    /// The record if this version knows the schema.
    pub fn known(&self) -> Option<&SessionRecord> {
        match self {
            Self::Known(record) => Some(record),
            Self::Absent | Self::Newer(_) => None,
        }
    }

    fn fields(&self) -> Map<String, Value> {
        match self {
            Self::Absent => Map::new(),
            Self::Newer(newer) => newer.content.clone(),
            // The flat fields of earlier schemas stay beside the plan.
            Self::Known(record) => {
                [json!(record), json!(record.outline())].into_iter().flat_map(fields).collect()
            }
        }
    }
}

fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

impl Serialize for RecordView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields().serialize(serializer)
    }
}

impl Serialize for ClaimView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let holder = self.holder.as_ref().map(without_nonce);
        let mut fields = holder.unwrap_or_else(|| json!({ "corrupt": true }));
        fields["locked"] = json!(self.locked);
        fields.serialize(serializer)
    }
}

impl Serialize for SessionView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { record, status, claim, lifeline } = self;
        let mut fields = record.fields();
        fields.extend([
            ("status".to_owned(), json!(status)),
            ("claim".to_owned(), json!(claim)),
            ("lifeline".to_owned(), json!(lifeline)),
        ]);
        fields.serialize(serializer)
    }
}

/// The same JSON, indented.
impl fmt::Display for SessionView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", json!(self))
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
    Ok(SessionView {
        record: dir.as_ref().map_or(Ok(RecordView::Absent), record_view)?,
        status: snapshot.state(&ListenerTables::read(), here),
        claim,
        lifeline: LifelineView { held, holders: snapshot.holders()? },
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
