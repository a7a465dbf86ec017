//! Lists sessions without asking any worker: the lifeline and the kernel's socket table answer.

use crate::error::Error;
use crate::sessions::show::pass::{LogPaths, pass_by};
use crate::sessions::snapshot::{ListenerTables, Snapshot};
use rekindle_adapters::lifeline::{self, LifelineProbe, Located, Lost};
use rekindle_adapters::{SessionDir, StateRoot};
use rekindle_core::byte_text;
use rekindle_core::care::ending::Ended;
use rekindle_core::care::similar::most_similar;
use rekindle_core::record::EndedBy;
use rekindle_core::shown::Shown;
use rekindle_core::{
    ChildExit, Endpoint, Generation, Host, LastWorker, OsFailure, Pid, RecordState, SessionId, SessionRecord,
    SessionState,
};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// The limit of log bytes to show, counted from the end.
const TAIL_LEN_MAX: usize = 4 << 10;

/// One line of a list of sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionSummary {
    /// The session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session: SessionId,
    /// The state.
    #[cfg_attr(feature = "schema", schemars(with = "crate::json::standin::SessionState"))]
    pub state: SessionState,
    /// The pid of the worker, if running.
    #[cfg_attr(feature = "schema", schemars(with = "Option<u32>"))]
    pub pid: Option<Pid>,
    /// The path of the worker's socket, if the endpoint is a Unix socket.
    #[serde(with = "byte_text")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::json::standin::Text>"))]
    pub socket: Option<PathBuf>,
    /// The endpoint of the worker.
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::json::standin::Text>"))]
    pub address: Option<Endpoint>,
    /// The generation.
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub generation: Generation,
    /// The time of the start, RFC 3339 in UTC.
    pub started_at: Option<String>,
    /// The exit of the last worker: `{"code":3}` or `{"signal":"TERM","core":false}`; `null` if unknown, or if the worker
    /// runs.
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::json::standin::Exit>"))]
    pub exit: Option<ChildExit>,
    /// The time when the end was seen, RFC 3339 in UTC; `null` if the end was not seen, or the worker runs.
    pub exited_at: Option<String>,
    /// The cause of the end: `worker`, `stop`, `timeout` or `watch-failed`; `null` if unknown, or if the worker runs.
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::json::standin::EndedBy>"))]
    pub ended_by: Option<EndedBy>,
    /// The logs of the last start.
    #[serde(flatten)]
    pub logs: LogPaths,
    /// How the worker ended, if the worker is gone and its record is readable.
    #[serde(skip)]
    pub ended: Option<Ended>,
}

impl fmt::Display for SessionSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.session, self.state)?;
        self.pid.map_or(Ok(()), |pid| write!(f, ", pid {pid}"))?;
        match &self.address {
            Some(Endpoint::Unix(socket)) => write!(f, ", on {}", Shown(socket)),
            Some(endpoint @ Endpoint::Tcp(_)) => write!(f, ", on {endpoint}"),
            Some(Endpoint::None) | None => Ok(()),
        }
    }
}

/// The result of listing the sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Listing {
    /// The sessions, sorted.
    pub sessions: Vec<SessionSummary>,
    /// The sessions that could not be read, with the reasons; also a failed search through the processes for workers
    /// without files.
    pub left_out: Vec<LeftOut>,
}

/// An entry left out of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LeftOut {
    /// The session; `None` if the missing sessions are unknown.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub session: Option<SessionId>,
    /// The reason.
    pub why: String,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.session {
            Some(session) => write!(f, "session {session} was left out: {}", self.why),
            None => f.write_str(&self.why),
        }
    }
}

/// A line for each session, and a line for each entry left out.
impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left_out = self.left_out.iter().map(ToString::to_string);
        let lines: Vec<String> = self.sessions.iter().map(ToString::to_string).chain(left_out).collect();
        f.write_str(if lines.is_empty() { "no sessions" } else { "" })?;
        f.write_str(&lines.join("\n"))
    }
}

/// A session with its snapshot.
pub(crate) struct Listed {
    pub(crate) session: SessionId,
    /// Whether the session has a directory. Without one its logs are gone.
    pub(crate) has_dir: bool,
    pub(crate) snapshot: Snapshot,
}

/// The matching sessions, including sessions whose files were removed under a living worker.
pub(crate) fn snapshots(
    root: &StateRoot,
    here: &Host,
    is_meant: impl Fn(&SessionId) -> bool,
) -> Result<(Vec<Listed>, Vec<LeftOut>), Error> {
    let (mut listed, mut left_out) = (Vec::new(), Vec::new());
    let named = root.sessions()?;
    if let Some(open) = root.opened()? {
        for session in named.iter().filter(|it| is_meant(it)).cloned() {
            // A session that was removed meanwhile or cannot be read must not hide the others.
            match open.session(&session).and_then(|dir| dir.map(|dir| look(&dir, here)).transpose()) {
                Ok(Some(snapshot)) if snapshot.is_known() => {
                    listed.push(Listed { session, snapshot, has_dir: true });
                }
                Ok(Some(_) | None) => {}
                Err(error) => left_out.push(LeftOut { session: Some(session), why: error.to_string() }),
            }
        }
    }
    let seen: Vec<&SessionId> = named.iter().collect();
    for (session, probe) in lost(root, &mut left_out) {
        if is_meant(&session) && !seen.contains(&&session) {
            match Snapshot::of_lost(probe, here) {
                Ok(snapshot) => listed.push(Listed { session, snapshot, has_dir: false }),
                Err(error) => left_out.push(LeftOut { session: Some(session), why: error.to_string() }),
            }
        }
    }
    listed.sort_by(|one, other| one.session.cmp(&other.session));
    Ok((listed, left_out))
}

/// The snapshot of a session, and a pass by its logs.
fn look(dir: &SessionDir, here: &Host) -> Result<Snapshot, OsFailure> {
    let snapshot = Snapshot::take(dir, here)?;
    pass_by(dir, snapshot.record.as_ref());
    Ok(snapshot)
}

/// The lifelines of the state directory with a living holder, and their sessions.
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

/// Sessions, each with its record if readable.
pub(crate) type Recorded = Vec<(SessionSummary, Option<SessionRecord>)>;

/// The matching sessions.
pub(crate) fn list_those(
    root: &StateRoot,
    here: &Host,
    is_meant: impl Fn(&Listed) -> bool,
) -> Result<(Recorded, Vec<LeftOut>), Error> {
    let (mut snapshots, left_out) = snapshots(root, here, |_| true)?;
    snapshots.retain(is_meant);
    let listening = ListenerTables::read();
    let summaries = snapshots.into_iter().map(|Listed { session, snapshot, has_dir }| {
        let logs = has_dir.then(|| LogPaths::below(root.path(), &session));
        let is_over = snapshot.last_worker() == LastWorker::Gone;
        let state = snapshot.state(&listening, here);
        let is_gone = state == SessionState::Exited;
        let end = snapshot.record.as_ref().filter(|record| is_over && record.state == RecordState::Exited);
        let summary = SessionSummary {
            session,
            exit: end.and_then(|record| record.exit).filter(|exit| exit.is_known()),
            exited_at: end.and_then(|record| Some(record.exited_at?.to_string())),
            ended_by: end.and_then(|record| record.ended_by),
            state,
            pid: snapshot.pid().filter(|_| snapshot.last_worker() != LastWorker::Gone),
            socket: snapshot.socket().map(ToOwned::to_owned),
            address: snapshot.endpoint(),
            generation: snapshot.generation(),
            started_at: snapshot.started_at(),
            logs: logs.unwrap_or_default(),
            ended: snapshot.record.as_ref().filter(|_| is_gone).map(Ended::of),
        };
        (summary, snapshot.record)
    });
    Ok((summaries.collect(), left_out))
}

/// The snapshot of a session without a directory, from the lifeline of a living worker; `None` if no worker lives.
pub(crate) fn lost_snapshot(
    root: &StateRoot,
    here: &Host,
    session: &SessionId,
) -> Result<Option<Snapshot>, Error> {
    match lifeline::find(root.path(), session) {
        Located::Named(probe) | Located::Lost(probe) => Ok(Some(Snapshot::of_lost(probe, here)?)),
        Located::Nowhere => Ok(None),
        Located::Unsearched { why } => Err(Error::Unsearched { session: session.clone(), why }),
    }
}

/// The error for a session without any facts, with the session that was probably meant.
pub(crate) fn unknown(root: &StateRoot, session: &SessionId) -> Error {
    Error::UnknownSession { session: session.clone(), similar: similar(root, session) }
}

/// The session whose name is most similar. Names that cannot be listed only cost the suggestion.
pub(crate) fn similar(root: &StateRoot, session: &SessionId) -> Option<SessionId> {
    let sessions = root.sessions().unwrap_or_default();
    let names: Vec<&str> = sessions.iter().map(SessionId::as_str).collect();
    most_similar(session.as_str(), &names)?.parse().ok()
}

/// The end of the worker's standard error.
pub(crate) fn stderr_tail(root: &StateRoot, session: &SessionId) -> String {
    root.session(session).ok().flatten().and_then(|dir| tail(&dir, "stderr.log")).unwrap_or_default()
}

/// The end of a log; `None` if there is no log, or it cannot be read.
pub(crate) fn tail(dir: &SessionDir, log: &str) -> Option<String> {
    let bytes = dir.read_tail(log, TAIL_LEN_MAX).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
