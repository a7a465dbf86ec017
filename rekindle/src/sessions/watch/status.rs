//! The status of sessions in a word, for scripts.

use crate::error::Error;
use crate::sessions::list::{LeftOut, list_those};
use crate::sessions::show::why_unknown;
use crate::sessions::watch::words::write_end;
use rekindle_adapters::StateRoot;
use rekindle_core::record::EndedBy;
use rekindle_core::{ChildExit, Endpoint, Generation, Host, Pid, SessionId, SessionRecord, SessionState};
use serde::Serialize;
use std::fmt;

/// Whether the worker of a session can be used, for an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The worker runs and is ready.
    Live,
    /// No worker runs, or the worker is not ready yet.
    NotRunning,
    /// There is no such session, or the worker cannot be judged, does not answer, or is nobody's to observe.
    Unknown,
}

/// The status of one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionStatus {
    /// The session.
    pub session: SessionId,
    /// `live`, `not-running` or `unknown`.
    pub standing: Standing,
    /// The state, as in `ls`; `null` for an unknown or unreadable session.
    pub state: Option<SessionState>,
    /// The pid of the worker; `null` if the worker does not run.
    pub pid: Option<Pid>,
    /// The endpoint of the worker; `null` if unknown.
    pub address: Option<Endpoint>,
    /// The number of the start; `null` for an unknown or unreadable session.
    pub generation: Option<Generation>,
    /// The time of the start, RFC 3339 in UTC; `null` if unknown.
    pub started_at: Option<String>,
    /// The exit of the last worker: `{"code":3}` or `{"signal":"TERM","core":false}`; `null` if unknown, or if the worker
    /// runs.
    pub exit: Option<ChildExit>,
    /// The time when the end was seen, RFC 3339 in UTC; `null` if the end was not seen, or the worker runs.
    pub exited_at: Option<String>,
    /// The cause of the end: `worker`, `stop`, `timeout` or `watch-failed`; `null` if unknown, or if the worker runs.
    pub ended_by: Option<EndedBy>,
    /// Why the exit or the session is unknown; `null` if nothing is.
    pub why: Option<String>,
}

impl SessionStatus {
    fn unknown(session: SessionId, why: String) -> Self {
        Self {
            session,
            standing: Standing::Unknown,
            state: None,
            pid: None,
            address: None,
            generation: None,
            started_at: None,
            exit: None,
            exited_at: None,
            ended_by: None,
            why: Some(why),
        }
    }
}

/// One line for people.
impl fmt::Display for SessionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(state) = self.state else {
            let why = self.why.as_deref().unwrap_or_default();
            return write!(f, "{}: unknown: {why}", self.session);
        };
        write!(f, "{}: {state}", self.session)?;
        self.pid.map_or(Ok(()), |pid| write!(f, ", pid {pid}"))?;
        if state == SessionState::Exited {
            f.write_str(": ")?;
            write_end(f, self.exit, self.ended_by, self.why.as_deref())?;
            return self.exited_at.as_ref().map_or(Ok(()), |at| write!(f, ", {at}"));
        }
        self.started_at.as_ref().map_or(Ok(()), |at| write!(f, ", since {at}"))
    }
}

/// The status of the named sessions, or of all.
pub(crate) fn status(root: &StateRoot, here: &Host, only: &[SessionId]) -> Result<Vec<SessionStatus>, Error> {
    let (listed, left_out) = list_those(root, here, |it| only.is_empty() || only.contains(&it.session))?;
    let mut known: Vec<SessionStatus> = listed
        .into_iter()
        .map(|(summary, record)| {
            let end = (summary.state == SessionState::Exited).then_some(record.as_ref()).flatten();
            SessionStatus {
                standing: standing(summary.state),
                state: Some(summary.state),
                pid: summary.pid,
                address: summary.address,
                generation: Some(summary.generation),
                started_at: summary.started_at,
                exit: end.and_then(known_exit),
                exited_at: end.and_then(|record| Some(record.exited_at?.to_string())),
                ended_by: end.and_then(|record| record.ended_by),
                why: (summary.state == SessionState::Exited)
                    .then(|| why_unknown(record.as_ref()).map(ToOwned::to_owned))
                    .flatten(),
                session: summary.session,
            }
        })
        .collect();
    let unread = |left_out: LeftOut| Some(SessionStatus::unknown(left_out.session?, left_out.why));
    known.extend(
        left_out.into_iter().filter_map(unread).filter(|it| only.is_empty() || only.contains(&it.session)),
    );
    if only.is_empty() {
        known.sort_by(|one, other| one.session.cmp(&other.session));
        return Ok(known);
    }
    let of = |session: &SessionId| {
        let found = known.iter().find(|it| it.session == *session).cloned();
        found
            .unwrap_or_else(|| SessionStatus::unknown(session.clone(), "there is no such session".to_owned()))
    };
    Ok(only.iter().map(of).collect())
}

fn known_exit(record: &SessionRecord) -> Option<ChildExit> {
    record.exit.filter(|exit| exit.is_known())
}

fn standing(state: SessionState) -> Standing {
    match state {
        SessionState::Live => Standing::Live,
        SessionState::Exited | SessionState::Starting => Standing::NotRunning,
        SessionState::Unresponsive | SessionState::Retained | SessionState::Corrupt => Standing::Unknown,
    }
}
