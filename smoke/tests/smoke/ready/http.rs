//! Workers that are ready once they answer an HTTP request (`--ready http=PATH`).

use super::free_port;
use nix::sys::signal::Signal;
use rekindle_smoke::{Launcher, Reply, TestEnv, procs, programs, tests, wait};
use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;

tests![
    a_server_of_python_is_ready_when_it_answers,
    a_server_on_a_socket_is_ready_when_it_answers,
    a_worker_that_answers_503_is_not_ready,
    what_the_worker_answered_last_is_shown,
    a_request_without_an_answer_is_repeated,
    a_worker_is_asked_a_few_times_a_second,
    a_stranger_that_takes_the_port_is_never_asked,
    a_worker_whose_launcher_was_killed_is_adopted,
    a_worker_that_exits_before_it_answers_is_reported,
];

/// Answers each request with the bytes of the file `answer`, and appends each request to the file `asked`. Arguments: a
/// port or the path of a socket, and the directory of the files.
const SERVER: &str = "
import os, socket, sys
where, here = sys.argv[1:3]
if where.isdigit():
    listener = socket.create_server(('127.0.0.1', int(where)))
else:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(where)
    listener.listen()
while True:
    client, _ = listener.accept()
    with client:
        request = b''
        while not request.endswith(b'\\r\\n\\r\\n'):
            more = client.recv(4096)
            if not more:
                break
            request += more
        with open(os.path.join(here, 'asked'), 'ab') as asked:
            asked.write(request)
        with open(os.path.join(here, 'answer'), 'rb') as answer:
            try:
                client.sendall(answer.read())
            except OSError:
                pass
";

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

fn launch(env: &TestEnv, options: &[&str], place: &str) -> Launcher {
    let dir = env.dir().display().to_string();
    env.launch_up("s", options, &[&programs::python(), "-c", SERVER, place, &dir])
}

fn asked(env: &TestEnv) -> String {
    fs::read_to_string(env.path("asked")).unwrap_or_default()
}

fn requests(env: &TestEnv) -> usize {
    asked(env).matches("GET ").count()
}

fn stop(env: &TestEnv) {
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

#[track_caller]
fn expect_ended(reply: Reply, last_seen: &str) {
    let reply = reply.expect(5, "child-exited");
    assert_eq!(reply.text("last_seen"), last_seen, "{reply}");
}

fn a_server_of_python_is_ready_when_it_answers() {
    let env = TestEnv::new();
    let command = [&programs::python(), "-m", "http.server", "--bind", "127.0.0.1", "{port}"];
    let options = ["--address", "tcp:0", "--ready", "http=/"];
    let reply = env.up_with("s", &options, &command).expect_running("started");
    let address = reply.text("address").to_owned();
    let at = address.strip_prefix("tcp:").expect("it answers on a port");
    assert_eq!(reply.text("url"), format!("http://{at}/"), "{reply}");
    assert_eq!(reply.text("owner"), "verified", "{reply}");
    let record = env.record("s");
    assert_eq!((&record["state"], &record["plan"]["ready"]), (&"ready".into(), &"http=/".into()));
    assert_eq!(record["peer"]["pid"], reply.pid(), "{record}");
    let again = env.up_with("s", &options, &command).expect_running("attached");
    assert_eq!((again.pid(), again.text("address")), (reply.pid(), address.as_str()), "{again}");
    assert_eq!(env.rekindle(["ls"]).json["sessions"][0]["state"], "live");
    // A client that left early, or that asked for nothing, would be complained about.
    let log = fs::read_to_string(env.of("s", "stderr.log")).expect("the log is there");
    assert!(!log.contains("Traceback"), "{log}");
    stop(&env);
}

fn a_server_on_a_socket_is_ready_when_it_answers() {
    let env = TestEnv::new();
    // Whatever comes before the final answer does not count, and a redirect is an answer.
    env.file(
        "answer",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n",
    );
    let reply = launch(&env, &["--ready", "http=/a?b=c"], "{socket}").finish().expect_running("started");
    assert_eq!(
        asked(&env),
        "GET /a?b=c HTTP/1.1\r\nHost: localhost\r\nUser-Agent: rekindle\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(env.record("s")["peer"]["pid"], reply.pid());
    assert_eq!(env.rekindle(["ls"]).json["sessions"][0]["state"], "live");
    stop(&env);
}

fn a_worker_that_answers_503_is_not_ready() {
    let env = TestEnv::new();
    env.file("answer", UNAVAILABLE);
    let launcher = launch(&env, &["--address", "tcp:0", "--ready", "http=/health"], "{port}");
    wait::until("the worker was asked again", || requests(&env) >= 3);
    assert!(procs::is_running(launcher.pid()), "503 is not enough");
    assert_eq!(env.record("s")["state"], "starting");
    env.file("answer", OK);
    launcher.finish().expect_running("started");
    stop(&env);
}

fn what_the_worker_answered_last_is_shown() {
    let long_head = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "a".repeat(80_000));
    for (answer, last_seen) in [
        (UNAVAILABLE, "GET /x was answered with 503 Service Unavailable"),
        ("HTTP/1.1 404 \x1b[31m\r\n\r\n", "the answer to GET /x was no HTTP"),
        ("HTTP/1.0 500\r\n\r\n", "GET /x was answered with 500"),
        ("220 mail.example.org ESMTP\r\n", "the answer to GET /x was no HTTP"),
        ("HTTP/1.1 200 OK\r\nServ", "the connection was closed before an answer to GET /x"),
        (&long_head, "the answer to GET /x had a head of more than 65536 bytes"),
    ] {
        for (address, place) in [("unix", "{socket}"), ("tcp:0", "{port}")] {
            let env = TestEnv::new();
            env.file("answer", answer);
            let options = ["--address", address, "--ready", "http=/x", "--timeout", "1500ms"];
            expect_ended(launch(&env, &options, place).finish(), last_seen);
            env.assert_nothing_left("s");
        }
    }
    let env = TestEnv::new();
    let options = ["--ready", "http=/x", "--timeout", "300ms", "--address"];
    let sleeper = ["sleep", "1000"];
    let reply = env.up_with("s", &[&options[..], &["tcp:0"]].concat(), &sleeper);
    expect_ended(reply, "no process listened on the port");
    expect_ended(env.up_with("s", &[&options[..], &["unix"]].concat(), &sleeper), "the socket was not there");
    // The kernel accepts the connection, and no answer comes.
    let silent = "
import socket, sys, time
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
time.sleep(1000)
";
    let silent = [&programs::python(), "-c", silent, "{port}"];
    let reply =
        env.up_with("s", &["--address", "tcp:0", "--ready", "http=/x", "--timeout", "1500ms"], &silent);
    expect_ended(reply, "GET /x was not answered");
}

/// One answer has five seconds. The worker keeps the first connection open.
fn a_request_without_an_answer_is_repeated() {
    let env = TestEnv::new();
    let hangs_once = "
import socket, sys
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
first, _ = listener.accept()
while True:
    client, _ = listener.accept()
    with client:
        client.recv(4096)
        client.sendall(b'HTTP/1.1 200 OK\\r\\n\\r\\n')
";
    let command = [&programs::python(), "-c", hangs_once, "{port}"];
    let options = ["--address", "tcp:0", "--ready", "http=/", "--timeout", "1m"];
    env.up_with("s", &options, &command).expect_running("started");
    stop(&env);
}

/// Each request is one line in a worker's log. The pauses grow from 10 ms to 500 ms: 8 requests fit into the time.
fn a_worker_is_asked_a_few_times_a_second() {
    let env = TestEnv::new();
    env.file("answer", UNAVAILABLE);
    let options = ["--address", "tcp:0", "--ready", "http=/", "--timeout", "1500ms"];
    launch(&env, &options, "{port}").finish().expect(5, "child-exited");
    assert!((2..=9).contains(&requests(&env)), "{}", asked(&env));
}

fn a_stranger_that_takes_the_port_is_never_asked() {
    let env = TestEnv::new();
    let port = free_port();
    let address = format!("tcp:{port}");
    let launcher = env.launch_up("s", &["--address", &address, "--ready", "http=/"], &["sleep", "1000"]);
    env.worker_pid("s");
    let stranger = TcpListener::bind(("127.0.0.1", port)).expect("the worker has not taken the port");
    let reply = launcher.finish().expect_rejected("target-address-conflict");
    assert!(
        reply.text("message").contains(&std::process::id().to_string()),
        "it names the stranger: {reply}"
    );
    stranger.set_nonblocking(true).expect("a listener can be asked at once");
    assert_eq!(stranger.accept().expect_err("nobody connected").kind(), ErrorKind::WouldBlock);
    env.assert_nothing_left("s");
}

fn a_worker_whose_launcher_was_killed_is_adopted() {
    for (address, place) in [("unix", "{socket}"), ("tcp:0", "{port}")] {
        let env = TestEnv::new();
        env.file("answer", UNAVAILABLE);
        let options = ["--address", address, "--ready", "http=/"];
        let launcher = launch(&env, &options, place);
        wait::until("the worker was asked", || requests(&env) >= 1);
        launcher.signal(Signal::SIGKILL);
        assert_eq!(launcher.finish().signal, Some(9));
        let worker = env.worker_pid("s");
        let launcher = launch(&env, &options, place);
        let before = requests(&env);
        wait::until("the next launcher asks", || requests(&env) > before);
        env.file("answer", OK);
        assert_eq!(launcher.finish().expect_running("adopted").pid(), worker);
        stop(&env);
    }
}

fn a_worker_that_exits_before_it_answers_is_reported() {
    let env = TestEnv::new();
    let reply = env.up_with("s", &["--address", "tcp:0", "--ready", "http=/"], &["sh", "-c", "exit 7"]);
    let reply = reply.expect(5, "child-exited");
    assert_eq!((&reply.json["exit_code"], &reply.json["last_seen"]), (&7.into(), &().into()), "{reply}");
}
