//! An event of a session, in words and as JSON.

use crate::sessions::watch::words::write_end;
use rekindle_core::events::Happened;
use rekindle_core::record::EndedBy;
use rekindle_core::shown::Shown;
use rekindle_core::{ChildExit, Endpoint, Generation, Pid, SessionId};
use serde::Serialize;
use std::fmt;

/// A line of `rekindle events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionEvent {
    /// What happened: `starting` (the first worker of the session), `restarting` (a later worker), `ready`, `exited`,
    /// `stopped`, `retained`, `released` or `removed`.
    #[cfg_attr(feature = "schema", schemars(with = "crate::json::standin::Happened"))]
    pub event: Happened,
    /// The session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session: SessionId,
    /// The number of the start.
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub generation: Generation,
    /// The time of the event, RFC 3339 in UTC: from the record if the record has it, else the time of the look.
    pub at: String,
    /// Whether the event tells the state at the beginning of the watch, and happened before.
    pub present: bool,
    /// The pid of the started process; `null` if unknown.
    #[cfg_attr(feature = "schema", schemars(with = "Option<u32>"))]
    pub pid: Option<Pid>,
    /// The endpoint of the worker; `null` if unknown.
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::json::standin::Text>"))]
    pub address: Option<Endpoint>,
    /// The exit: `{"code":3}` or `{"signal":"TERM","core":false}`; `null` if unknown, or if no worker has ended.
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::json::standin::Exit>"))]
    pub exit: Option<ChildExit>,
    /// The cause of the end: `worker` (the worker itself, or another process), `stop`, `timeout` or `watch-failed`;
    /// `null` if unknown, or if no worker has ended.
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::json::standin::EndedBy>"))]
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
