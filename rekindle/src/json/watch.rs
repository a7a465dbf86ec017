//! The JSON of the verbs that watch sessions.

pub use crate::sessions::watch::event::SessionEvent;
use rekindle_core::{ChildExit, Generation, Pid, SessionId};
use serde::Serialize;

/// `rekindle wait`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WaitJson<'a> {
    /// `exited`, `ready`, or `timeout` if the time was up before.
    pub outcome: &'static str,
    /// The session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session: &'a SessionId,
    /// The exit of the worker: `{"code":3}` or `{"signal":"TERM","core":false}`; `null` if unknown, or if the worker runs.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Exit>"))]
    pub exit: Option<ChildExit>,
    /// Why the exit is unknown; `null` if the exit is known, or the worker runs.
    pub exit_why: Option<&'static str>,
}

/// `rekindle signal`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SignalJson<'a> {
    /// `signalled`
    pub outcome: &'static str,
    /// The session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session: &'a SessionId,
    /// The number of the start.
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub generation: Generation,
    /// The name of the signal, without `SIG`.
    pub signal: String,
    /// The signalled processes.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<u32>"))]
    pub pids: &'a [Pid],
}

/// `rekindle rm`, one object for each session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RemoveJson<'a, B> {
    /// `removed` or `kept`.
    pub outcome: &'static str,
    /// The session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session: &'a SessionId,
    /// The reason for keeping the session, in one word: `running`, `claimed`, `failed-run`, `newer`, `other-files` or
    /// `error`; `null` if the session was removed.
    pub because: Option<B>,
    /// The reason in words; `null` if the session was removed.
    pub why: Option<&'a str>,
}

/// `rekindle status`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StatusJson<'a, S> {
    /// The sessions, in the order of the call; all sessions by name if none was named.
    pub sessions: &'a [S],
}
