//! What is there, without asking any worker: the lifeline and the kernel's table of sockets answer.

use crate::error::Error;
use crate::snapshot::Snapshot;
use rekindle_adapters::claim_lock::{is_locked, read_evidence};
use rekindle_adapters::lifeline::{self, LifelineProbe, Located, Lost};
use rekindle_adapters::record_file;
use rekindle_adapters::socket_table::ListeningSockets;
use rekindle_adapters::{SessionDir, StateRoot};
use rekindle_core::byte_text;
use rekindle_core::claim::Found;
use rekindle_core::record::RecordFile;
use rekindle_core::{
    Generation, Host, LastWorker, Lifeline, OsFailure, Pid, SessionId, SessionRecord, SessionState,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// How much of the end of a log is shown.
const TAIL_LEN_MAX: usize = 4 << 10;

/// One line of a list of sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionSummary {
    /// The session.
    pub session: SessionId,
    /// How it stands.
    pub state: SessionState,
    /// Its worker, if one runs.
    pub pid: Option<Pid>,
    /// Where it answers.
    #[serde(with = "byte_text")]
    pub socket: Option<PathBuf>,
    /// Which start of it.
    pub generation: Generation,
    /// When that start began, RFC 3339 in UTC.
    pub started_at: Option<String>,
}

/// Everything about one session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionView {
    /// The record as it stands in its file, and of its plan once more what every schema has.
    #[serde(flatten)]
    pub record: Map<String, Value>,
    /// How the session stands.
    pub status: SessionState,
    /// The evidence of its claim, if there is one.
    pub claim: Option<Value>,
    /// Whether its lifeline is held, and by whom as far as that can be seen.
    pub lifeline: LifelineView,
}

/// A lifeline, for showing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LifelineView {
    /// Whether any process of the worker lives; `null` if the kernel does not say.
    pub held: Option<bool>,
    /// Those that can be seen to hold it.
    pub holders: Vec<Pid>,
}

/// What a list of sessions came to.
#[derive(Debug, Default)]
pub struct Listing {
    /// The sessions, in order.
    pub sessions: Vec<SessionSummary>,
    /// What could not be looked at, and why: a session, or the processes among which workers without files are searched for.
    pub left_out: Vec<LeftOut>,
}

/// Something that a list does not show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The session; `None` if it is not known which ones there would be.
    pub session: Option<SessionId>,
    /// What prevented it.
    pub why: String,
}

/// A session with all that is known of it.
pub(crate) struct Listed {
    pub(crate) session: SessionId,
    pub(crate) snapshot: Snapshot,
}

/// The sessions that are meant, those included whose files somebody removed under a living worker.
pub(crate) fn snapshots(
    root: &StateRoot,
    here: &Host,
    is_meant: impl Fn(&SessionId) -> bool,
) -> Result<(Vec<Listed>, Vec<LeftOut>), Error> {
    let (mut listed, mut left_out) = (Vec::new(), Vec::new());
    let named = root.sessions()?;
    if let Some(open) = root.opened()? {
        for session in named.iter().filter(|it| is_meant(it)).cloned() {
            // One that is removed meanwhile, or cannot be looked at, must not hide the others.
            match open.session(&session).and_then(|dir| dir.map(|dir| Snapshot::take(&dir, here)).transpose())
            {
                Ok(Some(snapshot)) if snapshot.is_known() => listed.push(Listed { session, snapshot }),
                Ok(Some(_) | None) => {}
                Err(error) => left_out.push(LeftOut { session: Some(session), why: error.to_string() }),
            }
        }
    }
    let seen: Vec<&SessionId> = named.iter().collect();
    for (session, probe) in lost(root, &mut left_out) {
        if is_meant(&session) && !seen.contains(&&session) {
            match Snapshot::of_lost(probe, here) {
                Ok(snapshot) => listed.push(Listed { snapshot, session }),
                Err(error) => left_out.push(LeftOut { session: Some(session), why: error.to_string() }),
            }
        }
    }
    listed.sort_by(|one, other| one.session.cmp(&other.session));
    Ok((listed, left_out))
}

/// The lifelines of this state directory that processes keep, by their sessions.
fn lost(root: &StateRoot, left_out: &mut Vec<LeftOut>) -> Vec<(SessionId, LifelineProbe)> {
    let searched = lifeline::search(root.path(), None);
    let why = |gap: OsFailure| format!("workers whose files were removed could not be searched for: {gap}");
    left_out.extend(searched.gap.map(|gap| LeftOut { session: None, why: why(gap) }));
    let named = |lost: Lost| Some((lost.mark.session?, lost.probe));
    searched.found.into_iter().filter_map(named).collect()
}

/// Every session of a state directory.
pub(crate) fn list(root: &StateRoot, here: &Host) -> Result<Listing, Error> {
    let (those, left_out) = list_those(root, here, |_| true)?;
    Ok(Listing { sessions: those.into_iter().map(|(summary, _)| summary).collect(), left_out })
}

/// Sessions, each with its record as far as that can be read.
pub(crate) type Recorded = Vec<(SessionSummary, Option<SessionRecord>)>;

/// The sessions that are meant.
pub(crate) fn list_those(
    root: &StateRoot,
    here: &Host,
    is_meant: impl Fn(&Listed) -> bool,
) -> Result<(Recorded, Vec<LeftOut>), Error> {
    let (mut snapshots, left_out) = snapshots(root, here, |_| true)?;
    snapshots.retain(is_meant);
    let listening = ListeningSockets::read();
    let summaries = snapshots.into_iter().map(|Listed { session, snapshot }| {
        let summary = SessionSummary {
            session,
            state: snapshot.state(&listening),
            pid: snapshot.pid().filter(|_| snapshot.last_worker() != LastWorker::Gone),
            socket: snapshot.socket().map(ToOwned::to_owned),
            generation: snapshot.generation(),
            started_at: snapshot.started_at(),
        };
        (summary, snapshot.record)
    });
    Ok((summaries.collect(), left_out))
}

/// Everything about one session.
pub(crate) fn show(root: &StateRoot, here: &Host, session: &SessionId) -> Result<SessionView, Error> {
    let unknown = || Error::UnknownSession { session: session.clone() };
    let dir = root.session(session)?;
    let (snapshot, claim) = match &dir {
        Some(dir) => (Snapshot::take(dir, here)?, show_claim(dir)?),
        None => (lost_survey(root, here, session)?, None),
    };
    snapshot.require_readable(&root.path().join(session.as_str()), session)?;
    if !snapshot.is_known() && claim.is_none() {
        return Err(unknown());
    }
    let held = match snapshot.evidence.lifeline {
        Lifeline::Held => Some(true),
        Lifeline::Free => Some(false),
        Lifeline::Missing | Lifeline::Unreadable => None,
    };
    Ok(SessionView {
        record: dir.as_ref().map_or_else(|| Ok(Map::new()), raw_record)?,
        status: snapshot.state(&ListeningSockets::read()),
        claim,
        lifeline: LifelineView { held, holders: snapshot.holders()? },
    })
}

/// What is known of a session without a directory.
pub(crate) fn lost_survey(root: &StateRoot, here: &Host, session: &SessionId) -> Result<Snapshot, Error> {
    match lifeline::find(root.path(), session) {
        Located::Named(probe) | Located::Lost(probe) => Ok(Snapshot::of_lost(probe, here)?),
        Located::Nowhere => Err(Error::UnknownSession { session: session.clone() }),
        Located::Unsearched { why } => Err(Error::Unsearched { session: session.clone(), why }),
    }
}

fn raw_record(dir: &SessionDir) -> Result<Map<String, Value>, OsFailure> {
    let fields = match record_file::read(dir)? {
        // What earlier versions showed beside the plan is still shown.
        RecordFile::Whole(record) => {
            let mut fields = object(&record);
            let outline = object(&record.outline());
            fields.extend(outline);
            fields
        }
        RecordFile::Newer(newer) => newer.content,
        RecordFile::Absent | RecordFile::Corrupt { .. } => Map::new(),
    };
    Ok(fields)
}

fn object(shown: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(shown) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => Map::new(),
    }
}

/// The claim as it is kept, readable or not, and whether the kernel's lock is held.
fn show_claim(dir: &SessionDir) -> Result<Option<Value>, OsFailure> {
    let found = read_evidence(dir)?;
    if found == Found::Nothing {
        return Ok(None);
    }
    let locked = is_locked(dir)?;
    let mut claim = match found.payload().map(serde_json::to_value) {
        Some(Ok(Value::Object(fields))) => fields,
        Some(_) | None => Map::from_iter([("corrupt".to_owned(), json!(true))]),
    };
    // The authority to release it is nobody else's business.
    claim.remove("nonce");
    claim.insert("locked".into(), json!(locked));
    Ok(Some(Value::Object(claim)))
}

/// The end of what the worker wrote to its standard error.
pub(crate) fn stderr_tail(root: &StateRoot, session: &SessionId) -> String {
    let content =
        root.session(session).ok().flatten().and_then(|dir| dir.read_tail("stderr.log", TAIL_LEN_MAX).ok());
    let bytes = content.unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
