//! The exact identity of a process: a pid alone identifies no process.
//!
//! # Invariants
//! 1. Unknown is never dead. [`ProcessLiveness::Dead`] needs a [`DeathProof`].
//! 2. A pid of another pid namespace is never looked up in ours.
//! 3. Start times are compared only within the same time namespace, where both refer to the same clock.
//! 4. [`ProcessLiveness::Alive`] needs every field: boot, pid namespace, time namespace, pid and start time. If only
//!    the pid matches, the process is unproven, and an unproven process is never signalled
//!    ([`crate::process::warrant`]).
//!
//! Checked by `gates/tests/identity.rs`.

use crate::prelude::*;
use crate::process::id::Pid;
use serde::{Deserialize, Serialize};

/// The start time of a process, in clock ticks since boot, from `/proc/PID/stat`, field 22.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StartTime(u64);

impl StartTime {
    /// A start time from clock ticks since boot.
    pub const fn from_ticks(ticks: u64) -> Self {
        Self(ticks)
    }

    /// Clock ticks since boot.
    pub const fn ticks(self) -> u64 {
        self.0
    }
}

/// The inode number of a kernel namespace, from `/proc/PID/ns/*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NamespaceId(u64);

impl NamespaceId {
    /// A namespace from its inode number.
    pub const fn from_inode(inode: u64) -> Self {
        Self(inode)
    }

    /// The inode number.
    pub const fn inode(self) -> u64 {
        self.0
    }
}

/// The id of a boot of a machine, from `/proc/sys/kernel/random/boot_id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(String);

impl BootId {
    /// A boot id from the kernel's text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The kernel's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The identity of a process, different from every other past or future process with the same pid.
///
/// A field is absent if the kernel or the writer did not give the value. An absent field proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The pid, within `pid_namespace`.
    pub pid: Pid,
    /// The start time, on the boot clock of `time_namespace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<StartTime>,
    /// The boot of the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<BootId>,
    /// The pid namespace in which `pid` is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_namespace: Option<NamespaceId>,
    /// The time namespace of the boot clock for `start_time`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_namespace: Option<NamespaceId>,
}

/// The place of the judging process: machine, boot and namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The host name. The name may change at any time, and decides only without a comparable boot id or machine id.
    pub hostname: String,
    /// `/etc/machine-id`, if the file exists.
    pub machine_id: Option<String>,
    /// The present boot.
    pub boot_id: Option<BootId>,
    /// Our pid namespace.
    pub pid_namespace: Option<NamespaceId>,
    /// Our time namespace; absent on kernels without time namespaces.
    pub time_namespace: Option<NamespaceId>,
}

impl Host {
    /// The identity of a process on this host, from the pid and the start time.
    pub fn identify(&self, pid: Pid, start_time: Option<StartTime>) -> ProcessIdentity {
        ProcessIdentity {
            pid,
            start_time,
            boot_id: self.boot_id.clone(),
            pid_namespace: self.pid_namespace,
            time_namespace: self.time_namespace,
        }
    }
}

/// The operating system's answer about a pid at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PidStatus {
    /// No process has the pid (ESRCH, and no other error).
    Absent,
    /// The process has exited and waits to be reaped.
    Zombie,
    /// A process has the pid.
    Running {
        /// The process's start time, if readable.
        start_time: Option<StartTime>,
    },
    /// We have no permission (EPERM), or the question failed.
    NotPermitted,
}

/// The judgement on a recorded process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProcessLiveness {
    /// The process runs.
    Alive,
    /// The process is provably gone.
    Dead(DeathProof),
    /// The process cannot be judged from here.
    Unjudged(UnknownReason),
}

/// The proof of a process's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeathProof {
    /// No process has the pid.
    NoSuchProcess,
    /// The process has exited and was not reaped.
    Zombie,
    /// The pid belongs to a process with another start time.
    OtherStartTime,
    /// The process ran before the present boot.
    OtherBoot,
    /// The kernel lock that the process kept for life is free: proof across the pid namespaces of a kernel.
    LockFree,
}

impl DeathProof {
    /// The proof in words, to follow "its process is gone:".
    pub const fn describe(self) -> &'static str {
        match self {
            Self::NoSuchProcess => "no process has its pid",
            Self::Zombie => "it has exited and was not reaped",
            Self::OtherStartTime => "its pid now belongs to another process",
            Self::OtherBoot => "the machine was rebooted since",
            Self::LockFree => "the kernel lock that it kept for life is free",
        }
    }
}

/// The reason why a process cannot be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownReason {
    /// The pid is valid only in another pid namespace of this boot.
    OtherPidNamespace,
    /// The pid is valid only in another pid namespace, of an unknown boot.
    UnknownBoot,
    /// A process has the pid, and the record does not prove that both are the same process.
    Unproven,
    /// The process runs, or ran, on another machine.
    OtherMachine,
    /// The operating system does not permit the question.
    NotPermitted,
}

impl UnknownReason {
    /// The reason in words.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::OtherPidNamespace => "it belongs to another pid namespace",
            Self::UnknownBoot => "it belongs to another pid namespace, of an unknown boot",
            Self::Unproven => "a process has its pid, and nothing proves that it is the same process",
            Self::OtherMachine => "it belongs to another machine",
            Self::NotPermitted => "the system does not let us ask about it",
        }
    }
}

impl ProcessLiveness {
    /// Whether the process is provably gone.
    pub const fn is_dead(self) -> bool {
        matches!(self, Self::Dead(_))
    }

    /// Whether the process provably runs.
    pub const fn is_alive(self) -> bool {
        matches!(self, Self::Alive)
    }

    /// Whether a process with the recorded pid runs here, the same process or another.
    pub const fn pid_is_taken(self) -> bool {
        matches!(self, Self::Alive | Self::Unjudged(UnknownReason::Unproven))
    }
}

/// Judges a recorded process by the system's present answer about the pid.
///
/// ```
/// use rekindle_core::identity::{DeathProof, Host, PidStatus, ProcessLiveness, StartTime, judge};
/// use rekindle_core::Pid;
///
/// let here = Host { hostname: "box".into(), machine_id: None, boot_id: None, pid_namespace: None, time_namespace: None };
/// let worker = here.identify(Pid::new(42).unwrap(), Some(StartTime::from_ticks(1_000)));
///
/// // The pid was reused: the process that has it now started later.
/// let now = PidStatus::Running { start_time: Some(StartTime::from_ticks(2_000)) };
/// assert_eq!(judge(&worker, &here, now), ProcessLiveness::Dead(DeathProof::OtherStartTime));
/// // A permission error is no death, and a pid without the rest of an identity is no life.
/// assert!(!judge(&worker, &here, PidStatus::NotPermitted).is_dead());
/// assert!(!judge(&worker, &here, PidStatus::Running { start_time: None }).is_alive());
/// ```
pub fn judge(process: &ProcessIdentity, here: &Host, status: PidStatus) -> ProcessLiveness {
    let boot = relate(process.boot_id.as_ref(), here.boot_id.as_ref());
    let namespace = relate(process.pid_namespace.as_ref(), here.pid_namespace.as_ref());
    match (boot, namespace) {
        (Relation::Other, _) => return ProcessLiveness::Dead(DeathProof::OtherBoot),
        (Relation::Same, Relation::Other) => {
            return ProcessLiveness::Unjudged(UnknownReason::OtherPidNamespace);
        }
        (Relation::NotWritten | Relation::NotKnownHere, Relation::Other) => {
            return ProcessLiveness::Unjudged(UnknownReason::UnknownBoot);
        }
        // A pid of a possibly foreign namespace is not looked up in ours.
        (Relation::Same | Relation::NotWritten | Relation::NotKnownHere, Relation::NotKnownHere) => {
            return ProcessLiveness::Unjudged(UnknownReason::NotPermitted);
        }
        (
            Relation::Same | Relation::NotWritten | Relation::NotKnownHere,
            Relation::Same | Relation::NotWritten,
        ) => {}
    }
    let start_time = match status {
        PidStatus::Absent => return ProcessLiveness::Dead(DeathProof::NoSuchProcess),
        PidStatus::Zombie => return ProcessLiveness::Dead(DeathProof::Zombie),
        PidStatus::NotPermitted => return ProcessLiveness::Unjudged(UnknownReason::NotPermitted),
        PidStatus::Running { start_time } => start_time,
    };
    let one_clock = process.time_namespace == here.time_namespace;
    match relate(process.start_time.as_ref(), start_time.as_ref()) {
        Relation::Other if one_clock => ProcessLiveness::Dead(DeathProof::OtherStartTime),
        Relation::Same if one_clock && boot == Relation::Same && namespace == Relation::Same => {
            ProcessLiveness::Alive
        }
        Relation::Same | Relation::Other | Relation::NotWritten | Relation::NotKnownHere => {
            ProcessLiveness::Unjudged(UnknownReason::Unproven)
        }
    }
}

/// The relation of a recorded fact to the same fact here and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// Known on both sides, and equal.
    Same,
    /// Known on both sides, and different.
    Other,
    /// Not recorded.
    NotWritten,
    /// Recorded, and unknown here.
    NotKnownHere,
}

fn relate<T: PartialEq>(written: Option<&T>, here: Option<&T>) -> Relation {
    match (written, here) {
        (Some(written), Some(here)) if written == here => Relation::Same,
        (Some(_), Some(_)) => Relation::Other,
        (Some(_), None) => Relation::NotKnownHere,
        (None, _) => Relation::NotWritten,
    }
}

/// Whether a record with `hostname`, `machine_id` and `boot_id` came from another machine.
///
/// An equal boot id decides first: the same boot id means the same running kernel, whatever the host's name is today.
/// Then the machine id decides; the hostname decides only if a side has no machine id.
pub fn is_foreign(here: &Host, hostname: &str, machine_id: Option<&str>, boot_id: Option<&BootId>) -> bool {
    if boot_id.is_some() && boot_id == here.boot_id.as_ref() {
        return false;
    }
    match (machine_id, here.machine_id.as_deref()) {
        (Some(theirs), Some(ours)) => theirs != ours,
        (Some(_), None) | (None, Some(_)) | (None, None) => hostname != here.hostname,
    }
}

/// Corrects the liveness of a process on the machine of `hostname` and `machine_id`: on another machine a pid says
/// nothing here.
pub(crate) fn corrected_for_machine(
    process: &ProcessIdentity,
    here: &Host,
    hostname: &str,
    machine_id: Option<&str>,
    standing: ProcessLiveness,
) -> ProcessLiveness {
    let foreign = is_foreign(here, hostname, machine_id, process.boot_id.as_ref());
    if foreign { ProcessLiveness::Unjudged(UnknownReason::OtherMachine) } else { standing }
}
