//! A worker that had been ready and is silent for a moment: a reload that binds the socket anew.

use nix::sys::signal::Signal;
use rekindle_smoke::{TestEnv, procs, programs, tests, wait};

tests![
    a_worker_that_binds_its_socket_anew_is_waited_for,
    a_worker_that_ends_meanwhile_is_started_anew,
    a_worker_that_stays_silent_is_neither_ended_nor_doubled,
];

/// Answers on its socket. At SIGUSR1 removes the socket, and after a while performs the action of the second argument.
const RELOADING: &str = "
import os, signal, socket, sys, time
def listen():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen()
    return listener
listener = listen()
def reload(*_):
    global listener
    listener.close()
    os.unlink(sys.argv[1])
    time.sleep(0.3)
    if sys.argv[2] == 'exit':
        os._exit(0)
    if sys.argv[2] == 'rebind':
        listener = listen()
signal.signal(signal.SIGUSR1, reload)
while True:
    signal.pause()
";

fn command<'a>(python: &'a str, then: &'a str) -> [&'a str; 5] {
    [python, "-c", RELOADING, "{socket}", then]
}

/// Starts a worker and makes the worker remove its socket.
fn reloading(env: &TestEnv, command: &[&str]) -> procs::Pid {
    let pid = env.up("s", command).expect_running("started").pid();
    procs::send(pid, Signal::SIGUSR1);
    wait::until("its socket is removed", || !env.socket("s").exists());
    pid
}

/// U12.
fn a_worker_that_binds_its_socket_anew_is_waited_for() {
    let (env, python) = (TestEnv::new(), programs::python());
    let command = command(&python, "rebind");
    let pid = reloading(&env, &command);
    let reply = env.up("s", &command).expect_running("attached");
    assert_eq!((reply.pid(), &reply.json["generation"]), (pid, &1.into()), "{reply}");
    assert_eq!(env.processes(), [pid]);
    env.stop("s").expect(0, "stopped");
}

/// U12: a gone worker is not waited for.
fn a_worker_that_ends_meanwhile_is_started_anew() {
    let (env, python) = (TestEnv::new(), programs::python());
    let command = command(&python, "exit");
    let pid = reloading(&env, &command);
    let reply = env.up("s", &command).expect_running("started");
    assert_eq!(&reply.json["generation"], 2, "{reply}");
    assert!(!procs::is_running(pid) && env.processes() == [reply.pid()], "{reply}");
    env.stop("s").expect(0, "stopped");
}

/// U12: however many wait, and however long.
fn a_worker_that_stays_silent_is_neither_ended_nor_doubled() {
    let (env, python) = (TestEnv::new(), programs::python());
    let command = command(&python, "stay silent");
    let pid = reloading(&env, &command);
    let waiting: Vec<_> = (0..3).map(|_| env.launch_up("s", &["--timeout", "1s"], &command)).collect();
    for launcher in waiting {
        let reply = launcher.finish().expect_rejected("worker-unresponsive");
        assert_eq!(reply.pid(), pid, "{reply}");
    }
    assert_eq!(env.processes(), [pid]);
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}
