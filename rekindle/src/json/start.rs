//! The JSON of the verbs that start: `up`, `restart`, and `call` where it cannot attach.

use super::holder::HolderJson;
use super::word::constant;
use crate::error::Error;
use crate::outcome::{Replaced, StartKind, StopOutcome};
use rekindle_core::again::Part;
use rekindle_core::byte_text::ByteText;
use rekindle_core::execute::Diagnostic;
use rekindle_core::protocol::Version;
use rekindle_core::resume::RetainedReason;
use rekindle_core::{
    ChildExit, Endpoint, Generation, Liveness, Owner, Pid, RejectReason, SessionId, Shortage, SpawnBgPlan,
};
use serde::Serialize;

/// `rekindle up`: an outcome, with the session and the duration.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct UpJson<'a, O> {
    /// The session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session: &'a SessionId,
    /// The outcome.
    #[serde(flatten)]
    pub outcome: O,
    /// The duration of the call, in milliseconds.
    pub elapsed_ms: u64,
}

/// The worker of an outcome. Every field is `null` where it is unknown or does not apply.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkerJson<'a> {
    /// The pid of the worker.
    #[cfg_attr(feature = "schema", schemars(with = "Option<u32>"))]
    pub pid: Option<Pid>,
    /// The path of the socket, if the endpoint is a Unix socket.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub socket: Option<ByteText<'a>>,
    /// The endpoint.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub address: Option<&'a Endpoint>,
    /// The address for a browser, if readiness is an HTTP answer on a TCP port.
    pub url: Option<&'a str>,
    /// Whether the listener on a TCP port is proved to be the worker's.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Owner>"))]
    pub owner: Option<Owner>,
    /// The generation of the start; 0 if rekindle did not start the worker.
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub generation: Option<Generation>,
    /// The path of the log of standard output; `null` if the session has no directory, or nothing was started.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub stdout_log: Option<ByteText<'a>>,
    /// The path of the log of standard error, as `stdout_log`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub stderr_log: Option<ByteText<'a>>,
}

/// A running worker that answers.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunningJson<'a> {
    /// How the worker was obtained.
    pub outcome: StartKind,
    /// The worker.
    #[serde(flatten)]
    pub worker: WorkerJson<'a>,
    /// Whether rekindle started the worker, and so can stop the worker.
    pub managed: bool,
    /// Whether the worker was started with another program or other arguments than named by this call.
    pub program_differs: bool,
    /// The parts of the start in which this call differs from the running worker.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<super::standin::Part>"))]
    pub differs: &'a [Part],
    /// Whether the worker became ready only after it had been told to end.
    pub after_kill: bool,
    /// The version that the worker reported in a handshake, or `null`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub worker_version: Option<&'a Version>,
}

constant! {
    /// The outcome of a worker that ended before ready.
    pub ChildExited = "child-exited"
}

/// A worker that ended before ready.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExitedJson<'a> {
    /// Always `child-exited`.
    pub outcome: ChildExited,
    /// The former worker.
    #[serde(flatten)]
    pub worker: WorkerJson<'a>,
    /// The status that the worker returned, or `null`.
    pub exit_code: Option<i32>,
    /// The number of the signal that ended the worker, or `null`.
    pub signal: Option<i32>,
    /// How the worker ended, in the spelling of all verbs; `null` if unknown.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Exit>"))]
    pub exit: ChildExit,
    /// Whether the worker had been told to end.
    pub after_kill: bool,
    /// The reason for telling the worker to end, or `null`.
    pub cause: Option<String>,
    /// The last finding about the readiness, or `null`.
    pub last_seen: Option<&'a str>,
    /// The TCP port on which the worker listened instead of its endpoint, or `null`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub listened_at: Option<&'a Endpoint>,
    /// The end of the worker's standard error.
    pub stderr_tail: &'a str,
    /// The worker's last `STATUS=` message, with readiness `notify`, or `null`.
    pub status_text: Option<&'a str>,
}

constant! {
    /// The outcome of a program that was never executed.
    pub SpawnStartFailed = "spawn-start-failed"
}

/// A worker that never started.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NotStartedJson<'a> {
    /// Always `spawn-start-failed`.
    pub outcome: SpawnStartFailed,
    /// The worker: nothing is known.
    #[serde(flatten)]
    pub worker: WorkerJson<'a>,
    /// What the system ran out of, or `null`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Shortage>"))]
    pub reason: Option<Shortage>,
    /// The problem in words.
    pub message: String,
}

constant! {
    /// The outcome of a start without an observation.
    pub LockRetained = "lock-retained"
}

/// A claim that was not released.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RetainedJson<'a> {
    /// Always `lock-retained`.
    pub outcome: LockRetained,
    /// The worker.
    #[serde(flatten)]
    pub worker: WorkerJson<'a>,
    /// The reason for keeping the claim.
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::RetainedReason"))]
    pub reason: RetainedReason,
    /// The cause of the failed start, in words.
    pub cause: String,
    /// The retained claim and its worker.
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::Diagnostic"))]
    pub diagnostic: &'a Diagnostic,
    /// The worker's last `STATUS=` message, with readiness `notify`, or `null`.
    pub status_text: Option<&'a str>,
}

constant! {
    /// The outcome of a call that changed nothing.
    pub Rejected = "rejected"
}

/// A call that changed nothing.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RejectedJson<'a> {
    /// Always `rejected`.
    pub outcome: Rejected,
    /// The blocking worker, if any, and the endpoint.
    #[serde(flatten)]
    pub worker: WorkerJson<'a>,
    /// The reason in one word.
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::RejectReason"))]
    pub reason: RejectReason,
    /// The result of the probe; `null` if the endpoint was not probed.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Liveness>"))]
    pub liveness: Option<Liveness>,
    /// The holder of a blocking claim, or `null`.
    pub holder: Option<HolderJson<'a>>,
    /// The problem in words.
    pub message: &'a str,
}

constant! {
    /// The outcome of a dry run.
    pub DryRunWord = "dry-run"
}

/// `rekindle up --dry-run`
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DryRunJson<'a> {
    /// Always `dry-run`.
    pub outcome: DryRunWord,
    /// `attach`, `spawn`, `adopt`, `replace` or `reject`.
    #[cfg_attr(
        feature = "schema",
        schemars(extend("enum" = ["attach", "spawn", "adopt", "replace", "reject"]))
    )]
    pub verdict: &'a str,
    /// The reason of the foreseen rejection, or `null`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::RejectReason>"))]
    pub reason: Option<RejectReason>,
    /// The plan of the start.
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::Plan"))]
    pub plan: &'a SpawnBgPlan,
}

/// `rekindle restart`, and `rekindle up --intent restart`: the fields of `up`, and the worker that was ended.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct RestartJson<'a, O> {
    /// The session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session: &'a SessionId,
    /// The time from the call to the outcome, in milliseconds.
    pub elapsed_ms: u64,
    /// The worker that was ended; `null` if no worker ran, or if the worker was left alone.
    pub replaced: Option<ReplacedJson>,
    /// The outcome of the start, with the fields of `up`.
    #[serde(flatten)]
    pub started: O,
}

/// `rekindle restart`, if the call failed.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RestartErrorJson<'a> {
    /// `outcome` is `error`, with `reason` and `message`.
    #[serde(flatten)]
    pub error: &'a Error,
    /// The session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session: &'a SessionId,
    /// The worker that was ended; `null` if the worker was left alone.
    pub replaced: Option<ReplacedJson>,
}

/// `rekindle restart --if-running` of a session that does not run.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NotRestartedJson<'a> {
    /// `not-running`.
    pub outcome: StopOutcome,
    /// The session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session: &'a SessionId,
    /// The time from the call to the outcome, in milliseconds.
    pub elapsed_ms: u64,
    /// `null`: no worker was ended.
    pub replaced: Option<ReplacedJson>,
}

/// The worker that a restart ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReplacedJson {
    /// The former pid; `null` if not known.
    #[cfg_attr(feature = "schema", schemars(with = "Option<u32>"))]
    pub pid: Option<Pid>,
    /// The generation of the former start.
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub generation: Generation,
    /// `stopped` if the worker ended on request, `killed` if it had to be killed.
    pub outcome: StopOutcome,
}

impl From<&Replaced> for ReplacedJson {
    fn from(replaced: &Replaced) -> Self {
        Self { pid: replaced.pid, generation: replaced.generation, outcome: replaced.outcome }
    }
}
