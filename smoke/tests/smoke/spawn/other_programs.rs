//! Third-party programs as workers: started, attached, used, stopped, and nothing left.

use nix::sys::signal::Signal;
use rekindle_core::Lifeline;
use rekindle_smoke::{TestEnv, procs, programs, tests, wait};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Output;

tests![
    redis_server,
    ssh_agent_in_the_foreground,
    ssh_agent_as_a_daemon,
    pythons_socketserver,
    a_python_worker_that_closes_all_it_inherited,
    a_python_worker_that_daemonises,
    socat_that_forks_for_each_client,
    the_reference_worker_is_called,
];

/// The whole life of a worker; `talk` proves that the right program answers.
fn lives(command: &[&str], talk: impl Fn(&TestEnv, &Path)) {
    let env = TestEnv::new();
    let socket = env.socket("s");
    let pid = env.up("s", command).expect_running("started").pid();
    talk(&env, &socket);
    let again = env.up("s", command).expect_running("attached");
    assert_eq!((again.pid(), &again.json["program_differs"]), (pid, &false.into()), "{again}");
    talk(&env, &socket);
    let list = env.rekindle(["ls"]);
    assert_eq!(
        (&list.json["sessions"][0]["state"], &list.json["sessions"][0]["pid"]),
        (&"live".into(), &pid.into()),
        "{list}"
    );
    let stopped = env.stop("s").expect(0, "stopped");
    assert_eq!(stopped.pid(), pid, "{stopped}");
    assert!(!procs::is_running(pid), "{stopped}");
    env.assert_nothing_left("s");
    // And once more, as the next generation.
    let third = env.up("s", command).expect_running("started");
    assert_eq!(third.json["generation"], 2, "{third}");
    talk(&env, &socket);
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

fn said(output: &Output) -> String {
    let bytes = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

fn redis_server() {
    let server = programs::find("redis-server", "redis-server");
    let client = programs::find("redis-cli", "redis-tools");
    let command = [server.as_str(), "--port", "0", "--unixsocket", "{socket}", "--save", ""];
    lives(&command, |env, socket| {
        let output = env.command(&client).arg("-s").arg(socket).arg("PING").output();
        assert_eq!(said(&output.expect("redis-cli can be started")), "PONG");
    });
}

/// An agent without keys says so, and exits with 1.
fn expect_agent(env: &TestEnv, socket: &Path) {
    let client = programs::find("ssh-add", "openssh-client");
    let output = env.command(client).arg("-l").env("SSH_AUTH_SOCK", socket).output();
    let output = output.expect("ssh-add can be started");
    assert_eq!(said(&output), "The agent has no identities.");
    assert_eq!(output.status.code(), Some(1));
}

/// ssh-agent forbids inspection: /proc does not show its descriptors.
fn ssh_agent_in_the_foreground() {
    let agent = programs::find("ssh-agent", "openssh-client");
    lives(&[&agent, "-D", "-a", "{socket}"], expect_agent);
}

/// T19, P4: the started process has exited, and the daemon cannot be inspected.
fn ssh_agent_as_a_daemon() {
    let agent = programs::find("ssh-agent", "openssh-client");
    let command = [agent.as_str(), "-a", "{socket}"];
    let env = TestEnv::new();
    let socket = env.socket("s");
    // ssh-agent listens before its fork, so either process may be named.
    env.up("s", &command).expect(0, "started");
    expect_agent(&env, &socket);
    let leader = env.worker_pid("s");
    wait::until("the process that was started has left", || !procs::is_running(leader));
    let daemon = env.processes();
    assert_eq!(daemon.len(), 1, "{daemon:?}");
    // Only root may inspect the daemon. For any other user the lifeline's holder has no name.
    let is_opaque = procs::descriptors(daemon[0]).is_empty();
    let pid = if is_opaque { Value::Null } else { daemon[0].into() };
    let reply = env.up("s", &command).expect(0, "attached");
    assert_eq!(reply.json["pid"], pid, "{reply}");
    // T26: all recorded processes are dead, but the daemon is no leftover.
    fs::remove_file(&socket).expect("the socket can be removed");
    let reply = env.up_with("s", &["--timeout", "300ms"], &command).expect_rejected("worker-unresponsive");
    assert_eq!(reply.json["pid"], pid, "{reply}");
    assert_eq!(env.processes(), daemon);
    if is_opaque {
        nobody_ends_it(&env, daemon[0]);
    } else {
        env.stop("s").expect(0, "stopped");
    }
    env.assert_nothing_left("s");
}

/// An uninspectable process is neither signalled on a guess nor forgotten.
fn nobody_ends_it(env: &TestEnv, daemon: procs::Pid) {
    let graces = ["--term-grace", "1ms", "--kill-grace", "1ms"];
    let stop = env.rekindle([&["stop"], graces.as_slice(), &["s"]].concat()).expect(1, "gave-up");
    assert!(
        stop.json["trouble"][0].as_str().is_some_and(|why| why.contains("does not let us see")),
        "{stop}"
    );
    let collected = env.rekindle(["gc"]);
    assert_eq!(collected.json["kept"][0]["session"], "s", "{collected}");
    assert_eq!(env.processes(), [daemon]);
    procs::send(daemon, Signal::SIGTERM);
    wait::until("its lifeline is free", || env.lifeline("s") == Lifeline::Free);
    env.stop("s").expect(0, "not-running");
}

fn pythons_socketserver() {
    let python = programs::python();
    lives(&[&python, "-c", programs::ECHO_SERVER, "{socket}"], |_, socket| programs::expect_echo(socket));
}

/// The worker closes its lifeline; its identity still proves that the worker lives.
fn a_python_worker_that_closes_all_it_inherited() {
    let (python, server) = (programs::python(), programs::closing_echo_server());
    lives(&[&python, "-c", &server, "{socket}"], |_, socket| programs::expect_echo(socket));
}

/// T19, P4.
fn a_python_worker_that_daemonises() {
    let (python, server) = (programs::python(), programs::daemonising_echo_server());
    lives(&[&python, "-c", &server, "{socket}"], |_, socket| programs::expect_echo(socket));
}

fn socat_that_forks_for_each_client() {
    let socat = programs::find("socat", "socat");
    lives(&[&socat, "UNIX-LISTEN:{socket},fork", "PIPE"], |_, socket| programs::expect_echo(socket));
}

fn the_reference_worker_is_called() {
    let rekindle = rekindle_smoke::cli::binary_arg();
    lives(&[&rekindle, "worker", "--protocol", "echo"], |env, socket| {
        programs::expect_echo(socket);
        let reply = env.rekindle(["call", "s", r#"{"op": "ping", "n": [1, 2]}"#]);
        assert_eq!(
            (reply.code, reply.stdout.as_str()),
            (Some(0), "{\"op\":\"ping\",\"n\":[1,2]}\n"),
            "{reply}"
        );
    });
}
