//! The JSON of the verbs that watch sessions.

use crate::sessions::watch::words::write_end;
use rekindle_core::events::Happened;
use rekindle_core::record::EndedBy;
use rekindle_core::shown::Shown;
use rekindle_core::{ChildExit, Endpoint, Generation, Pid, SessionId};
use serde::Serialize;
use std::fmt;

/// A line of `rekindle events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionEvent {
    /// What happened: `starting` (the first worker of the session), `restarting` (a later worker), `ready`, `exited`,
    /// `stopped`, `retained`, `released` or `removed`.
    pub event: Happened,
    /// The session.
    pub session: SessionId,
    /// The number of the start.
    pub generation: Generation,
    /// The time of the event, RFC 3339 in UTC: from the record if the record has it, else the time of the look.
    pub at: String,
    /// Whether the event tells the state at the beginning of the watch, and happened before.
    pub present: bool,
    /// The pid of the started process; `null` if unknown.
    pub pid: Option<Pid>,
    /// The endpoint of the worker; `null` if unknown.
    pub address: Option<Endpoint>,
    /// The exit: `{"code":3}` or `{"signal":"TERM","core":false}`; `null` if unknown, or if no worker has ended.
    pub exit: Option<ChildExit>,
    /// The cause of the end: `worker` (the worker itself, or another process), `stop`, `timeout` or `watch-failed`;
    /// `null` if unknown, or if no worker has ended.
    pub ended_by: Option<EndedBy>,
    /// Why the exit is unknown; `null` if the exit is known, or no worker has ended.
    pub exit_why: Option<&'static str>,
}

/// One line for people.
impl fmt::Display for SessionEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, session, event, generation, .. } = self;
        write!(f, "{at} {session}: {}, start {generation}", event.word())?;
        self.pid.map_or(Ok(()), |pid| write!(f, ", pid {pid}"))?;
        match event {
            Happened::Exited | Happened::Stopped => {
                f.write_str(": ")?;
                write_end(f, self.exit, self.ended_by, self.exit_why)
            }
            Happened::Ready => match &self.address {
                Some(Endpoint::Unix(socket)) => write!(f, ", on {}", Shown(socket)),
                Some(endpoint @ Endpoint::Tcp(_)) => write!(f, ", on {endpoint}"),
                Some(Endpoint::None) | None => Ok(()),
            },
            Happened::Starting
            | Happened::Restarting
            | Happened::Retained
            | Happened::Released
            | Happened::Removed => Ok(()),
        }
    }
}

/// `rekindle wait`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitJson<'a> {
    /// `exited`, `ready`, or `timeout` if the time was up before.
    pub outcome: &'static str,
    /// The session.
    pub session: &'a SessionId,
    /// The exit of the worker: `{"code":3}` or `{"signal":"TERM","core":false}`; `null` if unknown, or if the worker runs.
    pub exit: Option<ChildExit>,
    /// Why the exit is unknown; `null` if the exit is known, or the worker runs.
    pub exit_why: Option<&'static str>,
}

/// `rekindle signal`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignalJson<'a> {
    /// `signalled`
    pub outcome: &'static str,
    /// The session.
    pub session: &'a SessionId,
    /// The number of the start.
    pub generation: Generation,
    /// The name of the signal, without `SIG`.
    pub signal: String,
    /// The signalled processes.
    pub pids: &'a [Pid],
}

/// `rekindle rm`, one object for each session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemoveJson<'a> {
    /// `removed` or `kept`.
    pub outcome: &'static str,
    /// The session.
    pub session: &'a SessionId,
    /// The reason for keeping the session, in one word: `running`, `claimed`, `failed-run`, `newer`, `other-files` or
    /// `error`; `null` if the session was removed.
    pub because: Option<crate::KeptBecause>,
    /// The reason in words; `null` if the session was removed.
    pub why: Option<&'a str>,
}

/// `rekindle status`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusJson<'a> {
    /// The sessions, in the order of the call; all sessions by name if none was named.
    pub sessions: &'a [crate::SessionStatus],
}
