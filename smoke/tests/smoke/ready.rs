//! The kinds of readiness, one file for each.

pub(crate) mod exec;
pub(crate) mod handshake;
pub(crate) mod http;
pub(crate) mod line;
pub(crate) mod listen;
pub(crate) mod notify;
pub(crate) mod running;

use rekindle_smoke::TestEnv;
use std::net::TcpListener;

rekindle_smoke::rooms![notify, listen, handshake, http, line, exec, running];

/// A port that is free now.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Starts a worker that fulfils `ready` by `command`, once this process has taken the worker's port; expects that the
/// worker is ended and that this process is named.
#[track_caller]
fn until_the_port_is_a_strangers(env: &TestEnv, ready: &str, command: &str) {
    let port = free_port();
    let address = format!("tcp:{port}");
    let worker = format!("until test -e taken; do sleep 0.01; done; {command}; exec sleep 1000");
    // Readiness has to wait for the stranger too.
    let ready = ready.replace("exec=", "exec=test -e taken && ");
    let settle: &[&str] = if ready == "running" { &["--settle", "3s"] } else { &[] };
    let options = [&["--address", &address, "--ready", &ready], settle].concat();
    let launcher = env.launch_up("s", &options, &["sh", "-c", &worker]);
    env.worker_pid("s");
    let stranger = TcpListener::bind(("127.0.0.1", port)).expect("the worker has not taken the port");
    env.file("taken", "");
    let reply = launcher.finish().expect_rejected("target-address-conflict");
    assert!(
        reply.text("message").contains(&std::process::id().to_string()),
        "it names the stranger: {reply}"
    );
    drop(stranger);
    env.assert_nothing_left("s");
}
