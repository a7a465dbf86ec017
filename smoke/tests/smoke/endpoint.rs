//! Workers on a TCP port, or without an endpoint.

pub(crate) mod ownership;
pub(crate) mod ports;
pub(crate) mod servers;
pub(crate) mod strangers;

use rekindle_smoke::{Reply, TestEnv, wait};
use serde_json::Value;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

rekindle_smoke::rooms![servers, ports, strangers, ownership];

/// A port that is free now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("a listener has an address").port()
}

/// Listens on a port in the role of a stranger.
fn sit_on(port: u16) -> TcpListener {
    TcpListener::bind(("127.0.0.1", port)).expect("the port is free")
}

/// Whether the listener got no connection.
fn is_unvisited(listener: &TcpListener) -> bool {
    listener.set_nonblocking(true).expect("a listener can be non-blocking");
    listener.accept().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// The TCP address in a reply.
#[track_caller]
fn address(reply: &Reply) -> SocketAddr {
    let text = reply.text("address").strip_prefix("tcp:").and_then(|at| at.parse().ok());
    text.unwrap_or_else(|| panic!("no TCP address: {reply}"))
}

/// The port of the present plan of session `s`, once a record exists.
fn planned_port(env: &TestEnv) -> Option<u16> {
    let record: Value = serde_json::from_slice(&fs::read(env.of("s", "session.json")).ok()?).ok()?;
    let target = record["plan"]["target"].as_str()?;
    target.rsplit_once(':')?.1.parse().ok()
}

/// The status line of the answer to `GET /`.
#[track_caller]
fn get(at: SocketAddr) -> String {
    let mut stream = TcpStream::connect(at).unwrap_or_else(|error| panic!("{at} refuses: {error}"));
    stream.set_read_timeout(Some(wait::FACT_TIMEOUT)).expect("a time-out can be set");
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("a request can be sent");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Stops session `s`.
#[track_caller]
fn stop(env: &TestEnv) {
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

/// Asserts a conflict that names the stranger, and that the start left no worker.
#[track_caller]
fn expect_conflict(env: &TestEnv, reply: Reply, stranger: &str) -> Reply {
    let reply = reply.expect_rejected("target-address-conflict");
    assert!(reply.text("message").contains(stranger), "{stranger} is not named: {reply}");
    assert!(reply.advice().contains("--address tcp:0"), "{reply}");
    env.assert_no_process();
    reply
}

/// This process in the words of a refusal.
fn us() -> String {
    let name = fs::read_to_string("/proc/self/comm").expect("a process has a name");
    let user = nix::unistd::geteuid();
    format!("`{}` (pid {}, user {user})", name.trim_end(), std::process::id())
}
