//! The schemas of the core's types. The core knows no schemas, so each of its types in an output has a stand-in here.
//!
//! # Invariants
//! 1. The words of an enum are those of the core's own serializer, and a new variant does not compile without a word.
//! 2. A stand-in has the fields of its type; the live suite finds a field that no stand-in has.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The schema of an enum whose variants are words.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident = $core:ty { $($variant:ident),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                // The match names every variant, so that a new variant does not compile without a word here.
                let word = |it: $core| match it {
                    $(<$core>::$variant => serde_json::to_value(it).unwrap_or_default(),)+
                };
                let words: Vec<Value> = [$(<$core>::$variant),+].map(word).into();
                json_schema!({ "type": "string", "enum": words })
            }
        }
    )+};
}

words! {
    /// The state of a session.
    SessionState = rekindle_core::SessionState { Starting, Live, Unresponsive, Exited, Retained, Corrupt }
    /// The progress of a start when the record was last written.
    RecordState = rekindle_core::RecordState { Starting, Ready, Exited, Retained }
    /// The reason for a rejection.
    RejectReason = rekindle_core::RejectReason {
        BadTarget, TargetLocked, TargetAddressConflict, IndeterminateNoSpawn, NotRunning, NoEndpoint, AlreadyLive,
        WorkerUnresponsive, WorkerUnknown, VersionMismatch, HandshakeFailed, RecordLessSocket,
    }
    /// The state of an endpoint.
    Liveness = rekindle_core::Liveness { Live, Dormant, Indeterminate, Forged }
    /// A part of a start in which a running worker can differ from the caller's wish.
    Part = rekindle_core::again::Part {
        Args, Env, EnvBase, EnvFile, Cwd, Endpoint, Ready, Settle, Speak, ForeignListener, Prompt, KillPolicy,
    }
    /// Whether a listener is proved to be the worker's.
    Owner = rekindle_core::Owner { Verified, Unverified }
    /// The reason for a retained claim.
    RetainedReason = rekindle_core::resume::RetainedReason { KillUnconfirmed, ObserveFailed }
    /// What the system ran out of.
    Shortage = rekindle_core::Shortage { DiskFull, FileSizeLimit, TooManyOpenFiles, TooManyProcesses, OutOfMemory }
    /// Who ended a worker.
    EndedBy = rekindle_core::record::EndedBy { Stop, Worker, Timeout, WatchFailed }
    /// One of the two streams that a worker writes.
    LogStream = rekindle_core::logs::LogStream { Stdout, Stderr }
    /// What happened to a session.
    Happened = rekindle_core::events::Happened {
        Starting, Restarting, Ready, Exited, Stopped, Retained, Released, Removed,
    }
    /// The state of a lifecycle lock.
    LifecycleState = rekindle_core::lifecycle::LifecycleState { Free, Held, Stale, OtherMachine, Unjudged, Corrupt }
    /// Who chose a worker's TCP port.
    PortChoice = rekindle_core::plan::PortChoice { Caller, Launcher }
    /// The treatment of a listener that is no process of the worker.
    ForeignListener = rekindle_core::plan::ForeignListener { Refused, Allowed }
    /// The role of a worker.
    Role = rekindle_core::plan::Role { Service, PoolWorker }
    /// How the worker runs.
    Transport = rekindle_core::plan::Transport { SpawnBg }
    /// The action on the session.
    Action = rekindle_core::plan::Action { Resume }
    /// The condition for releasing the claim.
    ReleaseWhen = rekindle_core::plan::ReleaseWhen { SocketAliveOrChildExited }
}

/// A path, an argument or an address: a string, or an object with all bytes if they are not UTF-8.
#[derive(Debug, JsonSchema)]
#[serde(untagged)]
pub enum Text {
    /// The text.
    Utf8(String),
    /// The text in bytes.
    Bytes {
        /// All bytes, in hexadecimal digits.
        bytes: String,
    },
}

/// The identity of a process. A field that could not be found out is absent.
#[derive(Debug, JsonSchema)]
pub struct Identity {
    /// The pid, within `pid_namespace`.
    pub pid: u32,
    /// The start time, in clock ticks since boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<u64>,
    /// The kernel's id of the boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// The inode number of the pid namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid_namespace: Option<u64>,
    /// The inode number of the time namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_namespace: Option<u64>,
}

/// How a worker ended.
#[derive(Debug, JsonSchema)]
#[serde(untagged)]
pub enum Exit {
    /// The worker returned a status.
    Code {
        /// The status.
        code: i32,
    },
    /// A signal ended the worker.
    Signal {
        /// The name of the signal, without `SIG`; the number of a signal without a name.
        signal: String,
        /// Whether the kernel wrote a core dump.
        core: bool,
    },
}

/// The identity of a socket file, independent of its name.
#[derive(Debug, JsonSchema)]
pub struct SocketFile {
    /// The device of the file.
    pub device: u64,
    /// The inode number on the device.
    pub inode: u64,
}

/// What a retained claim holds.
#[derive(Debug, JsonSchema)]
pub struct Diagnostic {
    /// The session.
    pub session: String,
    /// The worker's pid; `null` if unknown.
    pub pid: Option<u32>,
    /// The endpoint of the worker.
    pub address: Text,
    /// The path of the expected socket; `null` if the endpoint is no Unix socket.
    pub socket_path: Option<Text>,
    /// The path of the claim's evidence.
    pub lock_path: Text,
    /// How long the start was watched, in milliseconds.
    pub observe_timeout_ms: u64,
    /// The grace of all signals together, in milliseconds.
    pub kill_grace_ms: u64,
    /// The last error of a signal; `null` if no signal failed.
    pub kill_error: Option<String>,
}

/// The plan of a start: everything that was asked for. A withheld value is absent.
#[derive(Debug, JsonSchema)]
pub struct Plan {
    /// How the worker runs.
    pub transport: Transport,
    /// The action on the session.
    pub action: Action,
    /// The endpoint of the worker.
    pub target: Text,
    /// The session of the worker.
    pub session_id: String,
    /// The working directory of the worker.
    pub cwd: Text,
    /// The value of `{prompt}`, or `null`.
    pub prompt: Option<Text>,
    /// The program, then the arguments, with all placeholders replaced.
    pub launch_args: Vec<Text>,
    /// The worker's environment.
    pub env: Environment,
    /// The condition for ready, as in `--ready`.
    pub ready: String,
    /// The time for which the program has to run, for `running`, in milliseconds; absent if it is the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settle_ms: Option<u64>,
    /// The version of a handshake, and the accepted versions; absent without a version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaking: Option<Speaking>,
    /// The path of the target; absent if the target is no Unix socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_socket_path: Option<Text>,
    /// Who chose the target's port; absent if the caller did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<PortChoice>,
    /// The treatment of a foreign listener; absent if refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foreign_listener: Option<ForeignListener>,
    /// The time for observing the start, in milliseconds.
    pub observe_timeout_ms: u64,
    /// How a start that was not observed in time is ended.
    pub kill_policy: KillPolicy,
    /// The condition for releasing the claim.
    pub release_when: ReleaseWhen,
    /// The role of the worker; absent for a worker that serves a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The program and the arguments with their placeholders; absent if there are none to replace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Vec<Text>>,
    /// The files with further variables, read at every start; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_files: Option<Vec<Text>>,
    /// The bound of each log, in bytes; absent without a bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_max: Option<u64>,
    /// The values that came by file and are in no record; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld: Option<Vec<Withheld>>,
}

/// A worker's environment, besides the `REKINDLE_*` variables.
#[derive(Debug, JsonSchema)]
pub struct Environment {
    /// The base of the environment.
    pub base: EnvironmentBase,
    /// Variables set on top.
    pub set: BTreeMap<String, Text>,
    /// Variables removed from the base; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove: Option<Vec<String>>,
}

/// The base of an environment.
#[derive(Debug, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EnvironmentBase {
    /// All variables of the launcher.
    Inherit,
    /// No variables.
    Clear,
    /// These variables of the launcher.
    Only(Vec<String>),
}

/// The version of a handshake, and the accepted versions of a worker.
#[derive(Debug, JsonSchema)]
pub struct Speaking {
    /// Our version.
    pub version: String,
    /// The accepted versions.
    pub policy: VersionPolicy,
}

/// The accepted versions of a worker.
#[derive(Debug, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VersionPolicy {
    /// Only our version.
    Exact,
    /// Our version, and these versions.
    AlsoOneOf(Vec<String>),
    /// Every version.
    Any,
}

/// How a worker is ended. Graces are upper bounds.
#[derive(Debug, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum KillPolicy {
    /// The stop signal, and no stronger signal.
    TermOnly {
        /// The grace after the stop signal, in milliseconds.
        grace_ms: u64,
        /// The stop signal; absent for SIGTERM.
        #[serde(skip_serializing_if = "Option::is_none")]
        signal: Option<String>,
    },
    /// SIGTERM, then SIGKILL.
    TermThenKill {
        /// The stop signal; absent for SIGTERM.
        #[serde(skip_serializing_if = "Option::is_none")]
        signal: Option<String>,
        /// The grace after SIGTERM, in milliseconds.
        term_grace_ms: u64,
        /// The grace after SIGKILL, in milliseconds.
        kill_grace_ms: u64,
    },
}

/// A value that is in no record.
#[derive(Debug, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Withheld {
    /// The prompt.
    Prompt,
    /// The value of the named variable.
    Variable(String),
}

/// The answer of a pool's worker, for its host.
#[derive(Debug, JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum HostAnswer {
    /// The work waits for answers: the one query's fields, or `queries`.
    NeedsResponse(Waiting),
    /// The work is done.
    Completed {
        /// The result of the work.
        result: Value,
        /// The worker's figures about the work.
        stats: Value,
    },
    /// An answer was taken, and others are still wanted.
    Accepted {
        /// The number of open queries.
        remaining: u64,
    },
    /// The work was cancelled.
    Cancelled {
        /// The worker's figures about the work.
        stats: Value,
    },
    /// The work failed.
    Error {
        /// The failure in words.
        error: String,
    },
}

/// Open queries.
#[derive(Debug, JsonSchema)]
#[serde(untagged)]
pub enum Waiting {
    /// One query.
    One {
        /// The name of the session for the next call.
        session_id: String,
        /// The id of the query.
        query_id: String,
        /// What is asked.
        #[serde(flatten)]
        query: Query,
    },
    /// Several queries.
    Several {
        /// The name of the session for the next call.
        session_id: String,
        /// The queries.
        queries: Vec<NamedQuery>,
    },
}

/// One of several queries.
#[derive(Debug, JsonSchema)]
pub struct NamedQuery {
    /// The id of the query.
    pub id: String,
    /// What is asked.
    #[serde(flatten)]
    pub query: Query,
}

/// A query of a worker.
#[derive(Debug, JsonSchema)]
pub struct Query {
    /// The prompt.
    pub prompt: String,
    /// The system prompt, or `null`.
    pub system: Option<String>,
    /// The limit of the answer, in tokens.
    pub max_tokens: u64,
    /// `true` if the answer has to be grounded; else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grounded: Option<bool>,
    /// `true` if the query is underspecified; else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub underspecified: Option<bool>,
}
