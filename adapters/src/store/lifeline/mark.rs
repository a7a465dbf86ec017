//! The mark: written by a worker into its lifeline before exec.
//!
//! A worker whose files are all gone is recognised by the mark: session, generation, state root, socket and readiness.

use super::root_id::RootId;
use crate::sys::linux::failure::Errno;
use crate::sys::linux::fs::read_at;
use crate::sys::linux::procfs::RunCommand;
use jiff::Timestamp;
use rekindle_core::Endpoint;
use rekindle_core::byte_text;
use rekindle_core::identity::{BootId, NamespaceId, StartTime};
use rekindle_core::{Generation, Host, Nonce, Pid, ProcessIdentity, Readiness, SessionId, SpawnBgPlan};
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// The longest mark to read, in bytes: three of the longest paths and the longest command, with every byte escaped.
const MARK_LEN_MAX: usize = 128 << 10;

/// The longest command in a mark, in bytes.
const COMMAND_LEN_MAX: usize = 2 << 10;

/// The mark in a lifeline.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Written")]
pub struct LifelineMark {
    /// The generation of the start.
    pub generation: Generation,
    /// The worker's nonce.
    pub nonce: Option<Nonce>,
    /// The process that took the lifeline.
    pub worker: ProcessIdentity,
    /// The session of the start.
    pub session: Option<SessionId>,
    /// Further facts about the start, if written by this version or a later one.
    pub worksite: Option<Worksite>,
}

/// Facts about the start of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worksite {
    /// The state root.
    pub root: RootId,
    /// The path of the worker's socket, if the endpoint is a Unix socket.
    #[serde(default, with = "byte_text", skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// The worker's endpoint; absent in the mark of an older version, whose workers have a socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<Endpoint>,
    /// The condition for ready.
    pub readiness: Readiness,
    /// The time of the start.
    pub started_at: Timestamp,
    /// The command; absent if too long for a mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<RunCommand>,
}

impl Worksite {
    /// The worker's endpoint.
    pub fn endpoint(&self) -> Endpoint {
        let of_socket = || self.socket.clone().map_or(Endpoint::None, Endpoint::Unix);
        self.address.clone().unwrap_or_else(of_socket)
    }
}

/// The command of a plan; `None` if too long for a mark.
fn command_of(plan: &SpawnBgPlan) -> Option<RunCommand> {
    let len: usize = plan.launch_args.iter().map(|arg| arg.len()).sum();
    let command = || RunCommand { arguments: plan.launch_args.clone(), cwd: plan.cwd.clone() };
    (len <= COMMAND_LEN_MAX).then(command)
}

/// The JSON form of a mark, in one flat struct: `#[serde(flatten)]` would copy all fields before parsing.
#[derive(Deserialize)]
struct Written {
    generation: Generation,
    #[serde(default)]
    nonce: Option<Nonce>,
    pid: Pid,
    #[serde(default)]
    start_time: Option<StartTime>,
    #[serde(default)]
    boot_id: Option<BootId>,
    #[serde(default)]
    pid_namespace: Option<NamespaceId>,
    #[serde(default)]
    time_namespace: Option<NamespaceId>,
    #[serde(default)]
    session: Option<SessionId>,
    #[serde(default)]
    worksite: Option<Worksite>,
}

impl From<Written> for LifelineMark {
    fn from(written: Written) -> Self {
        let Written { pid, start_time, boot_id, pid_namespace, time_namespace, .. } = written;
        let Written { generation, nonce, session, worksite, .. } = written;
        let worker = ProcessIdentity { pid, start_time, boot_id, pid_namespace, time_namespace };
        Self { generation, nonce, worker, session, worksite }
    }
}

/// The part of a mark known before the worker exists. The child writes `{"pid":N,"start_time":N` before this part.
#[derive(Serialize)]
struct Tail<'a> {
    boot_id: Option<&'a BootId>,
    pid_namespace: Option<NamespaceId>,
    time_namespace: Option<NamespaceId>,
    generation: Generation,
    nonce: &'a Nonce,
    session: &'a SessionId,
    worksite: Worksite,
}

impl LifelineMark {
    /// Reads the mark of an open lifeline; `None` if the content is not a mark.
    pub(super) fn read(fd: &OwnedFd) -> Result<Option<Self>, Errno> {
        // Most marks are short; clearing a buffer of the greatest length would take longer than the read.
        let mut bytes = vec![0; 1 << 10];
        let mut len = read_at(fd, &mut bytes, 0)?;
        if len == bytes.len() {
            bytes.resize(MARK_LEN_MAX, 0);
            len += read_at(fd, bytes.get_mut(len..).unwrap_or_default(), len)?;
        }
        Ok(serde_json::from_slice(bytes.get(..len).unwrap_or_default()).ok())
    }
}

/// The text after pid and start time in the mark of a new worker.
pub(crate) fn tail(
    plan: &SpawnBgPlan,
    generation: Generation,
    nonce: &Nonce,
    host: &Host,
    root: RootId,
    started_at: Timestamp,
) -> Vec<u8> {
    let worksite = Worksite {
        root,
        socket: plan.expected_socket_path().map(ToOwned::to_owned),
        address: Some(plan.target().clone()),
        readiness: plan.ready.clone(),
        started_at,
        command: command_of(plan),
    };
    let Host { boot_id, pid_namespace, time_namespace, .. } = host;
    let tail = Tail {
        boot_id: boot_id.as_ref(),
        pid_namespace: *pid_namespace,
        time_namespace: *time_namespace,
        generation,
        nonce,
        session: &plan.session_id,
        worksite,
    };
    let text = serde_json::to_string(&tail).expect("a mark holds nothing that JSON cannot");
    let fields = text.strip_prefix('{').expect("a JSON object begins with a brace");
    format!(",{fields}\n").into_bytes()
}
