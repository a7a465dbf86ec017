//! Many launchers of one session at once, each a process.

use nix::sys::signal::Signal;
use rekindle_smoke::{Launcher, Reply, TestEnv, cli, procs, tests, wait};
use std::collections::BTreeSet;

tests![
    twenty_launchers_start_one_worker,
    twenty_launchers_replace_one_crashed_worker,
    twenty_launchers_and_a_killed_one_start_one_worker,
];

const LAUNCHERS: usize = 20;
const ROUNDS: u64 = 8;

fn launch(env: &TestEnv) -> Launcher {
    env.launch_up("s", &["--timeout", "60s"], &[&cli::binary_arg(), "worker"])
}

fn count(replies: &[Reply], outcome: &str) -> usize {
    replies.iter().filter(|reply| reply.text("outcome") == outcome).count()
}

/// All launchers at once agree on one worker; returns the worker.
fn all_agree(env: &TestEnv, expected: [(&str, usize); 2]) -> procs::Pid {
    let launchers: Vec<Launcher> = (0..LAUNCHERS).map(|_| launch(env)).collect();
    let replies: Vec<Reply> = launchers.into_iter().map(Launcher::finish).collect();
    let all: Vec<String> = replies.iter().map(ToString::to_string).collect();
    for (outcome, number) in expected {
        assert_eq!(count(&replies, outcome), number, "{outcome}: {all:#?}");
    }
    let pids: BTreeSet<procs::Pid> = replies.iter().map(Reply::pid).collect();
    assert_eq!(pids.len(), 1, "{all:#?}");
    let pid = *pids.first().expect("there is one");
    assert_eq!(env.processes(), [pid], "one worker runs");
    assert!(!env.of("s", "claim").exists(), "nobody keeps a claim");
    pid
}

/// T01.
fn twenty_launchers_start_one_worker() {
    for _ in 0..ROUNDS {
        let env = TestEnv::new();
        all_agree(&env, [("started", 1), ("attached", LAUNCHERS - 1)]);
        env.stop("s").expect(0, "stopped");
        env.assert_nothing_left("s");
    }
}

/// T01, S1.
fn twenty_launchers_replace_one_crashed_worker() {
    let env = TestEnv::new();
    for round in 1..=ROUNDS {
        let pid = all_agree(&env, [("started", 1), ("attached", LAUNCHERS - 1)]);
        assert_eq!(env.record("s")["generation"], round);
        procs::send(pid, Signal::SIGKILL);
        wait::until("it is gone", || !procs::is_running(pid));
    }
}

/// T01, T02: the first launcher dies in the middle of its start.
fn twenty_launchers_and_a_killed_one_start_one_worker() {
    for _ in 0..ROUNDS {
        let env = TestEnv::new();
        let doomed = launch(&env);
        let pid = env.worker_pid("s");
        doomed.signal(Signal::SIGKILL);
        doomed.finish();
        let launchers: Vec<Launcher> = (0..LAUNCHERS).map(|_| launch(&env)).collect();
        for reply in launchers.into_iter().map(Launcher::finish) {
            assert!(["attached", "adopted"].contains(&reply.text("outcome")), "{reply}");
            assert_eq!(reply.pid(), pid, "{reply}");
        }
        assert_eq!(env.processes(), [pid], "one worker runs");
    }
}
