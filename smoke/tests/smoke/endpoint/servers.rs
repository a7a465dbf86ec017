//! Real servers on TCP ports.

use super::{address, free_port, get, stop};
use nix::sys::signal::Signal;
use rekindle_smoke::{Reply, TestEnv, procs, programs, tests, wait};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

tests![
    python_on_one_address_and_on_every_address,
    node_slow_to_listen_and_on_the_other_loopback_address,
    redis_on_a_port,
    nginx_daemonises,
    a_server_that_takes_its_port_from_the_launcher,
    a_daemon_that_takes_its_port_from_the_launcher,
    a_server_that_tells_when_it_is_ready,
    a_bot_that_tells_when_it_is_ready,
    a_server_is_restarted_on_its_port,
    a_stopped_server_is_collected,
];

/// Sends every line back, on an inherited listening TCP socket.
const INHERITING: &str = "
import os, socket, socketserver, sys
if os.environ.get('LISTEN_FDS') != '1' or os.environ.get('LISTEN_PID') != str(os.getpid()):
    sys.exit('not meant for this process')
listener = socket.socket(fileno=3)
if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
    sys.exit('not a socket that listens')
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
server = socketserver.ThreadingTCPServer(('', 0), Echo, bind_and_activate=False)
server.socket = listener
server.serve_forever()
";

/// Tells the launcher that it is ready.
const NOTIFY: &str = "
import os, socket
def ready():
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])
";

/// A prefix: the process that was started leaves, and its child goes on.
const DAEMONISE: &str = "
import os
if os.fork():
    os._exit(0)
os.setsid()
os.environ['LISTEN_PID'] = str(os.getpid())
";

fn up(env: &TestEnv, options: &[&str], command: &[&str]) -> Reply {
    env.up_with("s", options, command)
}

/// Asserts a proved listener, found again by every verb.
#[track_caller]
fn expect_live(env: &TestEnv, started: &Reply, options: &[&str], command: &[&str]) {
    assert_eq!(started.json["owner"], "verified", "{started}");
    let attached = up(env, options, command).expect_running("attached");
    assert_eq!((attached.pid(), address(&attached)), (started.pid(), address(started)), "{attached}");
    assert_eq!(attached.json["owner"], "verified", "{attached}");
    let asked = env.rekindle(["up", "s", "--intent", "attach"]).expect_running("attached");
    assert_eq!(address(&asked), address(started), "without an address: {asked}");
    let listed = env.rekindle(["ls"]);
    assert_eq!(listed.json["sessions"][0]["state"], "live", "{listed}");
    assert_eq!(listed.json["sessions"][0]["address"], started.json["address"], "{listed}");
    let doctor = env.rekindle(["doctor", "s"]);
    assert_eq!(doctor.code, Some(0), "{doctor}");
}

#[track_caller]
fn expect_echo(at: std::net::SocketAddr) {
    let mut client = TcpStream::connect(at).expect("the kernel accepts for the worker");
    client.set_read_timeout(Some(wait::FACT_TIMEOUT)).expect("a time-out can be set");
    client.write_all(b"hello\n").expect("a line can be sent");
    let mut line = String::new();
    BufReader::new(&client).read_line(&mut line).expect("the worker answers");
    assert_eq!(line, "hello\n");
}

fn python_on_one_address_and_on_every_address() {
    let cases = [
        ("tcp:0", "127.0.0.1", "127.0.0.1"),
        ("tcp:0", "0.0.0.0", "127.0.0.1"),
        ("tcp:0", "::", "127.0.0.1"),
        ("tcp:[::1]:0", "::1", "::1"),
        ("tcp:0.0.0.0:0", "0.0.0.0", "127.0.0.1"),
    ];
    for (asked, bound, reached) in cases {
        let env = TestEnv::new();
        let python = programs::python();
        let command = [&python, "-m", "http.server", "{port}", "--bind", bound];
        let options = ["--address", asked];
        let started = up(&env, &options, &command).expect_running("started");
        let at = address(&started);
        assert_eq!(at.ip().to_string(), reached, "{started}");
        assert!(get(at).contains("200"), "{asked} {bound}");
        expect_live(&env, &started, &options, &command);
        stop(&env);
        let again = up(&env, &options, &command).expect_running("started");
        assert_eq!(address(&again), at, "a session keeps its port: {again}");
        stop(&env);
    }
}

fn node_slow_to_listen_and_on_the_other_loopback_address() {
    let env = TestEnv::new();
    let node = programs::find("node", "nodejs");
    let server = "const http = require('http');
        setTimeout(() => http.createServer((_, reply) => reply.end('hi')).listen(+process.env.PORT, '::1'), 300);";
    let (port, command) = (free_port(), [&node, "-e", server]);
    let asked = format!("tcp:{port}");
    let options = ["--address", asked.as_str()];
    let started = up(&env, &options, &command).expect_running("started");
    assert_eq!(started.text("address"), format!("tcp:[::1]:{port}"), "{started}");
    assert!(get(address(&started)).contains("200"));
    expect_live(&env, &started, &options, &command);
    stop(&env);
}

fn redis_on_a_port() {
    let env = TestEnv::new();
    let redis = programs::find("redis-server", "redis-server");
    let client = programs::find("redis-cli", "redis-tools");
    for name in ["127.0.0.1", "*"] {
        let command = [&redis, "--port", "{port}", "--bind", name, "--save", "", "--protected-mode", "no"];
        let started = up(&env, &["--address", "tcp:0"], &command).expect_running("started");
        let port = address(&started).port().to_string();
        let output =
            env.command(&client).args(["-p", &port, "PING"]).output().expect("redis-cli can be started");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "PONG\n");
        expect_live(&env, &started, &["--address", "tcp:0"], &command);
        stop(&env);
    }
}

/// The process that was started leaves; master and workers of nginx share the listening socket.
fn nginx_daemonises() {
    let env = TestEnv::new();
    let (nginx, port) = (programs::find("nginx", "nginx-light"), free_port());
    let dir = env.dir().display().to_string();
    let config = format!(
        "pid {dir}/pid; error_log stderr; worker_processes 2; events {{ worker_connections 16; }}
         http {{ access_log off; client_body_temp_path {dir}/a; proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c;
         uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e;
         server {{ listen 127.0.0.1:{port}; return 204; }} }}"
    );
    let config = env.file("nginx.conf", config).display().to_string();
    let (address_of_it, command) =
        (format!("tcp:{port}"), [&nginx, "-e", "stderr", "-p", &dir, "-c", &config]);
    let options = ["--address", address_of_it.as_str()];
    let started = up(&env, &options, &command).expect(0, "started");
    assert!(get(address(&started)).contains("204"));
    wait::until("the process that was started has left", || {
        env.rekindle(["ls"]).json["sessions"][0]["pid"].as_i64() != Some(env.worker_pid("s").into())
    });
    let attached = up(&env, &options, &command).expect_running("attached");
    assert_eq!(attached.json["owner"], "verified", "{attached}");
    assert_eq!(env.rekindle(["ls"]).json["sessions"][0]["state"], "live");
    stop(&env);
}

fn a_server_that_takes_its_port_from_the_launcher() {
    let env = TestEnv::new();
    let python = programs::python();
    for asked in ["tcp:0", "tcp:[::1]:0"] {
        let (options, command) = (["--ready", "listen", "--address", asked], [&python, "-c", INHERITING]);
        let started = up(&env, &options, &command).expect_running("started");
        expect_echo(address(&started));
        expect_live(&env, &started, &options, &command);
        stop(&env);
    }
    assert_eq!(fs::read_to_string(env.of("s", "stderr.log")).expect("there is a log"), "");
}

fn a_daemon_that_takes_its_port_from_the_launcher() {
    let env = TestEnv::new();
    let (python, script) = (programs::python(), [DAEMONISE, INHERITING].concat());
    let (options, command) = (["--ready", "listen", "--address", "tcp:0"], [&python, "-c", script.as_str()]);
    let started = up(&env, &options, &command).expect(0, "started");
    expect_echo(address(&started));
    let leader = env.worker_pid("s");
    wait::until("the process that was started has left", || !procs::is_running(leader));
    let attached = up(&env, &options, &command).expect_running("attached");
    assert_eq!(address(&attached), address(&started));
    stop(&env);
}

fn a_server_that_tells_when_it_is_ready() {
    let env = TestEnv::new();
    let python = programs::python();
    let script = [
        NOTIFY,
        "
import sys
listener = socket.create_server(('127.0.0.1', int(os.environ['REKINDLE_PORT'])))
ready()
client, _ = listener.accept()
print('visited', flush=True)
",
    ]
    .concat();
    let (options, command) = (["--ready", "notify", "--address", "tcp:0"], [&python, "-c", script.as_str()]);
    let started = up(&env, &options, &command).expect_running("started");
    // The server ends with its first client: no look may connect.
    expect_live(&env, &started, &options, &command);
    assert_eq!(fs::read_to_string(env.of("s", "stdout.log")).expect("there is a log"), "");
    stop(&env);
}

fn a_bot_that_tells_when_it_is_ready() {
    let env = TestEnv::new();
    let python = programs::python();
    let script = [NOTIFY, "ready()\nimport signal\nsignal.pause()\n"].concat();
    let (options, command) = (["--ready", "notify", "--address", "none"], [&python, "-c", script.as_str()]);
    let started = up(&env, &options, &command).expect_running("started");
    assert_eq!(started.json["address"], "none", "{started}");
    let attached = up(&env, &options, &command).expect_running("attached");
    assert_eq!(attached.pid(), started.pid());
    assert_eq!(env.rekindle(["ls"]).json["sessions"][0]["state"], "live");
    env.rekindle(["up", "s", "--intent", "attach"]).expect_rejected("no-endpoint");
    stop(&env);
}

fn a_server_is_restarted_on_its_port() {
    let env = TestEnv::new();
    let python = programs::python();
    let command = [&python, "-m", "http.server", "{port}", "--bind", "127.0.0.1"];
    let started = up(&env, &["--address", "tcp:0"], &command).expect_running("started");
    let restarted =
        up(&env, &["--address", "tcp:0", "--intent", "restart"], &command).expect_running("started");
    assert_eq!(address(&restarted), address(&started), "{restarted}");
    assert_ne!(restarted.pid(), started.pid());
    stop(&env);
}

fn a_stopped_server_is_collected() {
    let env = TestEnv::new();
    let python = programs::python();
    let command = [&python, "-m", "http.server", "{port}", "--bind", "127.0.0.1"];
    let started = up(&env, &["--address", "tcp:0"], &command).expect_running("started");
    procs::send(started.pid(), Signal::SIGKILL);
    wait::until("`ls` knows", || env.rekindle(["ls"]).json["sessions"][0]["state"] == "exited");
    up(&env, &["--address", "tcp:0"], &command).expect_running("started");
    stop(&env);
    let collected = env.rekindle(["gc"]);
    assert_eq!(collected.code, Some(0), "{collected}");
    assert!(!env.of("s", "session.json").exists(), "{collected}");
}
