//! All members of a worker are signalled with the leader, despite any attempt to hide.

use rekindle_adapters::worker;
use rekindle_core::KillSignal;
use rekindle_smoke::starts::pid_of;
use rekindle_smoke::{Starts, procs, programs, tests, wait};

tests![
    a_child_that_let_go_of_everything_is_signalled,
    an_orphan_that_let_go_of_everything_is_signalled,
    an_orphan_that_was_reaped_unseen_is_signalled,
    a_daemon_beside_a_polite_leader_is_signalled,
    a_child_that_is_made_when_its_parent_is_told_to_end_is_stopped,
];

/// Forks in the way of the first argument, and writes the second argument, a file, when prepared.
const FORK: &str = "
import os, signal, sys, time
how, ready = sys.argv[1:]
def report():
    open(ready, 'w').close()
def stay(signum=None, frame=None):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        time.sleep(1000)
def hide():
    os.setpgid(0, 0)
    os.close(10)
    report()
    stay()
def daemonise():
    os.setsid()
    report()
    stay()
def leave_a_child(signum, frame):
    if os.fork() == 0:
        stay()
    os._exit(0)
if how == 'child':
    if os.fork() == 0:
        hide()
    stay()
if how == 'unseen':
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
if how == 'late':
    signal.signal(signal.SIGTERM, leave_a_child)
    report()
    while True:
        time.sleep(1000)
middle = os.fork()
if middle == 0:
    middle = os.getpid()
    if os.fork() == 0:
        while os.getppid() == middle:
            time.sleep(0.001)
        daemonise() if how == 'daemon' else hide()
    os._exit(0)
if how != 'unseen':
    os.waitpid(middle, 0)
stay()
";

/// Starts a worker that forks in a certain way, signals the worker, and expects the end of all `processes` processes.
fn expect_all_signalled(how: &str, processes: usize) {
    let starts = Starts::new();
    let ready = starts.env.path("ready");
    let worker = starts.start("s", &[&programs::python(), "-c", FORK, how, &ready.display().to_string()]);
    wait::until("all of it runs", || ready.exists() && starts.env.processes().len() == processes);
    worker::signal(&worker, KillSignal::Term).expect("it can be signalled");
    wait::until("all of it is gone", || starts.env.processes().is_empty());
    assert!(!procs::is_running(pid_of(&worker)) && worker.is_gone());
}

/// P22: found by the process session alone.
fn a_child_that_let_go_of_everything_is_signalled() {
    expect_all_signalled("child", 2);
}

/// P22: the parent has ended and was reaped, so the orphan has no known parent.
fn an_orphan_that_let_go_of_everything_is_signalled() {
    expect_all_signalled("orphan", 2);
}

/// P22: a process that ignores SIGCHLD never sees the end of a child.
fn an_orphan_that_was_reaped_unseen_is_signalled() {
    expect_all_signalled("unseen", 2);
}

/// P22, T19: found by the lifeline alone.
fn a_daemon_beside_a_polite_leader_is_signalled() {
    expect_all_signalled("daemon", 2);
}

/// P22: the child could not be seen before; afterwards its lifeline is seen.
fn a_child_that_is_made_when_its_parent_is_told_to_end_is_stopped() {
    let starts = Starts::new();
    let ready = starts.env.path("ready");
    let worker = starts.start("s", &[&programs::python(), "-c", FORK, "late", &ready.display().to_string()]);
    wait::until("it runs", || ready.exists());
    worker::signal(&worker, KillSignal::Term).expect("it can be signalled");
    wait::until("its leader is gone", || !procs::is_running(pid_of(&worker)));
    worker::signal(&worker, KillSignal::Kill).expect("it can be signalled");
    wait::until("all of it is gone", || starts.env.processes().is_empty());
    assert!(worker.is_gone());
}
