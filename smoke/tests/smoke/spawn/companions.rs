//! Who belongs to a worker besides its leader is signalled with it, whatever they did to be forgotten.

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

/// Forks as its first argument says, and writes the second one, a file, once all is as it should be.
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

/// Starts a worker that forks in a certain way, tells it to end, and expects that all of it does, `processes` in number.
fn expect_all_signalled(how: &str, processes: usize) {
    let starts = Starts::new();
    let ready = starts.env.path("ready");
    let worker = starts.start("s", &[&programs::python(), "-c", FORK, how, &ready.display().to_string()]);
    wait::until("all of it runs", || ready.exists() && starts.env.processes().len() == processes);
    worker::signal(&worker, KillSignal::Term).expect("it can be signalled");
    wait::until("all of it is gone", || starts.env.processes().is_empty());
    assert!(!procs::is_running(pid_of(&worker)) && worker.is_gone());
}

/// P22: by its session alone it is found.
fn a_child_that_let_go_of_everything_is_signalled() {
    expect_all_signalled("child", 2);
}

/// P22: the process that made it has ended and was reaped, so it is nobody's child that we know of.
fn an_orphan_that_let_go_of_everything_is_signalled() {
    expect_all_signalled("orphan", 2);
}

/// P22: who ignores SIGCHLD never sees the end of a child.
fn an_orphan_that_was_reaped_unseen_is_signalled() {
    expect_all_signalled("unseen", 2);
}

/// P22, T19: by the lifeline alone it is found.
fn a_daemon_beside_a_polite_leader_is_signalled() {
    expect_all_signalled("daemon", 2);
}

/// P22: nobody could have seen it before; what it holds is seen afterwards.
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
