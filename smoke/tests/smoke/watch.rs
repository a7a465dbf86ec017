//! Watching sessions: the exit of a worker, events as they happen, the status for scripts, and signals.

pub(crate) mod events;
pub(crate) mod removal;
pub(crate) mod signal;
pub(crate) mod status;
pub(crate) mod wait;

rekindle_smoke::rooms![wait, events, status, signal, removal];

use nix::sys::signal::Signal;
use rekindle_smoke::procs::{self, Pid};
use rekindle_smoke::wait as facts;
use rekindle_smoke::{Reply, TestEnv};
use std::fs;

/// Starts a worker that runs until a signal ends it.
fn up_sleeper(env: &TestEnv, session: &str) -> Pid {
    env.up_with(session, &["--address", "none", "--settle", "1ms"], &["sleep", "1000"])
        .expect_running("started")
        .pid()
}

/// Waits until a process of ours watches another by a pidfd.
fn until_it_watches(watcher: Pid) {
    facts::until("the watcher holds a pidfd", || {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{watcher}/fd")) else { return false };
        let mut targets = descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        targets.any(|target| target.to_string_lossy().contains("pidfd"))
    });
}

/// How often the threads of a process went to sleep and woke up again.
fn wake_ups(pid: Pid) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    let of_task = |status: String| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse().ok()
    };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("status")).ok())
        .filter_map(of_task)
        .sum()
}

/// Asserts that a process sleeps while `other_things` happen.
fn assert_it_sleeps(watcher: Pid, other_things: impl Fn()) {
    facts::until("the watcher sleeps", || {
        let before = wake_ups(watcher);
        other_things();
        procs::state(watcher) == Some('S') && wake_ups(watcher) == before
    });
    let before = wake_ups(watcher);
    (0..5).for_each(|_| other_things());
    assert_eq!(wake_ups(watcher), before, "nothing happened to its sessions");
}

/// A session of another state directory lives and dies.
fn live_elsewhere() {
    let other = TestEnv::new();
    up_sleeper(&other, "other");
    other.stop("other").expect(0, "stopped");
}

/// Verbs that look at the sessions change nothing.
fn look_around(env: &TestEnv) {
    for verb in [&["ls"][..], &["status"], &["show", "s"]] {
        let reply = env.rekindle(verb);
        assert_eq!(reply.code, Some(0), "{reply}");
    }
}

/// Ends a worker from outside, as an operator or the kernel would.
fn end(pid: Pid, signal: Signal) {
    procs::send(pid, signal);
    facts::until("the worker has ended", || !procs::is_running(pid));
}

/// The record of a session, as `show` tells it.
fn shown(env: &TestEnv, session: &str) -> Reply {
    let reply = env.rekindle(["show", session]);
    assert_eq!(reply.code, Some(0), "{reply}");
    reply
}
