//! The JSON of the verbs that end and clean up.

use super::holder::HolderJson;
use super::word::constant;
use crate::outcome::StopOutcome;
use rekindle_core::byte_text::ByteText;
use rekindle_core::{Generation, Pid, SessionId};
use serde::Serialize;

/// `rekindle stop`, one object for each session.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StopJson<'a> {
    /// The session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session: &'a SessionId,
    /// The outcome.
    pub outcome: StopOutcome,
    /// The pid of the worker; `null` if no worker ran.
    #[cfg_attr(feature = "schema", schemars(with = "Option<u32>"))]
    pub pid: Option<Pid>,
    /// The generation of the start.
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub generation: Generation,
    /// The duration of the stop, in milliseconds.
    pub elapsed_ms: u64,
    /// The pids of the remaining processes.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<u32>"))]
    pub survivors: &'a [Pid],
    /// The failures on the way, and the files that could not be written or removed.
    pub trouble: &'a [String],
    /// The path of the log of standard output; `null` if the session has no directory, or nothing was started.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub stdout_log: Option<ByteText<'a>>,
    /// The path of the log of standard error, as `stdout_log`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub stderr_log: Option<ByteText<'a>>,
}

/// The outcome of `rekindle unlock`.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum UnlockOutcome {
    /// The claim was cleared, or the marker removed.
    Unlocked,
    /// There was no claim, or no marker.
    NotLocked,
}

/// The result of an unlock.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnlockedJson<'a> {
    /// The outcome.
    pub outcome: UnlockOutcome,
    /// The cleared claim; `null` if there was none, or if it could not be read.
    pub previous: Option<HolderJson<'a>>,
}

/// A result about one session.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct OfSession<'a, T> {
    /// The session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session: &'a SessionId,
    /// The result.
    #[serde(flatten)]
    pub answer: T,
}

constant! {
    /// The outcome of `unlock --forget`.
    pub ForgottenWord = "forgotten"
}

/// `rekindle unlock --forget`
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ForgottenJson<'a> {
    /// The session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session: &'a SessionId,
    /// Always `forgotten`.
    pub outcome: ForgottenWord,
    /// The unproven facts about the worker, one sentence each.
    pub unproven: &'a [String],
    /// The new path of the record; `null` if there was no record.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub kept_aside: Option<ByteText<'a>>,
    /// The cleared claim, or `null`.
    pub previous: Option<HolderJson<'a>>,
}

/// `rekindle gc`
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct GcJson<T> {
    /// The result of the collection.
    #[serde(flatten)]
    pub collected: T,
    /// Whether anything was changed, or only reported.
    pub dry_run: bool,
}
