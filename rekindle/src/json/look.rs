//! The JSON of the verbs that look. The JSON of `ls` is a [`Listing`](crate::Listing), and that of `doctor` a
//! [`Diagnosis`](crate::Diagnosis) with the next step.

use super::Next;
use super::holder::HolderJson;
use rekindle_core::byte_text::{self, ByteText};
use rekindle_core::protocol::{Version, WorkerName};
use rekindle_core::record::{EndedBy, Outline, RecordedPlan, SocketFile};
use rekindle_core::{
    ChildExit, Endpoint, Generation, Nonce, Pid, ProcessIdentity, RecordState, SessionId, SessionRecord,
    SessionState, SpawnBgPlan,
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::ffi::OsString;

/// `rekindle probe`
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProbeJson<'a> {
    /// The path as given; `null` for a TCP port.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub path: Option<ByteText<'a>>,
    /// The probed address.
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::Text"))]
    pub address: &'a Endpoint,
    /// `alive`, `dead`, `indeterminate` or `forged`.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["alive", "dead", "indeterminate", "forged"])))]
    pub verdict: &'static str,
    /// The reason for the verdict.
    pub why: &'a str,
    /// What to do next.
    #[serde(flatten)]
    pub next: Next,
}

/// `rekindle show`: the fields of the record, then the state of the session, the claim and the lifeline.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShowJson<'a> {
    /// The record, if there is a record. A record of a later version may have more fields, or others.
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schemars(with = "Option<RecordJson<'a>>"))]
    pub record: RecordFields<'a>,
    /// The state of the session.
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::SessionState"))]
    pub status: SessionState,
    /// The evidence of the claim; `null` if there is no claim.
    pub claim: Option<ClaimJson<'a>>,
    /// The lifeline of the worker.
    pub lifeline: LifelineJson<'a>,
    /// Why the exit of an ended worker is unknown; `null` if the exit is known, or if the worker runs.
    pub exit_why: Option<&'static str>,
    /// The path of the log of standard output; `null` if the session has no directory, or nothing was started.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub stdout_log: Option<ByteText<'a>>,
    /// The path of the log of standard error, as `stdout_log`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub stderr_log: Option<ByteText<'a>>,
}

/// The fields of a record.
#[derive(Debug, Serialize)]
#[serde(untagged)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum RecordFields<'a> {
    /// A record of a known schema.
    Known(Box<RecordJson<'a>>),
    /// A record of a later version, as stored; or nothing, without a record.
    Stored(Map<String, Value>),
}

/// The evidence of a claim, without the nonce.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClaimJson<'a> {
    /// The holder, if the evidence can be read.
    #[serde(flatten)]
    pub holder: Option<HolderJson<'a>>,
    /// `true` if the evidence cannot be read; else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<bool>,
    /// Whether a launcher holds the kernel's lock.
    pub locked: bool,
}

/// The lifeline of a session.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LifelineJson<'a> {
    /// Whether any process of the worker lives; `null` if unknown.
    pub held: Option<bool>,
    /// The pids of the visible holders.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<u32>"))]
    pub holders: &'a [Pid],
}

/// A record as shown: the stored fields, and the flat fields of the plan.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordJson<'a> {
    /// The schema of the record.
    pub record_schema_version: u32,
    /// The session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session: &'a SessionId,
    /// The generation of the start.
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub generation: Generation,
    /// The worker's own nonce, also in `REKINDLE_NONCE`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub nonce: &'a Nonce,
    /// The progress of the start when the record was last written.
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::RecordState"))]
    pub state: RecordState,
    /// The started process; `null` until known.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Identity>"))]
    pub worker: Option<&'a ProcessIdentity>,
    /// The process that answered when the worker became ready, or `null`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Identity>"))]
    pub peer: Option<&'a ProcessIdentity>,
    /// The launcher.
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::Identity"))]
    pub launcher: &'a ProcessIdentity,
    /// The path of the socket; absent if the endpoint is no Unix socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub socket: Option<ByteText<'a>>,
    /// The plan of the start, without withheld values; absent in a record of schema 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Plan>"))]
    pub plan: Option<&'a SpawnBgPlan>,
    /// The endpoint; absent in a record of an earlier version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub address: Option<&'a Endpoint>,
    /// The version reported by the worker, or `null`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub worker_version: Option<&'a Version>,
    /// The worker's name of the session; absent until a pool's session was fed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub worker_name: Option<&'a WorkerName>,
    /// Whether the lifeline was held when the worker became ready; absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifeline_held_when_ready: Option<bool>,
    /// The file of the worker's socket; absent if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::SocketFile>"))]
    pub socket_file: Option<SocketFile>,
    /// The time of the start, RFC 3339 in UTC.
    pub started_at: String,
    /// The time when the worker became ready, RFC 3339 in UTC, or `null`.
    pub ready_at: Option<String>,
    /// The time when the exit was observed, RFC 3339 in UTC, or `null`.
    pub exited_at: Option<String>,
    /// How the worker ended; `null` if unknown, or if the worker runs.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Exit>"))]
    pub exit: Option<ChildExit>,
    /// The cause of the end; `null` if unknown, or if the worker runs.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::EndedBy>"))]
    pub ended_by: Option<EndedBy>,
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    unknown: &'a Map<String, Value>,
    /// The program, absolute if found.
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::Text"))]
    pub program: ByteText<'a>,
    /// The arguments, as passed to the program.
    #[serde(serialize_with = "arguments")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<super::standin::Text>"))]
    pub arguments: &'a [OsString],
    /// The working directory.
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::Text"))]
    pub cwd: ByteText<'a>,
    /// The condition for ready, as in `--ready`.
    pub readiness: String,
    /// The version spoken by the host; absent without a version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub speak: Option<&'a Version>,
}

fn arguments<S: serde::Serializer>(arguments: &&[OsString], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(arguments.iter().map(|text| byte_text::ByteText(text)))
}

impl<'a> From<&'a SessionRecord> for RecordJson<'a> {
    fn from(record: &'a SessionRecord) -> Self {
        // Every field is named, so that a new field is shown or left out on purpose.
        let SessionRecord {
            session,
            generation,
            nonce,
            state,
            worker,
            peer,
            launcher,
            plan,
            answered_at,
            worker_version,
            worker_name,
            lifeline_held_when_ready,
            socket_file,
            started_at,
            ready_at,
            exited_at,
            exit,
            ended_by,
            unknown,
        } = record;
        let plan = match plan {
            RecordedPlan::Whole(plan) => Some(&**plan),
            RecordedPlan::Outline(Outline { .. }) => None,
        };
        Self {
            record_schema_version: record.schema_version(),
            session,
            generation: *generation,
            nonce,
            state: *state,
            worker: worker.as_ref(),
            peer: peer.as_ref(),
            launcher,
            socket: record.socket().map(super::path_text),
            plan,
            address: answered_at.as_ref(),
            worker_version: worker_version.as_ref(),
            worker_name: worker_name.as_ref(),
            lifeline_held_when_ready: *lifeline_held_when_ready,
            socket_file: *socket_file,
            started_at: started_at.to_string(),
            ready_at: ready_at.map(|at| at.to_string()),
            exited_at: exited_at.map(|at| at.to_string()),
            exit: *exit,
            ended_by: *ended_by,
            unknown,
            program: super::path_text(record.program()),
            arguments: record.arguments(),
            cwd: super::path_text(record.cwd()),
            readiness: record.readiness().to_string(),
            speak: record.speak(),
        }
    }
}

/// `rekindle ls --all`
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct AllJson<'a, S> {
    /// The state roots of the user: the default root, then the roots of projects.
    pub roots: Vec<RootJson<'a, S>>,
}

/// A state root with its sessions.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct RootJson<'a, S> {
    /// The state directory.
    #[cfg_attr(feature = "schema", schemars(with = "super::standin::Text"))]
    pub dir: ByteText<'a>,
    /// The project file; `null` for the default root.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub project: Option<ByteText<'a>>,
    /// Whether the project file was moved or removed.
    pub project_gone: bool,
    /// The sessions, sorted.
    pub sessions: &'a [S],
}

/// `rekindle doctor`, one object for each session.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
pub struct DiagnosisJson<'a, D> {
    /// The diagnosis.
    #[serde(flatten)]
    pub diagnosis: &'a D,
    /// Sentences about the state directory, usually none.
    pub home: &'a [String],
}
