//! Listeners that are no worker's: refused by name, and never connected to.

use super::{address, expect_conflict, free_port, get, is_unvisited, sit_on, stop, us};
use nix::sys::signal::Signal;
use rekindle_smoke::{Account, Root, TestEnv, procs, programs, tests, wait};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

tests![
    a_stranger_before_the_start_is_named,
    a_stranger_during_the_start_is_named,
    a_stranger_on_the_launchers_socket_is_named,
    a_stranger_on_the_other_loopback_address_is_in_nobodys_way,
    attach_hands_out_no_stranger,
    a_stranger_that_is_more_specific_gets_the_connections,
    a_stranger_that_shares_the_port_is_a_conflict,
    another_users_listener_is_named needs TwoUsers,
    a_relay_needs_the_callers_word,
];

/// A program beside the session, ended with the test.
struct Beside(Child);

impl Beside {
    fn start(mut command: Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}")))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // The child may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn accepts(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn a_stranger_before_the_start_is_named() {
    let env = TestEnv::new();
    let port = free_port();
    let stranger = sit_on(port);
    for ready in ["connect", "listen", "notify"] {
        let options = ["--ready", ready, "--address", &format!("tcp:{port}")];
        expect_conflict(&env, env.up_with("s", &options, &["sleep", "1000"]), &us());
    }
    assert!(is_unvisited(&stranger), "a stranger gets no connection");
    assert!(!env.of("s", "session.json").exists(), "nothing was begun");
}

fn a_stranger_during_the_start_is_named() {
    let env = TestEnv::new();
    let port = free_port();
    let launcher = env.launch_up("s", &["--address", &format!("tcp:{port}")], &["sleep", "1000"]);
    env.worker_pid("s");
    let stranger = sit_on(port);
    expect_conflict(&env, launcher.finish(), &us());
    assert!(is_unvisited(&stranger), "a stranger gets no connection");
    env.assert_nothing_left("s");
}

/// Bound is not listening: the launcher meets the socket at its own bind.
fn a_stranger_on_the_launchers_socket_is_named() {
    let env = TestEnv::new();
    let port = free_port();
    let stranger = sit_on(port);
    let options = ["--ready", "listen", "--address", &format!("tcp:0.0.0.0:{port}")];
    expect_conflict(&env, env.up_with("s", &options, &["sleep", "1000"]), &us());
    assert!(is_unvisited(&stranger), "a stranger gets no connection");
}

fn a_stranger_on_the_other_loopback_address_is_in_nobodys_way() {
    let env = TestEnv::new();
    let port = free_port();
    let stranger = std::net::TcpListener::bind(("::1", port)).expect("the port is free");
    let python = programs::python();
    let command = [&python, "-m", "http.server", "{port}", "--bind", "127.0.0.1"];
    let started =
        env.up_with("s", &["--address", &format!("tcp:{port}")], &command).expect_running("started");
    assert_eq!(started.text("address"), format!("tcp:127.0.0.1:{port}"), "{started}");
    assert!(is_unvisited(&stranger), "a stranger gets no connection");
    stop(&env);
}

fn attach_hands_out_no_stranger() {
    let env = TestEnv::new();
    let python = programs::python();
    let port = free_port();
    let command = [&python, "-m", "http.server", "{port}", "--bind", "127.0.0.1"];
    let asked = format!("tcp:{port}");
    let options = ["--address", asked.as_str()];
    let started = env.up_with("s", &options, &command).expect_running("started");
    procs::send(started.pid(), Signal::SIGKILL);
    wait::until("the worker is gone", || env.processes().is_empty());
    let stranger = sit_on(port);
    expect_conflict(&env, env.up_with("s", &options, &command), &us());
    let attach = ["up", "s", "--intent", "attach", "--address", &asked];
    expect_conflict(&env, env.rekindle(attach), &us());
    env.rekindle(["up", "s", "--intent", "attach"]).expect_rejected("not-running");
    assert_eq!(env.rekindle(["ls"]).json["sessions"][0]["state"], "exited");
    assert!(is_unvisited(&stranger), "a stranger gets no connection");
}

/// Listens on every address; a stranger can then take the loopback address if both allow that.
const ON_EVERY_ADDRESS: &str = "
import os, socket
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, getattr(socket, os.environ['SHARE']), 1)
listener.bind((os.environ['HOST'], int(os.environ['PORT'])))
listener.listen()
while True:
    listener.accept()
";

/// A second program at a port, as a stranger: it may be bound beside the worker.
fn beside(env: &TestEnv, host: &str, port: u16) -> Beside {
    let mut command = env.command(programs::python());
    command.args(["-c", ON_EVERY_ADDRESS]).envs([("SHARE", "SO_REUSEPORT"), ("HOST", host)]);
    Beside::start({
        command.env("PORT", port.to_string());
        command
    })
}

/// A worker that listens on `host`, and a stranger that listens on 127.0.0.1 beside it.
fn expect_conflict_beside(host: &str) {
    let (env, other) = (TestEnv::new(), TestEnv::new());
    let (python, port) = (programs::python(), free_port());
    let asked = format!("tcp:{port}");
    let host = format!("HOST={host}");
    let options = ["--address", asked.as_str(), "--env", "SHARE=SO_REUSEPORT", "--env", &host];
    let command = [&python, "-c", ON_EVERY_ADDRESS];
    let started = env.up_with("s", &options, &command).expect_running("started");
    assert_eq!(started.json["owner"], "verified", "{started}");
    let stranger = beside(&other, "127.0.0.1", port);
    wait::until("the stranger is in the way", || {
        env.up_with("s", &options, &command).json["reason"] == "target-address-conflict"
    });
    let reply = env.up_with("s", &options, &command).expect_rejected("target-address-conflict");
    let named = format!("(pid {}, user", stranger.0.id());
    assert!(reply.text("message").contains(&named), "{named}: {reply}");
    assert!(procs::is_running(started.pid()), "the worker is not ended for a stranger");
    drop(stranger);
    env.up_with("s", &options, &command).expect_running("attached");
    stop(&env);
}

fn a_stranger_that_is_more_specific_gets_the_connections() {
    expect_conflict_beside("0.0.0.0");
}

fn a_stranger_that_shares_the_port_is_a_conflict() {
    expect_conflict_beside("127.0.0.1");
}

/// Root sees the other user's process; the other user does not see root's.
fn another_users_listener_is_named(_root: Root) {
    let (env, other) = (TestEnv::new(), TestEnv::owned_by(Account::Ordinary));
    let port = free_port();
    let stranger = beside(&other, "127.0.0.1", port);
    wait::until("the other user listens", || accepts(port));
    let options = ["--address", &format!("tcp:{port}")];
    let named = format!("(pid {}, user {})", stranger.0.id(), Account::Ordinary.uid());
    expect_conflict(&env, env.up_with("s", &options, &["sleep", "1000"]), &named);
    drop(stranger);
    let ours = sit_on(port);
    expect_conflict(&other, other.up_with("s", &options, &["sleep", "1000"]), "a process of user 0");
    assert!(is_unvisited(&ours), "a stranger gets no connection");
}

fn a_relay_needs_the_callers_word() {
    let env = TestEnv::new();
    let other = TestEnv::new();
    let (python, port) = (programs::python(), free_port());
    let behind = free_port().to_string();
    let mut socat = other.command(programs::find("socat", "socat"));
    socat
        .arg(format!("TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr"))
        .arg(format!("TCP:127.0.0.1:{behind}"));
    // It complains about the first connection: the worker does not serve yet.
    socat.stderr(Stdio::null());
    let relay = Beside::start(socat);
    wait::until("the relay listens", || accepts(port));
    let asked = format!("tcp:{port}");
    let command = [&python, "-m", "http.server", &behind, "--bind", "127.0.0.1"];
    let refused = env.up_with("s", &["--address", &asked], &command);
    let refused = expect_conflict(&env, refused, &format!("`socat` (pid {}, user", relay.0.id()));
    assert!(refused.advice().contains("--allow-foreign-listener"), "{refused}");
    let options = ["--address", asked.as_str(), "--allow-foreign-listener"];
    let started = env.up_with("s", &options, &command).expect_running("started");
    assert_eq!(started.json["owner"], serde_json::Value::Null, "{started}");
    wait::until("the worker serves behind the relay", || {
        TcpStream::connect(("127.0.0.1", behind.parse().expect("it is a port"))).is_ok()
    });
    assert!(get(address(&started)).contains("200"));
    let attached = env.up_with("s", &options, &command).expect_running("attached");
    assert_eq!(attached.pid(), started.pid());
    assert_eq!(env.rekindle(["ls"]).json["sessions"][0]["state"], "live");
    stop(&env);
    // The relay goes on listening, and no worker is behind.
    let attach = ["up", "s", "--intent", "attach", "--address", &asked, "--allow-foreign-listener"];
    env.rekindle(attach).expect_rejected("not-running");
}
