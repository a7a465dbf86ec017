//! The JSON of the verbs that work on a project.

use rekindle_core::SessionId;
use rekindle_core::byte_text;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// `rekindle init`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InitJson {
    /// `written`.
    pub outcome: &'static str,
    /// The written project file, as an absolute path.
    #[serde(with = "byte_text")]
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::Text"))]
    pub file: PathBuf,
}

impl InitJson {
    /// The file was written.
    pub fn new(file: &Path) -> Self {
        Self { outcome: "written", file: file.to_owned() }
    }
}

/// A session that `rekindle up` did not start, because a session of its `after` failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SkippedJson {
    /// `skipped`.
    pub outcome: &'static str,
    /// The session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session: SessionId,
    /// The failed session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub because: SessionId,
}

impl SkippedJson {
    /// `session` was skipped because of `because`.
    pub fn new(session: &SessionId, because: &SessionId) -> Self {
        Self { outcome: "skipped", session: session.clone(), because: because.clone() }
    }
}

/// The last object of `rekindle up` and `rekindle down` for all sessions of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SummaryJson {
    /// `done` if every session is as wanted, else `incomplete`.
    pub outcome: &'static str,
    /// The project file.
    #[serde(with = "byte_text")]
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::Text"))]
    pub project: PathBuf,
    /// The state directory of the sessions.
    #[serde(with = "byte_text")]
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::Text"))]
    pub dir: PathBuf,
    /// The sessions that are as wanted, in the order of their end.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub done: Vec<SessionId>,
    /// The sessions that are not as wanted; the reason is in the object of the session.
    pub failed: Vec<FailedJson>,
    /// The sessions that were not started.
    pub skipped: Vec<SkippedJson>,
}

/// A session that is not as wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FailedJson {
    /// The session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session: SessionId,
    /// The log with the worker's standard error; `null` if there is none.
    #[serde(with = "byte_text")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub stderr_log: Option<PathBuf>,
}

impl SummaryJson {
    /// A summary without any session yet.
    pub fn new(project: &Path, dir: &Path) -> Self {
        Self {
            outcome: "done",
            project: project.to_owned(),
            dir: dir.to_owned(),
            done: Vec::new(),
            failed: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// `session` is not as wanted.
    pub fn fail(&mut self, session: &SessionId, stderr_log: Option<PathBuf>) {
        self.outcome = "incomplete";
        self.failed.push(FailedJson { session: session.clone(), stderr_log });
    }

    /// `session` was not started because of `because`.
    pub fn skip(&mut self, session: &SessionId, because: &SessionId) {
        self.outcome = "incomplete";
        self.skipped.push(SkippedJson::new(session, because));
    }
}
