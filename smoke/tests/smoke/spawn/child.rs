//! A child from birth to end: started, signalled, observed, reaped.

use nix::sys::signal::Signal;
use rekindle_adapters::worker;
use rekindle_core::{ChildExit, KillSignal, Lifeline};
use rekindle_smoke::starts::pid_of;
use rekindle_smoke::{Starts, procs, programs, tests, wait};
use rustix::io::fcntl_dupfd_cloexec;
use std::fs;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::thread;

tests![
    spawn_returns_on_a_started_process,
    a_termination_is_observed,
    an_exit_before_anyone_watched_is_observed,
    any_number_of_watches_see_the_exit,
    a_stopped_child_hears_a_termination,
    all_of_a_group_is_signalled,
    a_leader_that_daemonised_has_not_exited,
    no_zombie_is_left_behind,
    a_child_that_nobody_awaits_is_reaped,
    a_large_parent_can_spawn,
    a_start_time_is_the_kernels,
    a_birth_leaves_the_launchers_descriptors_alone,
    many_threads_start_workers_at_once,
];

/// The number of workers started and ended within one process.
const CYCLES: usize = 200;
/// The number of threads that start workers at once.
const THREADS: usize = 8;
/// An otherwise unused descriptor.
const HIGH: i32 = 900;
/// How often a watch is polled before it counts as waiting.
const POLLS: usize = 20;

fn expect_exit(worker: &rekindle_adapters::Worker) -> ChildExit {
    let exit = wait::run(async { wait::soon("the exit is observed", worker::await_exit(worker)).await });
    exit.expect("an exit can be watched")
}

fn spawn_returns_on_a_started_process() {
    let starts = Starts::new();
    let sleep = programs::find("sleep", "coreutils");
    let worker = starts.start("s", &[&sleep, "1000"]);
    let exe = fs::read_link(format!("/proc/{}/exe", pid_of(&worker))).expect("it runs");
    assert_eq!(exe, fs::canonicalize(&sleep).expect("the program is there"));
    assert_eq!(worker.ask_lifeline(), Lifeline::Held);
    let mark = fs::read(starts.env.of("s", "lifeline")).expect("the lifeline is there");
    let mark: serde_json::Value = serde_json::from_slice(&mark).expect("the mark is whole");
    assert_eq!(mark["pid"], pid_of(&worker));
    assert_eq!(mark["start_time"], procs::start_time(pid_of(&worker)).expect("it runs"));
    assert_eq!((&mark["session"], &mark["generation"]), (&"s".into(), &1.into()));
}

/// The start time comes from the clock unless a tick passes; a tick passes in about one birth of a hundred.
fn a_start_time_is_the_kernels() {
    let starts = Starts::new();
    for _ in 0..CYCLES {
        let worker = starts.start("s", &["sleep", "1000"]);
        let identity = worker.identity().expect("a child has an identity");
        let told = identity.start_time.expect("a child's start time is known").ticks();
        assert_eq!(Some(told), procs::start_time(pid_of(&worker)));
        worker::signal(&worker, KillSignal::Kill).expect("it can be signalled");
        expect_exit(&worker);
    }
}

/// A child shares the descriptors until it has a table of its own.
fn a_birth_leaves_the_launchers_descriptors_alone() {
    let starts = Starts::new();
    let low = fs::File::open("/etc/passwd").expect("it is there");
    let high = fcntl_dupfd_cloexec(&low, HIGH).map(fs::File::from).expect("there are descriptors so high");
    let worker = starts.start("s", &["sleep", "1000"]);
    for (name, file) in [("low", &low), ("high", &high)] {
        assert!(file.metadata().is_ok(), "our {name} descriptor is closed");
        let its = procs::descriptors(pid_of(&worker));
        assert!(!its.contains_key(&file.as_raw_fd()), "the worker has our {name} descriptor: {its:?}");
    }
    worker::signal(&worker, KillSignal::Kill).expect("it can be signalled");
    expect_exit(&worker);
}

/// Each child runs on a separate stack until exec, however many are born at once.
fn many_threads_start_workers_at_once() {
    // One test environment for all threads: a test environment ends every process with a file there open, and an unborn
    // child has one.
    let starts = Starts::new();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (starts, session) = (&starts, format!("s{thread}"));
            scope.spawn(move || {
                for cycle in 0..CYCLES / THREADS {
                    let code = i32::try_from(cycle).expect("it is small");
                    let worker = starts.start(&session, &["sh", "-c", &format!("exit {code}")]);
                    assert_eq!(expect_exit(&worker), ChildExit::Code(code));
                }
            });
        }
    });
}

fn a_termination_is_observed() {
    let starts = Starts::new();
    let worker = starts.start("s", &["sleep", "1000"]);
    worker::signal(&worker, KillSignal::Term).expect("it can be signalled");
    assert_eq!(expect_exit(&worker), ChildExit::Signal(Signal::SIGTERM as i32));
    assert!(worker.is_gone());
    worker::signal(&worker, KillSignal::Kill).expect("what is gone needs no signal");
    starts.env.assert_no_process();
}

/// T18, P3.
fn an_exit_before_anyone_watched_is_observed() {
    let starts = Starts::new();
    let worker = starts.start("s", &["sh", "-c", "exit 7"]);
    wait::until("it has exited", || !procs::is_running(pid_of(&worker)));
    assert_eq!(expect_exit(&worker), ChildExit::Code(7));
    assert_eq!(expect_exit(&worker), ChildExit::Code(7), "an exit is not lost by asking");
}

fn any_number_of_watches_see_the_exit() {
    let starts = Starts::new();
    let worker = starts.start("s", &["sleep", "1000"]);
    wait::run(async {
        let (mut one, mut other) = (pin!(worker::await_exit(&worker)), pin!(worker::await_exit(&worker)));
        assert!(wait::is_pending(one.as_mut()).await && wait::is_pending(other.as_mut()).await);
        worker::signal(&worker, KillSignal::Kill).expect("it can be signalled");
        for watch in [one, other] {
            let exit = wait::soon("the exit is observed", watch).await.expect("an exit can be watched");
            assert_eq!(exit, ChildExit::Signal(Signal::SIGKILL as i32));
        }
    });
}

/// T20, P7: SIGTERM is followed by SIGCONT.
fn a_stopped_child_hears_a_termination() {
    let starts = Starts::new();
    let worker = starts.start("s", &["sleep", "1000"]);
    procs::send(pid_of(&worker), Signal::SIGSTOP);
    wait::until("it is stopped", || procs::state(pid_of(&worker)) == Some('T'));
    worker::signal(&worker, KillSignal::Term).expect("it can be signalled");
    assert_eq!(expect_exit(&worker), ChildExit::Signal(Signal::SIGTERM as i32));
}

/// P22: a leader's death leaves its group alive, and is no exit of the worker.
fn all_of_a_group_is_signalled() {
    let starts = Starts::new();
    let worker = starts.start("s", &["sh", "-c", "sleep 1000 & sleep 1000 & setsid sleep 1000 & wait"]);
    let is_sleep = |pid: &&i32| procs::runs(**pid, "sleep");
    wait::until("all of it runs", || starts.env.processes().iter().filter(is_sleep).count() == 3);
    procs::send(pid_of(&worker), Signal::SIGKILL);
    wait::until("the leader is gone", || !procs::is_running(pid_of(&worker)));
    assert!(!worker.is_gone(), "the others hold its lifeline");
    worker::signal(&worker, KillSignal::Term).expect("it can be signalled");
    assert_eq!(expect_exit(&worker), ChildExit::Signal(Signal::SIGKILL as i32));
    starts.env.assert_no_process();
}

/// T19, P4; rule 10 of the design.
fn a_leader_that_daemonised_has_not_exited() {
    let starts = Starts::new();
    let worker = starts.start("s", &["sh", "-c", "setsid sleep 1000 & exit 0"]);
    wait::until("the leader has exited", || !procs::is_running(pid_of(&worker)));
    wait::run(async {
        let mut watch = pin!(worker::await_exit(&worker));
        for _ in 0..POLLS {
            assert!(wait::is_pending(watch.as_mut()).await, "its lifeline is still held");
            tokio::task::yield_now().await;
        }
        let daemon = worker::members(&worker).expect("the processes can be listed");
        assert_eq!(daemon.len(), 1, "the daemon holds the lifeline");
        procs::send(daemon[0].as_raw(), Signal::SIGKILL);
        let exit = wait::soon("the end of the daemon is observed", watch).await;
        assert_eq!(exit.expect("an exit can be watched"), ChildExit::Code(0));
    });
    starts.env.assert_no_process();
}

/// T22, P9.
fn no_zombie_is_left_behind() {
    let starts = Starts::new();
    let descriptors = procs::descriptors_of_ours();
    for cycle in 0..CYCLES {
        let worker = starts.start("s", &["true"]);
        // A third is awaited, a third is dropped after the end, a third possibly before.
        match cycle % 3 {
            0 => assert_eq!(expect_exit(&worker), ChildExit::Code(0)),
            1 => wait::until("it has exited", || !procs::is_running(pid_of(&worker))),
            _ => {}
        }
        drop(worker);
    }
    wait::until("no zombie is left", || procs::zombies_of_ours() == 0);
    // The reaper's doorbell has two ends.
    wait::until("no descriptor is left", || procs::descriptors_of_ours() <= descriptors + 2);
}

/// T22, P9.
fn a_child_that_nobody_awaits_is_reaped() {
    let starts = Starts::new();
    let worker = starts.start("s", &["sleep", "1000"]);
    let pid = pid_of(&worker);
    drop(worker);
    assert!(procs::is_running(pid), "a watch that is dropped leaves its worker alone");
    procs::send(pid, Signal::SIGKILL);
    wait::until("it is reaped", || procs::state(pid).is_none());
}

/// 0.3 of the design: the child borrows the parent's memory instead of copying page tables.
fn a_large_parent_can_spawn() {
    const GIBIBYTE: usize = 1 << 30;
    let starts = Starts::new();
    let touched = vec![1_u8; GIBIBYTE];
    let worker = starts.start("s", &["sh", "-c", "exit 4"]);
    assert_eq!(expect_exit(&worker), ChildExit::Code(4));
    assert_eq!(touched[GIBIBYTE - 1], 1);
}
