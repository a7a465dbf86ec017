//! The JSON of the verbs that run programs, or hold a lock for them.

use super::Next;
use super::end::UnlockOutcome;
use super::failure::Failed;
use super::holder::MarkerJson;
use super::start::SpawnStartFailed;
use super::word::constant;
use crate::stdio::StdioEnd;
use rekindle_core::byte_text::ByteText;
use rekindle_core::lifecycle::LifecycleState;
use rekindle_core::protocol::WorkerName;
use rekindle_core::{Pid, SessionId};
use serde::Serialize;
use serde_json::{Map, Value};

/// An answer about the lifecycle lock at a path.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct AtPath<'a, T> {
    /// The path of the marker.
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::Text"))]
    pub path: ByteText<'a>,
    /// The answer.
    #[serde(flatten)]
    pub answer: T,
}

constant! {
    /// The outcome of an acquired lock.
    pub AcquiredWord = "acquired"
}

/// `rekindle lifecycle acquire`
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AcquiredJson<'a> {
    /// Always `acquired`.
    pub outcome: AcquiredWord,
    /// The content of our marker.
    pub holder: MarkerJson<'a>,
    /// The replaced marker of a dead holder, or `null`.
    pub taken_over: Option<TakenOverJson<'a>>,
}

/// A marker that was replaced.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TakenOverJson<'a> {
    /// The reason that allowed the replacement: `holder-dead`, `retained`, `other-machine` or `corrupt`.
    #[cfg_attr(
        feature = "schema",
        schemars(extend("enum" = ["holder-dead", "retained", "other-machine", "corrupt"]))
    )]
    pub why: &'static str,
    /// The content of the marker; `null` if unreadable.
    pub previous: Option<MarkerJson<'a>>,
    /// The new path of an unreadable marker, or `null`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub kept_aside: Option<ByteText<'a>>,
}

constant! {
    /// The reason of a lock that another process holds.
    pub Conflict = "conflict"
}

/// A lifecycle lock that another process holds, or may hold.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConflictJson<'a> {
    /// Always `error`.
    pub outcome: Failed,
    /// Always `conflict`.
    pub reason: Conflict,
    /// `held`, `unjudged` or `corrupt`.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["held", "unjudged", "corrupt"])))]
    pub why: &'static str,
    /// The blocking marker; `null` if unreadable.
    pub holder: Option<MarkerJson<'a>>,
}

/// An answer with its text.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct Told<'a, T> {
    /// The answer.
    #[serde(flatten)]
    pub answer: T,
    /// The answer in words.
    pub message: &'a str,
}

/// The outcome of `rekindle lifecycle release`.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ReleaseOutcome {
    /// The marker was ours and was removed.
    Released,
    /// The process does not hold the lock.
    NotHeld,
}

/// `rekindle lifecycle release`
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReleasedJson<'a> {
    /// The outcome.
    pub outcome: ReleaseOutcome,
    /// The present holder, or `null`.
    pub holder: Option<MarkerJson<'a>>,
}

/// `rekindle lifecycle force-unlock`
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ForceUnlockedJson<'a> {
    /// The outcome.
    pub outcome: UnlockOutcome,
    /// The content of the removed marker; `null` if there was none, or if it could not be read.
    pub previous: Option<MarkerJson<'a>>,
    /// The new path of an unreadable marker, or `null`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub kept_aside: Option<ByteText<'a>>,
}

/// `rekindle lifecycle status`
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LifecycleStatusJson<'a> {
    /// The state of the lock.
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::LifecycleState"))]
    pub status: LifecycleState,
    /// The reason for the state, in words.
    pub why: &'a str,
    /// The content of the marker; `null` if there is none, or if it cannot be read.
    pub holder: Option<MarkerJson<'a>>,
}

/// `rekindle pool run` and `rekindle pool continue`: the worker's answer for its host.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunJson<'a> {
    /// The answer.
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::HostAnswer"))]
    pub host: &'a Map<String, Value>,
    /// Why the worker's facts could not be recorded; absent if they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub save_error: Option<&'a str>,
}

/// `rekindle pool status`
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PoolStatusJson<'a> {
    /// The worker's name of the session; ours if the worker gave none.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session_id: WorkerName,
    /// Our name of the session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session: &'a SessionId,
    /// Whether the worker has a session to continue.
    pub has_session: bool,
    /// The conversation so far, in the worker's own form; absent unless asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_history: Option<&'a Value>,
}

/// `rekindle pool ls`
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct PoolListJson<'a, T> {
    /// The sessions of the pool, sorted.
    pub sessions: &'a [T],
}

/// An event of `rekindle supervise`, one object a line.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum EventJson<'a> {
    /// The program is executed.
    Started {
        /// The pid of the program.
        #[cfg_attr(feature = "schema", schemars(with = "u32"))]
        pid: Pid,
    },
    /// The program is about to be ended.
    Stopping {
        /// `end-of-input`, `client-left`, `signal`, `output-closed` or `child-exited`.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<&'a str>,
    },
    /// The processes of the program were signalled.
    Signalled {
        /// The name of the signal.
        signal: &'a str,
    },
    /// The program has ended.
    Exited {
        /// The status that the program returned, or `null`.
        exit_code: Option<i32>,
        /// The number of the signal that ended the program, or `null`.
        signal: Option<i32>,
    },
    /// The program ended because of our signal.
    EndedByUs {
        /// As in `stopping`.
        why: &'a str,
        /// The name of the strongest signal sent.
        signal: &'a str,
        /// The time from the reason to stop until the program ended, in milliseconds.
        after_ms: u64,
        /// The option for more time.
        option: &'a str,
        /// The event in words.
        message: &'a str,
    },
    /// Some of the program's output could not be written.
    OutputLost {
        /// The kernel's error number.
        errno: i32,
        /// The event in words.
        message: &'a str,
    },
    /// The program never started.
    Failed {
        /// Always `spawn-start-failed`.
        outcome: SpawnStartFailed,
        /// The problem in words.
        message: &'a str,
        /// What to do next.
        #[serde(flatten)]
        next: Next,
    },
    /// Everything has ended: the last event.
    Stopped {
        /// The step after which everything had ended.
        end: StdioEnd,
        /// The pids of the processes of the program that still run.
        #[cfg_attr(feature = "schema", schemars(with = "Vec<u32>"))]
        survivors: &'a [Pid],
        /// The pids of the descendants left alone, at most 64.
        #[cfg_attr(feature = "schema", schemars(with = "Vec<u32>"))]
        left: &'a [Pid],
        /// The failures on the way.
        trouble: &'a [String],
    },
}

/// A step of `rekindle demo`, one object a line.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DemoJson<'a, T> {
    /// The step.
    pub step: &'a str,
    /// The step in words.
    pub message: &'a str,
    /// The facts of the step.
    #[serde(flatten)]
    pub facts: T,
}

/// The facts of a step of `rekindle demo`.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DemoFacts<'a> {
    /// The pid of the worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<u32>"))]
    pub pid: Option<Pid>,
    /// The path of the worker's socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub socket: Option<ByteText<'a>>,
    /// The worker's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<&'a Value>,
    /// The number of the signal that ended the worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Whether the worker had been told to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_kill: Option<bool>,
    /// The reason of a rejection.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::RejectReason>"))]
    pub reason: Option<rekindle_core::RejectReason>,
}
