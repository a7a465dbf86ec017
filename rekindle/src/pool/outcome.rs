//! The outcomes of a pool's calls.

use crate::outcome::StopOutcome;
use crate::sessions::list::SessionSummary;
use rekindle_core::SessionId;
use rekindle_core::protocol::{StatusReport, Version, WorkerName};
use serde::Serialize;
use serde_json::Value;

/// The outcome of `run` and `continue_session`.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "it says whether the session waits for an answer"]
pub struct RunOutcome {
    /// Our name of the session.
    pub session: SessionId,
    /// The answer for the host.
    pub host: Value,
    /// The reason why the worker's facts could not be recorded, if so. The session continues nevertheless.
    pub save_error: Option<String>,
}

/// A host's answer to a query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// The answer.
    pub response: String,
    /// The id of the answered query; optional if only one query is open.
    pub query_id: Option<String>,
    /// Usage (tokens, cost) to report with the answer; null if unknown.
    pub usage: Value,
}

/// The status of a session, as reported by the worker.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolStatus {
    /// Our name of the session.
    pub session: SessionId,
    /// The worker's name of the session, if recorded.
    pub name: Option<WorkerName>,
    /// The worker's report.
    pub report: StatusReport,
}

/// A pool session in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PoolEntry {
    /// The common facts of every session.
    #[serde(flatten)]
    pub summary: SessionSummary,
    /// The worker's name of the session; none if no run was recorded.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub worker_name: Option<WorkerName>,
    /// The version reported by the worker.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub worker_version: Option<Version>,
}

/// The outcome of a stop, in words.
pub(super) fn in_words(outcome: StopOutcome) -> String {
    let words = match outcome {
        StopOutcome::Stopped => "the worker was stopped",
        StopOutcome::Killed => "the worker was killed",
        StopOutcome::NotRunning => "the worker had ended",
        StopOutcome::GaveUp => "the worker was killed, and its end was not seen",
    };
    words.to_owned()
}
