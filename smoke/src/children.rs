//! Starts children that are spoken to over their standard streams, in a test environment.

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

/// What SIGTERM does to a child that does not care.
pub const TERMINATED: ChildExit = ChildExit::Signal(15);
/// What SIGKILL does.
pub const KILLED: ChildExit = ChildExit::Signal(9);

/// Says `ready` once it ignores SIGTERM, and goes on for ever.
pub const STUBBORN: [&str; 3] = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done"];

/// Graces that nobody gets to the end of.
pub fn patient() -> StopPolicy {
    let long = Duration::from_secs(3600);
    StopPolicy { term_grace: long, kill_grace: long, ..StopPolicy::default() }
}

/// Time to end by itself once its stdin is closed.
pub fn gentle() -> StopPolicy {
    StopPolicy { stdin_grace: wait::FACT_TIMEOUT, ..patient() }
}

/// A SIGKILL right after SIGTERM.
pub fn abrupt() -> StopPolicy {
    StopPolicy { term_grace: Duration::ZERO, ..prompt() }
}

/// A SIGKILL that comes soon.
pub fn prompt() -> StopPolicy {
    StopPolicy {
        term_grace: Duration::from_millis(100),
        kill_grace: wait::FACT_TIMEOUT,
        ..StopPolicy::default()
    }
}

/// A launch whose processes belong to the test environment.
pub fn launch(env: &TestEnv, command: &[&str]) -> StdioLaunch {
    let (program, args) = command.split_first().expect("a command has a program");
    StdioLaunch::new(*program).args(args.iter().copied()).env(CANARY, env.dir()).cwd(env.dir())
}

/// A child that runs.
///
/// # Panics
/// If it does not start.
pub async fn spawn(env: &TestEnv, command: &[&str]) -> StdioChild {
    let started = wait::soon("it starts", StdioChild::spawn(launch(env, command))).await;
    started.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"))
}

/// Both of its streams.
///
/// # Panics
/// If they were taken.
pub fn streams(child: &mut StdioChild) -> (ChildStdin, ChildStdout) {
    child.stdin.take().zip(child.stdout.take()).expect("they are there once")
}

/// Says something to a child.
///
/// # Panics
/// If it cannot be said.
pub async fn say(stdin: &mut ChildStdin, text: &str) {
    wait::soon("the child takes it", stdin.write_all(text.as_bytes())).await.expect("the child takes it");
}

/// One line of what a child says.
///
/// # Panics
/// If it says none.
pub async fn hear(stdout: &mut ChildStdout) -> String {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let byte = wait::soon("the child says something", stdout.read_u8()).await;
        line.push(byte.unwrap_or_else(|error| panic!("it said {line:?}, then: {error}")));
    }
    String::from_utf8(line).expect("it speaks UTF-8")
}

/// All that a child still says.
///
/// # Panics
/// If that does not end.
pub async fn rest(stdout: &mut ChildStdout) -> String {
    let mut text = String::new();
    wait::soon("its output ends", stdout.read_to_string(&mut text)).await.expect("it speaks UTF-8");
    text
}

/// How a child ended.
///
/// # Panics
/// If it does not.
pub async fn ended(child: &StdioChild) -> ChildExit {
    wait::soon("the child ends", child.wait()).await.expect("an exit can be waited for")
}

/// Stops a child.
///
/// # Panics
/// If that does not end.
pub async fn stop(child: &StdioChild, policy: &StopPolicy) -> StdioStopped {
    wait::soon("the stop ends", child.stop(policy)).await
}

/// Resolves when no process of the test environment runs and no zombie of ours is left.
pub async fn until_nothing_left(env: &TestEnv) {
    while !env.processes().is_empty() || procs::zombies_of_ours() > 0 {
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

/// Asserts that nothing of the test environment is left once its guardians have gone, which is a moment after their children, and
/// the last zombie is reaped.
///
/// # Panics
/// If something stays.
pub fn assert_nothing_left(env: &TestEnv) {
    wait::until("no process of the env is left", || env.processes().is_empty());
    wait::until("no zombie is left", || procs::zombies_of_ours() == 0);
}

/// The most memory that this process had since [`forget_peak_memory`], in KiB.
///
/// # Panics
/// If the kernel does not say.
pub fn peak_memory_kib() -> u64 {
    memory_kib("VmHWM")
}

/// Has the kernel begin anew: what others once needed is no measure.
///
/// # Panics
/// If the kernel does not.
pub fn forget_peak_memory() {
    fs::write("/proc/self/clear_refs", "5").expect("the kernel forgets");
}

/// The memory that this process has, in KiB.
///
/// # Panics
/// If the kernel does not say.
pub fn resident_kib() -> u64 {
    memory_kib("VmRSS")
}

fn memory_kib(field: &str) -> u64 {
    let us = std::process::id().try_into().expect("a pid is an i32");
    let text = procs::status(us, field).expect("the kernel says it");
    text.trim_end_matches(" kB").parse().expect("a number of kB")
}

/// Lets a file be executed.
///
/// # Panics
/// If that is impossible.
pub fn make_executable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a env's files are ours");
}
