//! Starts stdio children in a test environment.

use crate::test_env::{CANARY, TestEnv};
use crate::{procs, wait};
use rekindle::stdio::{ChildStdin, ChildStdout};
use rekindle::{StdioChild, StdioLaunch, StdioStopped, StopPolicy};
use rekindle_core::ChildExit;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The exit of a child after SIGTERM, if the child has no handler.
pub const TERMINATED: ChildExit = ChildExit::Signal(15);
/// The exit of a child after SIGKILL.
pub const KILLED: ChildExit = ChildExit::Signal(9);

/// Ignores SIGTERM, then says `ready`, and goes on for ever.
pub const STUBBORN: [&str; 3] = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done"];

/// Graces longer than any test.
pub fn patient() -> StopPolicy {
    let long = Duration::from_secs(3600);
    StopPolicy { term_grace: long, kill_grace: long, ..StopPolicy::default() }
}

/// Gives a child time to end by itself after its stdin was closed.
pub fn gentle() -> StopPolicy {
    StopPolicy { stdin_grace: wait::FACT_TIMEOUT, ..patient() }
}

/// A SIGKILL right after SIGTERM.
pub fn abrupt() -> StopPolicy {
    StopPolicy { term_grace: Duration::ZERO, ..prompt() }
}

/// Sends SIGKILL soon.
pub fn prompt() -> StopPolicy {
    StopPolicy {
        term_grace: Duration::from_millis(100),
        kill_grace: wait::FACT_TIMEOUT,
        ..StopPolicy::default()
    }
}

/// A launch with processes that belong to the test environment.
pub fn launch(env: &TestEnv, command: &[&str]) -> StdioLaunch {
    let (program, args) = command.split_first().expect("a command has a program");
    StdioLaunch::new(*program).args(args.iter().copied()).env(CANARY, env.dir()).cwd(env.dir())
}

/// Starts a child.
///
/// # Panics
/// If the child does not start.
pub async fn spawn(env: &TestEnv, command: &[&str]) -> StdioChild {
    let started = wait::soon("it starts", StdioChild::spawn(launch(env, command))).await;
    started.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"))
}

/// The child's stdin and stdout.
///
/// # Panics
/// If a stream was taken before.
pub fn streams(child: &mut StdioChild) -> (ChildStdin, ChildStdout) {
    child.stdin.take().zip(child.stdout.take()).expect("they are there once")
}

/// Writes a text to a child.
///
/// # Panics
/// If the write fails.
pub async fn say(stdin: &mut ChildStdin, text: &str) {
    wait::soon("the child takes it", stdin.write_all(text.as_bytes())).await.expect("the child takes it");
}

/// Reads one line from a child.
///
/// # Panics
/// If no line arrives.
pub async fn hear(stdout: &mut ChildStdout) -> String {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let byte = wait::soon("the child says something", stdout.read_u8()).await;
        line.push(byte.unwrap_or_else(|error| panic!("it said {line:?}, then: {error}")));
    }
    String::from_utf8(line).expect("it speaks UTF-8")
}

/// Reads the rest of a child's output.
///
/// # Panics
/// If the output does not end.
pub async fn rest(stdout: &mut ChildStdout) -> String {
    let mut text = String::new();
    wait::soon("its output ends", stdout.read_to_string(&mut text)).await.expect("it speaks UTF-8");
    text
}

/// Waits for a child's exit.
///
/// # Panics
/// If the child does not exit.
pub async fn ended(child: &StdioChild) -> ChildExit {
    wait::soon("the child ends", child.wait()).await.expect("an exit can be waited for")
}

/// Stops a child.
///
/// # Panics
/// If the stop does not end.
pub async fn stop(child: &StdioChild, policy: &StopPolicy) -> StdioStopped {
    wait::soon("the stop ends", child.stop(policy)).await
}

/// Resolves when no process of the test environment runs and no zombie of ours is left.
pub async fn until_nothing_left(env: &TestEnv) {
    while !env.processes().is_empty() || procs::zombies_of_ours() > 0 {
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

/// Asserts that no process of the test environment is left, once the guardians have gone (a moment after their
/// children) and the last zombie is reaped.
///
/// # Panics
/// If a process stays.
pub fn assert_nothing_left(env: &TestEnv) {
    wait::until("no process of the env is left", || env.processes().is_empty());
    wait::until("no zombie is left", || procs::zombies_of_ours() == 0);
}

/// The peak memory of this process since [`forget_peak_memory`], in KiB.
///
/// # Panics
/// If the kernel gives no figure.
pub fn peak_memory_kib() -> u64 {
    memory_kib("VmHWM")
}

/// Resets the kernel's peak figure: the memory of earlier tests does not count.
///
/// # Panics
/// If the kernel refuses.
pub fn forget_peak_memory() {
    fs::write("/proc/self/clear_refs", "5").expect("the kernel forgets");
}

/// The resident memory of this process, in KiB.
///
/// # Panics
/// If the kernel gives no figure.
pub fn resident_kib() -> u64 {
    memory_kib("VmRSS")
}

fn memory_kib(field: &str) -> u64 {
    let us = std::process::id().try_into().expect("a pid is an i32");
    let text = procs::status(us, field).expect("the kernel says it");
    text.trim_end_matches(" kB").parse().expect("a number of kB")
}

/// Makes a file executable.
///
/// # Panics
/// If the mode cannot be changed.
pub fn make_executable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .expect("a test environment's files are ours");
}
