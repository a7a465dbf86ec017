//! Which process exactly: a pid alone never says so.
//!
//! # Invariants
//! 1. Unknown is never dead. [`ProcessLiveness::Dead`] needs one of the proofs of [`DeathProof`].
//! 2. A pid of another pid namespace is never looked up in ours.
//! 3. Start times are compared only within one time namespace, where they mean the same clock.
//! 4. [`ProcessLiveness::Alive`] needs every field: boot, pid namespace, time namespace, pid and start time. A process that merely
//!    has the recorded pid is unproven, and an unproven process is never signalled ([`crate::process::warrant`]).
//!
//! Checked by `gates/tests/identity.rs`.

use crate::prelude::*;
use crate::process::id::Pid;
use serde::{Deserialize, Serialize};

/// When a process started, in clock ticks since boot, as `/proc/PID/stat` gives it in field 22.
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

/// The inode number of a kernel namespace, as `/proc/PID/ns/*` shows it.
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

/// One boot of one machine, as `/proc/sys/kernel/random/boot_id` names it.
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

/// One process, told apart from every other that ever had or will have its pid.
///
/// What the kernel did not tell, or what another program did not write down, is absent and proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The pid, within `pid_namespace`.
    pub pid: Pid,
    /// When it started, on the boot clock of `time_namespace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<StartTime>,
    /// The boot during which it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<BootId>,
    /// The namespace in which the pid is its pid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_namespace: Option<NamespaceId>,
    /// The namespace whose boot clock `start_time` was read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_namespace: Option<NamespaceId>,
}

/// Where we stand ourselves: the machine, boot and namespaces in which a judgement is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The name people use; it may change at any time and decides only where nothing better is known.
    pub hostname: String,
    /// `/etc/machine-id`, where there is one.
    pub machine_id: Option<String>,
    /// This boot.
    pub boot_id: Option<BootId>,
    /// Our pid namespace.
    pub pid_namespace: Option<NamespaceId>,
    /// Our time namespace; absent on kernels that have none.
    pub time_namespace: Option<NamespaceId>,
}

impl Host {
    /// The identity of a process that runs here, from its pid and start time.
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

/// What the operating system says about a pid right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PidStatus {
    /// No process has this pid (ESRCH, and nothing else).
    Absent,
    /// It has exited and waits to be reaped.
    Zombie,
    /// A process has this pid.
    Running {
        /// When that process started, where it could be read.
        start_time: Option<StartTime>,
    },
    /// We may not ask (EPERM), or the question failed.
    NotPermitted,
}

/// What is known about a process that was written down earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProcessLiveness {
    /// It runs.
    Alive,
    /// It is gone, and this proves it.
    Dead(DeathProof),
    /// Not to be judged from here.
    Unjudged(UnknownReason),
}

/// What proves that a process is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeathProof {
    /// Its pid belongs to nobody.
    NoSuchProcess,
    /// It has exited and was not reaped.
    Zombie,
    /// Its pid belongs to a process that started at another time.
    OtherStartTime,
    /// It ran before this machine was booted.
    OtherBoot,
    /// The kernel lock that it kept for as long as it lived is free: proof across the pid namespaces of one kernel.
    LockFree,
}

impl DeathProof {
    /// The proof in words, to follow "its process is gone:".
    pub const fn describe(self) -> &'static str {
        match self {
            Self::NoSuchProcess => "no process has its pid",
            Self::Zombie => "it has exited and was not reaped",
            Self::OtherStartTime => "its pid now belongs to another process",
            Self::OtherBoot => "the machine was booted since",
            Self::LockFree => "the kernel lock that it kept for life is free",
        }
    }
}

/// Why a process cannot be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownReason {
    /// Its pid means something only in another pid namespace of this boot.
    OtherPidNamespace,
    /// Its pid means something only in another pid namespace, and nothing says during which boot.
    UnknownBoot,
    /// A process has its pid, and what was written down does not prove that it is the same process.
    Unproven,
    /// It runs, or ran, on another machine.
    OtherMachine,
    /// The operating system does not let us ask.
    NotPermitted,
}

impl UnknownReason {
    /// The reason in words.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::OtherPidNamespace => "it belongs to another pid namespace",
            Self::UnknownBoot => "it belongs to another pid namespace, of a boot that nobody wrote down",
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

    /// Whether a process with the recorded pid runs here, the same one or another.
    pub const fn pid_is_taken(self) -> bool {
        matches!(self, Self::Alive | Self::Unjudged(UnknownReason::Unproven))
    }
}

/// Judges a process that was written down earlier by what the system says of its pid now.
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
        // A pid of a namespace that may not be ours is not looked up in ours.
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

/// How a fact that was written down relates to the same fact here and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// Known on both sides, and the same.
    Same,
    /// Known on both sides, and not the same.
    Other,
    /// Nobody wrote it down.
    NotWritten,
    /// It was written down, and is not to be had here.
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

/// Whether something written down by `hostname` (and `machine_id`) in boot `boot_id` came from another machine.
///
/// A boot id settles it: the same one is the same running kernel, whatever the host is called today. Then the
/// machine id does; the hostname decides only where neither is known on both sides.
pub fn is_foreign(here: &Host, hostname: &str, machine_id: Option<&str>, boot_id: Option<&BootId>) -> bool {
    if boot_id.is_some() && boot_id == here.boot_id.as_ref() {
        return false;
    }
    match (machine_id, here.machine_id.as_deref()) {
        (Some(theirs), Some(ours)) => theirs != ours,
        (Some(_), None) | (None, Some(_)) | (None, None) => hostname != here.hostname,
    }
}

/// What is known of a process that is said to run on the machine named by `hostname` and `machine_id`: on another
/// machine a pid says nothing here.
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
