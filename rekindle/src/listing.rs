//! What is there, without asking any worker: the lifeline and the kernel's table of sockets answer.

use crate::error::Error;
use crate::survey::Survey;
use rekindle_adapters::claim_lock::{CLAIM_FILE, is_locked};
use rekindle_adapters::probe::{self, Probed};
use rekindle_adapters::record_file;
use rekindle_adapters::socket_table::ListeningSockets;
use rekindle_adapters::{SessionDir, StateRoot, lifeline};
use rekindle_core::record::RecordFile;
use rekindle_core::{
    Generation, Host, LastWorker, Lifeline, OsFailure, Pid, RecordState, SessionId, SessionRecord,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// How much of the end of a log is shown.
const TAIL_LEN_MAX: usize = 4 << 10;

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionState {
    /// Its worker runs and is not ready yet.
    Starting,
    /// Its worker runs and listens.
    Live,
    /// Its worker runs and does not listen, or cannot be judged.
    Unresponsive,
    /// Its worker is gone.
    Exited,
    /// Its worker runs, and nothing could be observed of its start.
    Retained,
    /// Its record cannot be read.
    Corrupt,
}

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
    pub socket: Option<PathBuf>,
    /// Which start of it.
    pub generation: Generation,
    /// When that start began, RFC 3339 in UTC.
    pub started_at: Option<String>,
}

/// Everything about one session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionView {
    /// The record as it stands in its file.
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

/// Every session of a state directory.
pub(crate) fn list(root: &StateRoot, here: &Host) -> Result<Vec<SessionSummary>, Error> {
    Ok(list_those(root, here, |_| true)?.into_iter().map(|(summary, _)| summary).collect())
}

/// The sessions that are meant, with their records as far as those can be read.
pub(crate) fn list_those(
    root: &StateRoot,
    here: &Host,
    is_meant: impl Fn(&SessionId) -> bool,
) -> Result<Vec<(SessionSummary, Option<SessionRecord>)>, Error> {
    let Some(open) = root.opened()? else { return Ok(Vec::new()) };
    let listening = ListeningSockets::read();
    let mut summaries = Vec::new();
    for session in root.sessions()?.into_iter().filter(is_meant) {
        // One that is removed meanwhile, or cannot be opened, must not hide the others.
        let summary = match open.session(&session) {
            Ok(Some(dir)) => summarise(&dir, here, &listening),
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(%session, %error, "a session was left out");
                None
            }
        };
        summaries.extend(summary);
    }
    Ok(summaries)
}

fn summarise(
    dir: &SessionDir,
    here: &Host,
    listening: &ListeningSockets,
) -> Option<(SessionSummary, Option<SessionRecord>)> {
    let session = dir.session().clone();
    let Ok(survey) = Survey::take(dir, here) else {
        let (pid, socket, started_at) = (None, None, None);
        let (state, generation) = (SessionState::Corrupt, Generation::UNMANAGED);
        return Some((SessionSummary { session, state, pid, socket, generation, started_at }, None));
    };
    // A directory in which nothing was ever started is no session.
    if !survey.is_known() {
        return None;
    }
    let summary = SessionSummary {
        session,
        state: state_of(&survey, listening),
        pid: survey.pid(),
        socket: survey.socket().map(ToOwned::to_owned),
        generation: survey.generation,
        started_at: survey.record.as_ref().map(|record| record.started_at.to_string()),
    };
    Some((summary, survey.record))
}

/// How a session stands.
pub(crate) fn state_of(survey: &Survey, listening: &ListeningSockets) -> SessionState {
    let worker = survey.last_worker();
    if worker == LastWorker::Gone {
        return SessionState::Exited;
    }
    if survey.socket().is_some_and(|socket| listening.contains(socket)) {
        return SessionState::Live;
    }
    match survey.evidence.recorded {
        Some(RecordState::Starting) | None => SessionState::Starting,
        Some(RecordState::Retained) => SessionState::Retained,
        // The table knows the path as the worker gave it; a relative one has to be asked for itself.
        Some(RecordState::Ready | RecordState::Exited) => match survey.socket().map(probe::probe_once) {
            Some(Probed::Live(_)) => SessionState::Live,
            Some(_) | None => SessionState::Unresponsive,
        },
    }
}

/// Everything about one session.
pub(crate) fn show(root: &StateRoot, here: &Host, session: &SessionId) -> Result<SessionView, Error> {
    let unknown = || Error::UnknownSession { session: session.clone() };
    let dir = root.session(session)?.ok_or_else(unknown)?;
    let survey = Survey::take(&dir, here)?;
    let claim = show_claim(&dir)?;
    if survey.generation == Generation::UNMANAGED
        && survey.last_worker() == LastWorker::Gone
        && claim.is_none()
    {
        return Err(unknown());
    }
    let probe = lifeline::open(&dir)?;
    let held = match survey.evidence.lifeline {
        Lifeline::Held => Some(true),
        Lifeline::Free => Some(false),
        Lifeline::Missing | Lifeline::Unreadable => None,
    };
    let holders = probe.filter(|_| held == Some(true)).map(|probe| probe.holders()).unwrap_or_default();
    Ok(SessionView {
        record: raw_record(&dir)?,
        status: state_of(&survey, &ListeningSockets::read()),
        claim,
        lifeline: LifelineView { held, holders },
    })
}

fn raw_record(dir: &SessionDir) -> Result<Map<String, Value>, OsFailure> {
    let fields = match record_file::read(dir)? {
        RecordFile::Whole(record) => match serde_json::to_value(record) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) | Err(_) => Map::new(),
        },
        RecordFile::Newer(newer) => newer.content,
        RecordFile::Absent | RecordFile::Corrupt { .. } => Map::new(),
    };
    Ok(fields)
}

/// The claim as it stands in its file, readable or not, and whether the kernel's lock is held.
fn show_claim(dir: &SessionDir) -> Result<Option<Value>, OsFailure> {
    let Some(content) = dir.read(CLAIM_FILE)? else { return Ok(None) };
    let locked = is_locked(dir)?;
    let mut claim = match serde_json::from_slice(&content.bytes) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => Map::from_iter([("corrupt".to_owned(), json!(true))]),
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
