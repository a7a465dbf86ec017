//! The kernel's answers about processes, this host and this process.
//!
//! # Invariants
//! 1. [`PidStatus::Absent`] needs ESRCH from the kernel itself: a `/proc` that hides other users' processes proves
//!    nothing.
//! 2. A zombie is told apart from a running process.
//! 3. A `/proc` of another pid namespace is not read: its pids mean other processes here.
//!
//! Checked by the tests below and `smoke/tests/smoke/spawn/child.rs`.

use crate::sys::linux::failure::During;
use crate::sys::linux::process::pidfd::exit_of_status;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::{Pid as NixPid, getegid, geteuid};
use rekindle_core::byte_text;
use rekindle_core::identity::{
    BootId, DeathProof, NamespaceId, PidStatus, ProcessLiveness, StartTime, judge,
};
use rekindle_core::warrant::{Sameness, Warrant};
use rekindle_core::{ChildExit, Host, OsFailure, Pid, ProcessIdentity};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{self, DirEntry, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// SIGCHLD among the signals that `/proc/PID/stat` shows as ignored or handled.
const SIGCHLD_BIT: u64 = 1 << (nix::libc::SIGCHLD - 1);

/// The machine's first pid namespace, by the number fixed in the kernel.
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// The flag of a thread of the kernel in `/proc/PID/stat`: `PF_KTHREAD` of linux/sched.h.
const KERNEL_THREAD_BIT: u32 = 0x0020_0000;

/// The command of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCommand {
    /// The program and its arguments.
    #[serde(with = "byte_text")]
    pub arguments: Vec<OsString>,
    /// The present or initial working directory.
    #[serde(with = "byte_text")]
    pub cwd: PathBuf,
}

/// The relevant fields of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The state letter; `Z` and `X` have exited.
    pub state: u8,
    /// The parent; 0 if outside of our pid namespace.
    pub parent: i32,
    /// The process session, named by its leader's pid.
    pub session: i32,
    /// The start time.
    pub start_time: StartTime,
    /// The wait status of a zombie; 0 also if the kernel does not show it to us.
    exit_status: Option<i32>,
    /// Whether it is a thread of the kernel.
    is_kernel_thread: bool,
    /// Whether the process ever reaped children.
    children: Childhood,
}

/// The evidence about a process's former children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Childhood {
    /// The process reaped none, and the kernel cannot have reaped any in its name.
    NoneReaped,
    /// The process reaped some, or reaped children would not show.
    Doubtful,
}

impl Stat {
    /// Whether the process has exited and waits to be reaped.
    pub fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    fn parse(text: &str) -> Option<Self> {
        // The name is in parentheses and may hold anything, parentheses and newlines included.
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        Some(Self {
            state: *fields.first()?.as_bytes().first()?,
            parent: fields.get(1)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            start_time: StartTime::from_ticks(fields.get(19)?.parse().ok()?),
            exit_status: fields.get(49).and_then(|status| status.parse().ok()),
            is_kernel_thread: fields.get(6)?.parse::<u32>().ok()? & KERNEL_THREAD_BIT != 0,
            children: Childhood::parse(&fields).unwrap_or(Childhood::Doubtful),
        })
    }
}

impl Childhood {
    fn parse(fields: &[&str]) -> Option<Self> {
        let number = |at: usize| -> Option<u64> { fields.get(at)?.parse().ok() };
        // Reaping adds a child's page faults to the parent's, and no process runs without a page fault.
        let (faults_of_reaped, threads) = (number(8)?, number(17)?);
        // A process that ignores SIGCHLD gets no such faults; a process that handles SIGCHLD possibly neither.
        let unusual = (number(30)? | number(31)?) & SIGCHLD_BIT;
        // A process being removed shows zeros throughout.
        let is_clear = faults_of_reaped == 0 && threads > 0 && unusual == 0;
        Some(if is_clear { Self::NoneReaped } else { Self::Doubtful })
    }
}

/// Fails unless `/proc` shows our own pid namespace: after a move into a new namespace, the old `/proc` stays until
/// another is mounted.
///
/// # Errors
/// If `/proc` shows another namespace, or nothing.
pub fn require_own() -> Result<(), OsFailure> {
    /// The process that last passed the check.
    static FOUND_BY: AtomicI32 = AtomicI32::new(0);
    let us = NixPid::this().as_raw();
    if FOUND_BY.load(Ordering::Relaxed) == us {
        return Ok(());
    }
    let path = Path::new("/proc/self");
    let shown = fs::read_link(path).during("find out whose processes are shown in", path)?;
    if shown.as_os_str() != us.to_string().as_str() {
        let why = "it shows the processes of another pid namespace";
        return Err(OsFailure::new("look at the processes in", why).on("/proc"));
    }
    FOUND_BY.store(us, Ordering::Relaxed);
    Ok(())
}

/// Reads `/proc/PID/stat`; `None` if unreadable, which proves nothing.
pub fn stat(pid: Pid) -> Option<Stat> {
    require_own().ok()?;
    stat_at(&format!("/proc/{pid}/stat"))
}

fn stat_at(path: &str) -> Option<Stat> {
    // One read returns the whole line: the kernel writes the line at the read, and the buffer is longer.
    let mut text = [0; 1024];
    let len = File::open(path).ok()?.read(&mut text).ok()?;
    Stat::parse(&String::from_utf8_lossy(text.get(..len)?))
}

/// Whether `pid` runs and provably never had a child, so no process descends from `pid`. An unreadable fact proves
/// nothing. Two kinds of children are not seen: children made as siblings (`CLONE_PARENT`), and children that ended
/// under `SA_NOCLDWAIT`, with SIGCHLD neither ignored nor handled.
pub fn is_childless(pid: Pid) -> bool {
    if require_own().is_err() {
        return false;
    }
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    let has_none = |thread: io::Result<DirEntry>| -> io::Result<bool> {
        Ok(File::open(thread?.path().join("children"))?.read(&mut [0])? == 0)
    };
    // In this order: a child reaped between the two looks shows in the second.
    threads.into_iter().all(|thread| has_none(thread).unwrap_or(false))
        && stat(pid).is_some_and(|stat| !stat.is_zombie() && stat.children == Childhood::NoneReaped)
}

/// The children of a process, over all threads; `None` if the system gives no list.
pub fn children(pid: Pid) -> Option<Vec<Pid>> {
    require_own().ok()?;
    let mut children = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let list = match fs::read_to_string(thread.ok()?.path().join("children")) {
            Ok(list) => list,
            // An ended thread has no children any more: another thread or process has adopted them.
            Err(error) if is_gone(&error) && stat(pid).is_some() => continue,
            Err(_) => return None,
        };
        children.extend(list.split_ascii_whitespace().filter_map(|pid| Pid::new(pid.parse().ok()?)));
    }
    Some(children)
}

/// Whether an error of `/proc` means that the process or thread has ended.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(nix::libc::ESRCH)
}

/// Whether a process runs under one of our user's ids; `None` if gone or unreadable.
pub fn is_of_our_user(pid: Pid) -> Option<bool> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let us = geteuid().as_raw().to_string();
    Some(ids.split_ascii_whitespace().any(|id| id == us))
}

/// The exit of a recorded process that has ended and is not reaped; `None` if unknown. Hold a pidfd of the process
/// meanwhile, so that the kernel tells of a reaper that comes in between.
pub(crate) fn exit_of_zombie(process: &ProcessIdentity) -> Option<ChildExit> {
    let stat = stat(process.pid)?;
    let is_it = stat.is_zombie() && Some(stat.start_time) == process.start_time;
    let status = stat.exit_status.filter(|_| is_it)?;
    // The kernel shows 0 to a process without permission; the permission depends on all ids.
    (status != 0 || has_all_our_ids(process.pid)).then(|| exit_of_status(status))
}

/// Whether all ids of a process are ours.
fn has_all_our_ids(pid: Pid) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return false };
    let are = |prefix: &str, ours: u32| {
        let ids = status.lines().find_map(|line| line.strip_prefix(prefix));
        ids.is_some_and(|ids| ids.split_ascii_whitespace().all(|id| id.parse() == Ok(ours)))
    };
    are("Uid:", geteuid().as_raw()) && are("Gid:", getegid().as_raw())
}

/// Whether a process shares one of our namespaces, for example `pid` or `mnt`.
pub fn shares_namespace(pid: Pid, kind: &str) -> Sameness {
    let link = |of: &str| fs::read_link(format!("/proc/{of}/ns/{kind}")).ok();
    Sameness::of(link(&pid.to_string()), link("self"))
}

/// Whether `/proc` shows every process of the machine; only the `/proc` of the first pid namespace does.
pub fn shows_whole_machine() -> bool {
    namespace("pid") == Some(NamespaceId::from_inode(FIRST_PID_NAMESPACE))
}

/// The process session of a process, by one short call; `None` if gone. 0 for kernel threads, and for processes whose
/// ancestors never called `setsid`.
pub fn session(pid: Pid) -> Option<i32> {
    // By nix: rustix takes no session 0.
    nix::unistd::getsid(Some(NixPid::from_raw(pid.as_raw()))).map(NixPid::as_raw).ok()
}

/// The name of a process, if readable.
pub fn name(pid: Pid) -> Option<String> {
    require_own().ok()?;
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(&name).trim_end().to_owned())
}

/// The command line of a process; `None` if gone or empty. Some programs write a title over the command line.
pub fn command(pid: Pid) -> Option<RunCommand> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = line.strip_suffix(b"\0")?.split(|byte| *byte == 0);
    Some(RunCommand {
        arguments: words.map(|word| byte_text::from_bytes(word.to_vec())).collect(),
        cwd: fs::read_link(format!("/proc/{pid}/cwd")).ok()?,
    })
}

/// Whether the working directory of `pid` was removed: then its inode has no name.
pub fn lost_its_cwd(pid: Pid) -> bool {
    fs::metadata(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.nlink() == 0)
}

/// The current status of `pid`.
pub fn status(pid: Pid) -> PidStatus {
    sighting_of(stat(pid), pid)
}

fn sighting_of(stat: Option<Stat>, pid: Pid) -> PidStatus {
    match stat {
        Some(stat) if stat.is_zombie() => PidStatus::Zombie,
        Some(stat) => PidStatus::Running { start_time: Some(stat.start_time) },
        None => match kill(NixPid::from_raw(pid.as_raw()), None) {
            Err(Errno::ESRCH) => PidStatus::Absent,
            Ok(()) => PidStatus::Running { start_time: None },
            Err(_) => PidStatus::NotPermitted,
        },
    }
}

/// Judges a recorded process.
pub fn standing(process: &ProcessIdentity, here: &Host) -> ProcessLiveness {
    judge(process, here, status(process.pid))
}

/// Judges a recorded leader of a worker.
///
/// A leader leads a process session from before exec to its end, and cannot leave the session. So a process with the
/// same pid but without a session of its own is another process, even if both started within the same tick of the
/// clock.
pub fn standing_of_leader(leader: &ProcessIdentity, here: &Host) -> ProcessLiveness {
    judge_leader(leader, here, stat(leader.pid)).map_or_else(|standing| standing, |_| ProcessLiveness::Alive)
}

/// A warrant for a worker's leader, if every field proves that the process is the recorded leader. Pin the pid first.
pub(crate) fn warrant_for_leader(leader: &ProcessIdentity, here: &Host) -> Option<Warrant> {
    judge_leader(leader, here, stat(leader.pid)).ok()
}

/// A warrant for any recorded process.
pub(crate) fn warrant_for(process: &ProcessIdentity, here: &Host) -> Option<Warrant> {
    Warrant::by_identity(process, here, status(process.pid)).ok()
}

fn judge_leader(
    leader: &ProcessIdentity,
    here: &Host,
    stat: Option<Stat>,
) -> Result<Warrant, ProcessLiveness> {
    let warrant = Warrant::by_identity(leader, here, sighting_of(stat, leader.pid))?;
    let leads = stat.is_some_and(|stat| stat.session == leader.pid.as_raw());
    if leads { Ok(warrant) } else { Err(ProcessLiveness::Dead(DeathProof::OtherStartTime)) }
}

/// The identity of a running process; `None` if gone, a zombie, or unreadable.
pub fn identify(pid: Pid, here: &Host) -> Option<ProcessIdentity> {
    stat(pid).filter(|stat| !stat.is_zombie()).map(|stat| here.identify(pid, Some(stat.start_time)))
}

/// The identity of this process.
pub fn this_process(here: &Host) -> ProcessIdentity {
    /// The cached start time of this process; under another pid we are a forked child.
    static READ: Mutex<Option<(Pid, StartTime)>> = Mutex::new(None);
    let pid = Pid::new(NixPid::this().as_raw()).expect("the kernel gives every process a positive pid");
    // A panic elsewhere does not change when we started.
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if read.is_none_or(|(of, _)| of != pid) {
        *read = stat_at("/proc/self/stat").map(|stat| (pid, stat.start_time));
    }
    here.identify(pid, read.map(|(_, start_time)| start_time))
}

/// This machine, boot and namespaces. An unreadable value is absent.
pub fn this_host() -> Host {
    let text = |path| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    Host {
        hostname: nix::unistd::gethostname()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
        machine_id: text("/etc/machine-id").filter(|id| !id.is_empty()),
        boot_id: text("/proc/sys/kernel/random/boot_id").map(BootId::new),
        pid_namespace: namespace("pid"),
        time_namespace: namespace("time"),
    }
}

pub(crate) fn namespace(kind: &str) -> Option<NamespaceId> {
    let link = fs::read_link(format!("/proc/self/ns/{kind}")).ok()?;
    let inode = link.to_str()?.strip_prefix(kind)?.strip_prefix(":[")?.strip_suffix(']')?;
    inode.parse().ok().map(NamespaceId::from_inode)
}

/// The time of this boot, by the wall clock.
pub fn booted_at() -> Option<SystemTime> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Every process in `/proc`, except kernel threads, the majority on a quiet machine.
///
/// # Errors
/// If `/proc` cannot be listed to its end, or shows another pid namespace.
pub fn processes() -> Result<Vec<Pid>, OsFailure> {
    require_own()?;
    let path = Path::new("/proc");
    let mut pids = Vec::new();
    for entry in fs::read_dir(path).during("list the processes in", path)? {
        let entry = entry.during("list the processes in", path)?;
        pids.extend(entry.file_name().to_str().and_then(|name| Pid::new(name.parse().ok()?)));
    }
    // In other namespaces there are no kernel threads.
    if shows_whole_machine() {
        pids.retain(|pid| !is_kernel_thread(*pid));
    }
    Ok(pids)
}

/// Whether `pid` is a thread of the kernel: it has no descriptor and no memory of its own.
fn is_kernel_thread(pid: Pid) -> bool {
    // The session comes first, since it costs one short call. A process whose ancestors never called `setsid` has
    // session 0 as well: so has everything below an init that did not.
    session(pid) == Some(0) && stat(pid).is_some_and(|stat| stat.is_kernel_thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let fields = (5..=21).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
        let stat = Stat::parse(&format!("7 (a) S 1 (b)) Z 1 7 99 {fields} 4242 0")).unwrap();
        assert!(stat.is_zombie());
        assert_eq!(stat.session, 99);
        assert_eq!(stat.start_time.ticks(), 20);
    }

    #[test]
    fn session_0_makes_no_kernel_thread() {
        let with_flags = |flags: u32| {
            let fields = (10..=21).map(|field| field.to_string()).collect::<Vec<_>>().join(" ");
            Stat::parse(&format!("7 (a) S 1 0 0 0 -1 {flags} {fields} 4242 0")).unwrap()
        };
        assert!(
            !with_flags(0x0040_0100).is_kernel_thread,
            "everything below an init without a session has session 0"
        );
        assert!(with_flags(0x0020_8040).is_kernel_thread);
    }

    /// Fields 3 to 34 of a process with one thread and this number of page faults from reaped children.
    fn stat_with(faults_of_reaped: u64, ignored: u64, handled: u64) -> Stat {
        let text = format!(
            "7 (a) S 1 7 7 0 -1 0 90 {faults_of_reaped} 0 0 0 0 0 0 20 0 1 0 77 0 0 0 0 0 0 0 0 0 0 {ignored} {handled}"
        );
        Stat::parse(&text).unwrap()
    }

    #[test]
    fn children_that_were_reaped_or_would_not_show_are_a_doubt() {
        assert_eq!(stat_with(0, 0, 0).children, Childhood::NoneReaped);
        assert_eq!(stat_with(0, !SIGCHLD_BIT, !SIGCHLD_BIT).children, Childhood::NoneReaped);
        for doubtful in [stat_with(1, 0, 0), stat_with(0, SIGCHLD_BIT, 0), stat_with(0, 0, SIGCHLD_BIT)] {
            assert_eq!(doubtful.children, Childhood::Doubtful);
        }
    }

    #[test]
    fn a_torn_stat_is_no_stat() {
        assert_eq!(Stat::parse("7 (a) S 1"), None);
        assert_eq!(Stat::parse(""), None);
    }
}
