//! The choice of a port, and ports that strangers take between the choice and the bind.

use super::{address, expect_conflict, get, is_unvisited, planned_port, sit_on, stop, us};
use rekindle_smoke::{Launcher, TestEnv, programs, tests, wait};
use std::collections::BTreeSet;
use std::net::TcpListener;

tests![
    a_port_that_a_stranger_took_is_replaced,
    a_worker_that_found_its_port_taken_gets_another,
    three_lost_ports_are_the_end,
    two_launchers_agree_on_a_port,
    a_taken_port_is_not_used_again,
];

/// Takes each port of session `s` that is not yet taken, as soon as the plan names the port.
fn take_next(env: &TestEnv, taken: &[TcpListener]) -> TcpListener {
    let known: Vec<u16> = taken.iter().map(port_of).collect();
    let port =
        wait::for_some("another port is planned", || planned_port(env).filter(|it| !known.contains(it)));
    sit_on(port)
}

fn port_of(listener: &TcpListener) -> u16 {
    listener.local_addr().expect("a listener has an address").port()
}

fn launch(env: &TestEnv, command: &[&str]) -> Launcher {
    env.launch_up("s", &["--address", "tcp:0"], command)
}

/// The worker serves once the file `go` exists.
fn a_port_that_a_stranger_took_is_replaced() {
    let env = TestEnv::new();
    let script =
        "while [ ! -e go ]; do sleep 0.01; done; exec \"$0\" -m http.server \"$PORT\" --bind 127.0.0.1";
    let launcher = launch(&env, &["sh", "-c", script, &programs::python()]);
    let stranger = take_next(&env, &[]);
    wait::until("another port is planned", || planned_port(&env) != Some(port_of(&stranger)));
    env.file("go", "");
    let started = launcher.finish().expect_running("started");
    assert_ne!(address(&started).port(), port_of(&stranger), "{started}");
    assert!(get(address(&started)).contains("200"));
    assert!(is_unvisited(&stranger), "a stranger gets no connection");
    stop(&env);
}

/// The worker itself finds its first port taken, and ends; the stranger of the first start is a process outside of the session.
fn a_worker_that_found_its_port_taken_gets_another() {
    let env = TestEnv::new();
    // In one breath: the port is taken, and the worker ends because of that. No look need see both.
    let script = "
import os, socket, sys, time
port = int(os.environ['PORT'])
if not os.path.exists('first'):
    open('first', 'w').write(str(port))
    while not os.path.exists('taken'):
        time.sleep(0.005)
try:
    listener = socket.create_server(('127.0.0.1', port))
except OSError:
    sys.exit(98)
listener.listen()
while True:
    listener.accept()
";
    let launcher = launch(&env, &[&programs::python(), "-c", script]);
    wait::until_there(&env.path("first"));
    let stranger = take_next(&env, &[]);
    env.file("taken", "");
    let started = launcher.finish().expect_running("started");
    assert_ne!(address(&started).port(), port_of(&stranger), "{started}");
    assert_eq!(started.json["generation"], 2, "{started}");
    stop(&env);
}

fn three_lost_ports_are_the_end() {
    let env = TestEnv::new();
    let launcher = launch(&env, &["sleep", "1000"]);
    let mut taken = Vec::new();
    for _ in 0..4 {
        taken.push(take_next(&env, &taken));
    }
    expect_conflict(&env, launcher.finish(), &us());
    let ports: BTreeSet<u16> = taken.iter().map(port_of).collect();
    assert_eq!(ports.len(), 4);
    assert!(taken.iter().all(is_unvisited), "a stranger gets no connection");
    env.assert_nothing_left("s");
}

fn two_launchers_agree_on_a_port() {
    let env = TestEnv::new();
    let python = programs::python();
    let command = [&python, "-m", "http.server", "{port}", "--bind", "127.0.0.1"];
    for _ in 0..4 {
        let replies = [launch(&env, &command), launch(&env, &command)].map(Launcher::finish);
        let mut outcomes = replies.each_ref().map(|reply| reply.text("outcome"));
        outcomes.sort_unstable();
        assert_eq!(outcomes, ["attached", "started"], "{replies:?}");
        assert_eq!(address(&replies[0]), address(&replies[1]), "{replies:?}");
        stop(&env);
    }
}

fn a_taken_port_is_not_used_again() {
    let env = TestEnv::new();
    let python = programs::python();
    let command = [&python, "-m", "http.server", "{port}", "--bind", "127.0.0.1"];
    let first = address(&launch(&env, &command).finish().expect_running("started"));
    stop(&env);
    let stranger = sit_on(first.port());
    let second = address(&launch(&env, &command).finish().expect_running("started"));
    assert_ne!(first, second);
    assert!(is_unvisited(&stranger), "a stranger gets no connection");
    stop(&env);
}
