//! Facts about processes from `/proc`. An unreadable process counts as absent, since processes may end at any time.

use nix::sys::signal::{Signal, kill, killpg};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A process, named by pid.
pub type Pid = i32;

/// Every process except this one.
pub fn others() -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &Pid| pid.unsigned_abs() != std::process::id()).collect()
}

/// Sends a signal; a missing process is ignored.
pub fn send(pid: Pid, signal: Signal) {
    let _ = kill(nix::unistd::Pid::from_raw(pid), signal);
}

/// Sends a signal to every process of a group; a missing group is ignored.
pub fn send_to_group(group: Pid, signal: Signal) {
    let _ = killpg(nix::unistd::Pid::from_raw(group), signal);
}

/// The fields of `/proc/PID/stat` from the third on: state, parent, group, session, ...
fn stat(pid: Pid) -> Option<Vec<String>> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_ascii_whitespace().map(str::to_owned).collect())
}

/// The state letter: `Z` has exited and waits to be reaped, `T` is stopped.
pub fn state(pid: Pid) -> Option<char> {
    stat(pid)?.first()?.chars().next()
}

/// Whether the process exists and has not exited.
pub fn is_running(pid: Pid) -> bool {
    state(pid).is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// The process group, named by its leader's pid.
pub fn group(pid: Pid) -> Option<Pid> {
    stat(pid)?.get(2)?.parse().ok()
}

/// The process session, named by its leader's pid.
pub fn session(pid: Pid) -> Option<Pid> {
    stat(pid)?.get(3)?.parse().ok()
}

/// The parent.
pub fn parent(pid: Pid) -> Option<Pid> {
    stat(pid)?.get(1)?.parse().ok()
}

/// The start time, in clock ticks since boot.
pub fn start_time(pid: Pid) -> Option<u64> {
    stat(pid)?.get(19)?.parse().ok()
}

/// The inode number of a namespace of the process: `pid`, `mnt`, `time`.
pub fn namespace(pid: Pid, kind: &str) -> Option<u64> {
    let link = fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok()?;
    link.to_str()?.strip_prefix(kind)?.strip_prefix(":[")?.strip_suffix(']')?.parse().ok()
}

/// The pid in the innermost pid namespace of the process.
pub fn innermost_pid(pid: Pid) -> Option<Pid> {
    status(pid, "NSpid")?.split_ascii_whitespace().last()?.parse().ok()
}

/// The number of this process's children waiting to be reaped.
pub fn zombies_of_ours() -> usize {
    zombies_of(std::process::id().try_into().expect("a pid is an i32"))
}

/// The number of a process's children waiting to be reaped.
pub fn zombies_of(parent: Pid) -> usize {
    let parent = parent.to_string();
    let is_its_own = |fields: &Vec<String>| fields[0] == "Z" && fields[1] == parent;
    others().into_iter().filter_map(stat).filter(is_its_own).count()
}

/// The running children of a process.
pub fn children(parent: Pid) -> Vec<Pid> {
    others().into_iter().filter(|pid| self::parent(*pid) == Some(parent) && is_running(*pid)).collect()
}

/// A line of `/proc/PID/status`.
pub fn status(pid: Pid, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// A signal set of `/proc/PID/status`: `SigIgn`, `SigBlk` or `SigCgt`.
pub fn signals(pid: Pid, set: &str) -> Option<u64> {
    u64::from_str_radix(&status(pid, set)?, 16).ok()
}

/// Whether the process has a handler for `signal`.
pub fn catches(pid: Pid, signal: Signal) -> bool {
    signals(pid, "SigCgt").is_some_and(|set| set & (1 << (signal as u32 - 1)) != 0)
}

/// The initial environment of the process.
pub fn environment(pid: Pid) -> BTreeMap<String, String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let variables = bytes.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    variables.filter_map(|it| it.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()))).collect()
}

/// The open descriptors, and the target of each.
pub fn descriptors(pid: Pid) -> BTreeMap<i32, PathBuf> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return BTreeMap::new() };
    let number = |entry: &fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    entries.flatten().filter_map(|entry| Some((number(&entry)?, fs::read_link(entry.path()).ok()?))).collect()
}

/// Whether the process runs `program`; before exec a child runs the program of its parent.
pub fn runs(pid: Pid, program: &str) -> bool {
    let exe = fs::read_link(format!("/proc/{pid}/exe"));
    // exec sets the program first and the environment last, so a program without an environment is in the middle of
    // exec.
    exe.is_ok_and(|exe| exe.ends_with(program)) && !environment(pid).is_empty()
}

/// The number of open descriptors of this process.
pub fn descriptors_of_ours() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// The command line, with spaces between the arguments.
pub fn command_line(pid: Pid) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_owned()
}

/// The running processes of `dir`: processes with `dir` in the environment or the arguments, with a working directory
/// below `dir`, or with an open file there.
pub fn touching(dir: &Path) -> Vec<Pid> {
    others().into_iter().filter(|pid| touches(*pid, dir) && is_running(*pid)).collect()
}

fn touches(pid: Pid, dir: &Path) -> bool {
    let named_in = |file: &str| {
        let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let name = dir.as_os_str().as_bytes();
        bytes.windows(name.len()).any(|window| window == name)
    };
    let works_there = || fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
    named_in("environ")
        || named_in("cmdline")
        || works_there()
        || descriptors(pid).values().any(|target| target.starts_with(dir))
}
