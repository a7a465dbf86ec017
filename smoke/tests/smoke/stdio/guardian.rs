//! The guardian: a child does not outlive its supervisor, and no process is left behind.

use nix::sys::signal::Signal;
use rekindle::{StdioChild, StdioEnd, StopPolicy};
use rekindle_core::ChildExit;
use rekindle_smoke::children::{self, KILLED, STUBBORN, patient};
use rekindle_smoke::proxy::Proxy;
use rekindle_smoke::{TestEnv, procs, tests, wait};
use std::fs;
use std::thread;
use std::time::Duration;

tests![
    a_killed_supervisor_takes_its_child_along,
    a_crashed_supervisor_takes_its_child_along,
    an_orphan_is_asked_before_it_is_killed,
    an_orphan_that_ends_with_its_input_is_not_waited_for,
    a_thread_that_ends_leaves_its_child_alone,
    a_killed_guardian_takes_all_along,
    a_guardian_that_was_put_to_sleep_is_given_up,
    a_guardian_is_deaf,
    a_leader_that_was_killed_leaves_a_session_that_is_stopped,
    a_job_in_a_group_of_its_own_is_stopped,
    a_supervisor_that_lets_go_at_once_starts_nothing,
];

/// How often a supervisor is killed.
const KILLS: u32 = 100;

/// The delay added for each later round.
const STEP: Duration = Duration::from_micros(300);

/// A wrapper that passes no signal on, and is not replaced by its child.
const WRAPPED: [&str; 3] = ["sh", "-c", "sh -c 'echo ready; sleep 1000; true'; true"];
/// The same with a child that ignores SIGTERM, below a wrapper.
const WRAPPED_STUBBORN: [&str; 3] =
    ["sh", "-c", "sh -c \"trap '' TERM; echo ready; while :; do sleep 0.01; done\"; true"];
/// Reads its input, which ends with the supervisor; the wrapper ends as well.
const READER: [&str; 3] = ["sh", "-c", "echo ready; cat; true"];

/// Starts a program under a supervisor, waits for readiness, ends the supervisor, and waits until all processes are
/// gone.
fn is_gone_after(signal: Signal, program: &[&str]) {
    let env = TestEnv::new();
    let mut proxy = Proxy::start(&env, &["--term-grace", "50ms"], program);
    assert_eq!(proxy.hear(), "ready\n");
    assert!(env.processes().len() >= 3, "supervisor, guardian and child run");
    proxy.signal(signal);
    assert_eq!(proxy.finish().signal, Some(signal as i32));
    wait::until("nobody is left", || env.processes().is_empty());
}

/// T37, P12: with SIGKILL, 100 times of 100, also behind a wrapper, also if SIGTERM is ignored.
fn a_killed_supervisor_takes_its_child_along() {
    let programs = [WRAPPED, STUBBORN, READER, WRAPPED_STUBBORN];
    for program in programs.iter().cycle().take(KILLS as usize) {
        is_gone_after(Signal::SIGKILL, program);
    }
}

/// T37: a core dump ends every process that shares memory with the supervisor; the guardian shares none.
fn a_crashed_supervisor_takes_its_child_along() {
    for signal in [Signal::SIGABRT, Signal::SIGQUIT, Signal::SIGILL] {
        is_gone_after(signal, &WRAPPED);
        is_gone_after(signal, &STUBBORN);
    }
}

/// An orphan may save its state, and its whole process session gets SIGTERM.
fn an_orphan_is_asked_before_it_is_killed() {
    let env = TestEnv::new();
    // A shell reports the end of its command on stderr; without a reader, the shell would die of SIGPIPE.
    let script =
        "exec 2> /dev/null; trap 'echo asked > asked; exit' TERM; echo ready; while :; do sleep 0.01; done";
    let wrapped = format!("sh -c \"{script}\"; true");
    let mut proxy = Proxy::start(&env, &["--term-grace", "30s"], &["sh", "-c", &wrapped]);
    assert_eq!(proxy.hear(), "ready\n");
    proxy.signal(Signal::SIGKILL);
    wait::until("nobody is left", || env.processes().is_empty());
    assert_eq!(fs::read_to_string(env.path("asked")).expect("it was asked"), "asked\n");
}

/// A grace is an upper bound: an ended orphan is not waited for.
fn an_orphan_that_ends_with_its_input_is_not_waited_for() {
    let env = TestEnv::new();
    let mut proxy =
        Proxy::start(&env, &["--term-grace", "60m"], &["sh", "-c", "trap '' TERM; echo ready; cat"]);
    assert_eq!(proxy.hear(), "ready\n");
    proxy.signal(Signal::SIGKILL);
    wait::until("nobody is left", || env.processes().is_empty());
}

/// PDEATHSIG would fire at the end of the thread.
fn a_thread_that_ends_leaves_its_child_alone() {
    let env = TestEnv::new();
    wait::run(async {
        let runtime = tokio::runtime::Handle::current();
        let launch = children::launch(&env, &["cat"]);
        // The thread's runtime drives no I/O, so this thread has to yield.
        let starter = thread::spawn(move || runtime.block_on(StdioChild::spawn(launch)));
        while !starter.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut child = starter.join().expect("nobody panics").expect("it starts");
        let (mut stdin, mut stdout) = children::streams(&mut child);
        children::say(&mut stdin, "still there\n").await;
        assert_eq!(children::hear(&mut stdout).await, "still there\n");
        children::stop(&child, &patient()).await;
    });
    children::assert_nothing_left(&env);
}

/// The kernel ends the child, and we end the rest; the unobserved end is not reported as observed.
fn a_killed_guardian_takes_all_along() {
    let env = TestEnv::new();
    wait::run(async {
        let child =
            children::spawn(&env, &["sh", "-c", "trap '' TERM; sleep 1000 & sleep 1000 & wait"]).await;
        let is_sleep = |pid: &i32| procs::runs(*pid, "sleep");
        wait::until("all run", || env.processes().iter().filter(|pid| is_sleep(pid)).count() == 2);
        procs::send(child.guardian_pid().as_raw(), Signal::SIGKILL);
        assert_eq!(children::ended(&child).await, ChildExit::Unknown);
        let stopped = children::stop(&child, &patient()).await;
        assert_eq!((stopped.end, stopped.survivors), (StdioEnd::HadEnded, vec![]));
    });
    children::assert_nothing_left(&env);
}

/// T04: an unobserved end is not reported as an end, and survivors are named.
fn a_guardian_that_was_put_to_sleep_is_given_up() {
    let env = TestEnv::new();
    wait::run(async {
        let child = children::spawn(&env, &["sleep", "1000"]).await;
        let guardian = child.guardian_pid().as_raw();
        procs::send(guardian, Signal::SIGSTOP);
        wait::until("it sleeps", || procs::state(guardian) == Some('T'));
        let grace = Duration::from_millis(20);
        let policy =
            StopPolicy { stdin_grace: grace, term_grace: grace, kill_grace: grace, ..StopPolicy::default() };
        let stopped = children::stop(&child, &policy).await;
        assert_eq!((stopped.end, stopped.exit), (StdioEnd::GaveUp, None));
        assert_eq!(stopped.survivors, [child.pid()]);
        procs::send(guardian, Signal::SIGCONT);
        assert!(
            matches!(children::ended(&child).await, ChildExit::Signal(9 | 15)),
            "it does then what it was told"
        );
    });
    wait::until("nobody is left", || env.processes().is_empty());
    children::assert_nothing_left(&env);
}

/// A guardian reacts to SIGKILL only, and has no controlling terminal.
fn a_guardian_is_deaf() {
    let env = TestEnv::new();
    wait::run(async {
        let mut child = children::spawn(&env, &["cat"]).await;
        let guardian = child.guardian_pid().as_raw();
        for signal in Signal::iterator().filter(|it| !matches!(it, Signal::SIGKILL | Signal::SIGSTOP)) {
            procs::send(guardian, signal);
        }
        let (mut stdin, mut stdout) = children::streams(&mut child);
        children::say(&mut stdin, "still there\n").await;
        assert_eq!(children::hear(&mut stdout).await, "still there\n");
        assert!(procs::is_running(guardian));
        assert_eq!(procs::session(guardian), Some(guardian));
        // A signal to the child's group does not reach the guardian.
        procs::send_to_group(child.pid().as_raw(), Signal::SIGKILL);
        assert_eq!(children::ended(&child).await, KILLED);
    });
    wait::until("nobody is left", || env.processes().is_empty());
    children::assert_nothing_left(&env);
}

/// P22, P14: the group of a killed leader is signalled before the leader is reaped.
fn a_leader_that_was_killed_leaves_a_session_that_is_stopped() {
    let env = TestEnv::new();
    wait::run(async {
        let child = children::spawn(&env, &["sh", "-c", "sleep 1000 & sleep 1000 & wait"]).await;
        let is_sleep = |pid: &i32| procs::runs(*pid, "sleep");
        let sleeps = || env.processes().iter().filter(|pid| is_sleep(pid)).count();
        wait::until("all run", || sleeps() == 2);
        procs::send(child.pid().as_raw(), Signal::SIGKILL);
        assert_eq!(children::ended(&child).await, KILLED);
        assert_eq!((sleeps(), procs::state(child.pid().as_raw())), (2, Some('Z')), "its name is held");
        let stopped = children::stop(&child, &patient()).await;
        assert_eq!((stopped.end, stopped.exit), (StdioEnd::Terminated, Some(KILLED)));
    });
    children::assert_nothing_left(&env);
}

/// A shell with job control gives each job a group; they are of the session all the same.
fn a_job_in_a_group_of_its_own_is_stopped() {
    for policy in [patient(), children::prompt()] {
        let env = TestEnv::new();
        wait::run(async {
            let script = "set -m; sleep 1000 & echo $!; wait";
            let mut child = children::spawn(&env, &["bash", "-c", script]).await;
            let (_stdin, mut stdout) = children::streams(&mut child);
            let job: i32 = children::hear(&mut stdout).await.trim().parse().expect("it says a pid");
            wait::until("it has a group of its own", || procs::group(job) == Some(job));
            children::stop(&child, &policy).await;
            wait::until("it is gone", || !procs::is_running(job));
        });
        children::assert_nothing_left(&env);
    }
}

/// However early the supervisor ends: the guardian comes first, and the child only once guarded.
fn a_supervisor_that_lets_go_at_once_starts_nothing() {
    for round in 0..KILLS {
        let env = TestEnv::new();
        let proxy = Proxy::start(&env, &["--term-grace", "50ms"], &["sh", "-c", "sleep 1000; true"]);
        // At another step of the start each time.
        thread::sleep(STEP.saturating_mul(round));
        drop(proxy);
        wait::until("nobody is left", || env.processes().is_empty());
    }
}
