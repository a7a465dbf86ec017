//! What comes of a pool's calls.

use crate::outcome::StopOutcome;
use crate::sessions::list::SessionSummary;
use rekindle_core::SessionId;
use rekindle_core::protocol::{StatusReport, Version, WorkerName};
use serde::Serialize;
use serde_json::Value;

/// How a session stands after it was run or continued.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "it says whether the session waits for an answer"]
pub struct RunOutcome {
    /// The session, by our name.
    pub session: SessionId,
    /// What the host is told.
    pub host: Value,
    /// Why what the worker said could not be written down, if it could not. The session goes on all the same.
    pub save_error: Option<String>,
}

/// A host's answer to a query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// The answer.
    pub response: String,
    /// Which query it answers; may be left out where only one is open.
    pub query_id: Option<String>,
    /// What answering took; null if nobody counted.
    pub usage: Value,
}

/// How a session stands, as its worker says.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolStatus {
    /// The session, by our name.
    pub session: SessionId,
    /// The worker's name for it, as far as it was written down.
    pub name: Option<WorkerName>,
    /// What the worker says.
    pub report: StatusReport,
}

/// One line of a list of a pool's sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolEntry {
    /// What every session has.
    #[serde(flatten)]
    pub summary: SessionSummary,
    /// The worker's name for it; none if no run was written down.
    pub worker_name: Option<WorkerName>,
    /// The version that the worker reported.
    pub worker_version: Option<Version>,
}

/// How a stop turned out, in words.
pub(super) fn in_words(outcome: StopOutcome) -> String {
    let words = match outcome {
        StopOutcome::Stopped => "the worker was stopped",
        StopOutcome::Killed => "the worker was killed",
        StopOutcome::NotRunning => "the worker had ended",
        StopOutcome::GaveUp => "the worker was killed, and its end was not seen",
    };
    words.to_owned()
}
