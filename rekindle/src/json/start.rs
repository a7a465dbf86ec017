//! The JSON of the verbs that start a worker.

use crate::error::Error;
use crate::json::Next;
use crate::outcome::{Ensured, Replaced, StopOutcome};
use rekindle_core::{Generation, Pid, SessionId};
use serde::Serialize;

/// `rekindle restart`, and `rekindle up --intent restart`: the fields of `up`, and the worker that was ended.
#[derive(Debug, Serialize)]
pub struct RestartJson<'a> {
    /// The session.
    pub session: &'a SessionId,
    /// The time from the call to the outcome, in milliseconds.
    pub elapsed_ms: u64,
    /// The worker that was ended; `null` if no worker ran, or if the worker was left alone.
    pub replaced: Option<ReplacedJson>,
    /// The outcome of the start, with the fields of `up`.
    #[serde(flatten)]
    pub started: &'a Ensured,
    /// What to do next.
    #[serde(flatten)]
    pub next: Next,
}

/// `rekindle restart`, if the call failed.
#[derive(Debug, Serialize)]
pub struct RestartErrorJson<'a> {
    /// `outcome` is `error`, with `reason` and `message`.
    #[serde(flatten)]
    pub error: &'a Error,
    /// The session.
    pub session: &'a SessionId,
    /// The worker that was ended; `null` if the worker was left alone.
    pub replaced: Option<ReplacedJson>,
    /// What to do next.
    #[serde(flatten)]
    pub next: Next,
}

/// `rekindle restart --if-running` of a session that does not run.
#[derive(Debug, Serialize)]
pub struct NotRestartedJson<'a> {
    /// `not-running`.
    pub outcome: StopOutcome,
    /// The session.
    pub session: &'a SessionId,
    /// The time from the call to the outcome, in milliseconds.
    pub elapsed_ms: u64,
    /// `null`: no worker was ended.
    pub replaced: Option<ReplacedJson>,
}

/// The worker that a restart ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReplacedJson {
    /// The former pid; `null` if not known.
    pub pid: Option<Pid>,
    /// The generation of the former start.
    pub generation: Generation,
    /// `stopped` if the worker ended on request, `killed` if it had to be killed.
    pub outcome: StopOutcome,
}

impl From<&Replaced> for ReplacedJson {
    fn from(replaced: &Replaced) -> Self {
        Self { pid: replaced.pid, generation: replaced.generation, outcome: replaced.outcome }
    }
}
