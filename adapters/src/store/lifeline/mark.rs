//! What a worker writes into its lifeline before it becomes its program.
//!
//! The mark says enough to know the worker by if all of its files are gone: which start of which session below which state
//! root it is, where it answers, and what counted as ready.

use super::root_id::RootId;
use crate::sys::linux::failure::Errno;
use crate::sys::linux::fs::read_at;
use crate::sys::linux::procfs::RunCommand;
use jiff::Timestamp;
use rekindle_core::byte_text;
use rekindle_core::identity::{BootId, NamespaceId, StartTime};
use rekindle_core::{Generation, Host, Nonce, Pid, ProcessIdentity, ReadyKind, SessionId, SpawnBgPlan};
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// The longest mark that is read, in bytes: two of the longest paths and the longest command, with every byte escaped.
const MARK_LEN_MAX: usize = 128 << 10;

/// The longest command that is written into a mark, in bytes.
const COMMAND_LEN_MAX: usize = 2 << 10;

/// What a worker wrote into its lifeline.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Written")]
pub struct LifelineMark {
    /// Which start it belongs to.
    pub generation: Generation,
    /// What the worker was told to know itself by.
    pub nonce: Option<Nonce>,
    /// The process that took it.
    pub worker: ProcessIdentity,
    /// The session that it was started for.
    pub session: Option<SessionId>,
    /// What else it was started for, where a version wrote it that does.
    pub worksite: Option<Worksite>,
}

/// What a worker was started for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worksite {
    /// The state root.
    pub root: RootId,
    /// Where it answers.
    #[serde(with = "byte_text")]
    pub socket: PathBuf,
    /// What counts as ready.
    pub readiness: ReadyKind,
    /// When the start began.
    pub started_at: Timestamp,
    /// What it runs; absent where that is too long to be written here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<RunCommand>,
}

/// What a plan says; `None` if that is longer than a mark should be.
fn command_of(plan: &SpawnBgPlan) -> Option<RunCommand> {
    let len: usize = plan.launch_args.iter().map(|arg| arg.len()).sum();
    let command = || RunCommand { arguments: plan.launch_args.clone(), cwd: plan.cwd.clone() };
    (len <= COMMAND_LEN_MAX).then(command)
}

/// A mark as it is written: all in one object, which `#[serde(flatten)]` would copy before it reads it.
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

/// The part of a mark that is known before its worker exists. The child writes `{"pid":N,"start_time":N` before it.
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
    /// Reads the mark of an open lifeline; `None` if nothing is written there that is one.
    pub(super) fn read(fd: &OwnedFd) -> Result<Option<Self>, Errno> {
        // Most are short, and to clear the room for the longest would take longer than to read one.
        let mut bytes = vec![0; 1 << 10];
        let mut len = read_at(fd, &mut bytes, 0)?;
        if len == bytes.len() {
            bytes.resize(MARK_LEN_MAX, 0);
            len += read_at(fd, bytes.get_mut(len..).unwrap_or_default(), len)?;
        }
        Ok(serde_json::from_slice(bytes.get(..len).unwrap_or_default()).ok())
    }
}

/// What follows pid and start time in the mark of a worker that is about to be started.
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
        socket: plan.expected_socket_path.clone(),
        readiness: plan.ready,
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
