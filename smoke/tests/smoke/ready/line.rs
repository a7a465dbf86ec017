//! Workers that are ready once they write a line (`--ready line=REGEX`).

use super::until_the_port_is_a_strangers;
use nix::sys::signal::Signal;
use rekindle::{Ensured, Launch, Readiness, RejectReason, Sessions};
use rekindle_smoke::starts::id;
use rekindle_smoke::{Launcher, Reply, TestEnv, programs, tests, wait};
use std::fs;

tests![
    a_line_of_either_output_makes_ready,
    a_line_counts_once_its_newline_is_written,
    a_line_of_many_megabytes_is_passed_over,
    bytes_that_are_no_text_can_be_matched,
    only_lines_of_this_start_count,
    the_last_lines_are_shown,
    a_worker_that_writes_without_pause_is_ended_in_time,
    a_worker_that_exits_before_its_line_is_reported,
    a_line_that_was_written_while_nobody_watched_counts,
    a_pattern_that_is_none_starts_nothing,
    a_listener_is_named_and_a_stranger_is_an_error,
];

/// The beginning of every script. The argument is the test environment's directory.
const PRELUDE: &str = "
import os, sys, time
def until(name):
    while not os.path.exists(os.path.join(sys.argv[1], name)):
        time.sleep(0.005)
out = lambda text: os.write(1, text)
err = lambda text: os.write(2, text)
";

/// `up` of a script without an address.
fn launch(env: &TestEnv, options: &[&str], script: &str) -> Launcher {
    let dir = env.dir().display().to_string();
    let script = [PRELUDE, script, "time.sleep(1000)\n"].concat();
    let options = [&["--address", "none"], options].concat();
    env.launch_up("s", &options, &[&programs::python(), "-c", &script, &dir])
}

fn up(env: &TestEnv, pattern: &str, script: &str) -> Reply {
    launch(env, &["--ready", &format!("line={pattern}")], script).finish()
}

/// `up` of a script that never writes the awaited line.
fn up_in_vain(env: &TestEnv, pattern: &str, script: &str) -> Reply {
    launch(env, &["--timeout", "1s", "--ready", &format!("line={pattern}")], script).finish()
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

fn a_line_of_either_output_makes_ready() {
    for write in ["out", "err"] {
        let env = TestEnv::new();
        let script = format!("{write}(b'one\\ntwo\\nthe server is up\\r\\n')\n");
        let reply = up(&env, "server is up$", &script).expect_running("started");
        assert_eq!(reply.text("address"), "none", "{reply}");
        assert_eq!(env.rekindle(["ls"]).json["sessions"][0]["state"], "live");
        assert_eq!(up(&env, "server is up$", &script).expect_running("attached").pid(), reply.pid());
        stop(&env);
    }
}

/// The beginning of the line matches, the whole line does not.
fn a_line_counts_once_its_newline_is_written() {
    let env = TestEnv::new();
    let seen = "no line matched; the only one was `begins`; `listening on 80` has no newline yet";
    expect_ended(up_in_vain(&env, "on 80$", "err(b'begins\\nlistening on 80')\n"), seen);
    let script =
        "err(b'listening on 80')\nuntil('go')\nerr(b'80\\n')\nuntil('again')\nerr(b'listening on 80\\n')\n";
    let launcher = launch(&env, &["--ready", "line=on 80$"], script);
    env.file("go", "");
    let whole = || fs::read_to_string(env.of("s", "stderr.log")).is_ok_and(|log| log.contains("8080\n"));
    wait::until("the worker has written the whole line", whole);
    env.file("again", "");
    launcher.finish().expect_running("started");
    let log = fs::read_to_string(env.of("s", "stderr.log")).expect("the log is there");
    assert!(log.ends_with("listening on 80\n"), "ready by another line than the last: {log}");
    stop(&env);
}

fn a_line_of_many_megabytes_is_passed_over() {
    let env = TestEnv::new();
    let script = "
for _ in range(64):
    out(b'x' * (1 << 20))
out(b' ready\\n' + b'y' * (1 << 20) + b'\\nready\\n')
";
    let launcher = launch(&env, &["--ready", "line=ready"], script);
    launcher.finish().expect_running("started");
    let log = fs::read(env.of("s", "stdout.log")).expect("the log is there");
    assert!(log.ends_with(b"y\nready\n"), "ready by another line than the last");
    stop(&env);
}

fn bytes_that_are_no_text_can_be_matched() {
    let env = TestEnv::new();
    up(&env, r"(?-u:\xff\xfe) up", "out(b'\\xff\\xfe up\\n')\n").expect_running("started");
    stop(&env);
    up(&env, r"^(?i)dÉjÀ \d+$", "out('déjà 42\\n'.encode())\n").expect_running("started");
    stop(&env);
}

fn only_lines_of_this_start_count() {
    let env = TestEnv::new();
    up(&env, "ready", "out(b'ready\\n')\n").expect_running("started");
    stop(&env);
    expect_ended(up_in_vain(&env, "ready", ""), "the program wrote no line");
}

/// A terminal obeys nothing of a program's output.
fn the_last_lines_are_shown() {
    let env = TestEnv::new();
    let reply = up_in_vain(&env, "ready", "out(b'1\\n2\\n3\\n\\x1b[31m4\\n')\n");
    expect_ended(reply, "no line matched; the last ones were `2`, `3`, `\\u{1b}[31m4`");
    let mut command = env.command(env.binary());
    command.arg("--dir").arg(env.state()).args(["up", "s", "--address", "none", "--ready", "line=ready"]);
    let reply = Launcher::start({
        command.args(["--timeout", "300ms", "--", "sleep", "1000"]);
        command
    });
    let reply = reply.finish();
    assert_eq!(reply.code, Some(5), "{reply}");
    assert!(reply.stderr.contains("seen last: the program wrote no line"), "{reply}");
}

fn a_worker_that_writes_without_pause_is_ended_in_time() {
    let env = TestEnv::new();
    // The file does not grow without end.
    let script = "
while True:
    out(b'not yet\\n' * 100000)
    os.ftruncate(1, 0)
";
    let reply = up_in_vain(&env, "ready", script).expect(5, "child-exited");
    assert!(reply.text("cause").contains("not ready within 1000 ms"), "{reply}");
    env.assert_nothing_left("s");
}

fn a_worker_that_exits_before_its_line_is_reported() {
    let env = TestEnv::new();
    let reply = up(&env, "ready", "err(b'no port\\n')\nos._exit(7)\n").expect(5, "child-exited");
    assert_eq!((&reply.json["exit_code"], &reply.json["cause"]), (&7.into(), &().into()), "{reply}");
}

fn a_line_that_was_written_while_nobody_watched_counts() {
    let env = TestEnv::new();
    let script = "until('go')\nout(b'ready\\n' + b'later\\n' * 100000)\n";
    let launcher = launch(&env, &["--ready", "line=^ready$"], script);
    let worker = env.worker_pid("s");
    launcher.signal(Signal::SIGKILL);
    assert_eq!(launcher.finish().signal, Some(9));
    env.file("go", "");
    let is_written = || fs::read(env.of("s", "stdout.log")).is_ok_and(|log| log.len() > 600_000);
    wait::until("the worker has written", is_written);
    assert_eq!(up(&env, "^ready$", script).expect_running("adopted").pid(), worker);
    stop(&env);
}

fn a_pattern_that_is_none_starts_nothing() {
    let env = TestEnv::new();
    let reply = up(&env, "(ready", "");
    assert_eq!(reply.code, Some(2), "{reply}");
    assert!(reply.stdout.contains("unclosed group"), "{reply}");
    wait::run(async {
        let sessions = Sessions::open(env.state()).expect("a test environment's state directory can be used");
        let launch = Launch::new("sleep").arg("1000").ready(Readiness::Line("(ready".to_owned()));
        let Ok(Ensured::Rejected(rejection)) = sessions.ensure(&id("s"), launch).await else {
            panic!("it is refused")
        };
        assert_eq!(rejection.reason, RejectReason::BadTarget);
        assert!(rejection.message.contains("unclosed group"), "{}", rejection.message);
    });
    assert!(!env.of("s", "session.json").exists(), "nothing was begun");
    env.assert_no_process();
}

fn a_listener_is_named_and_a_stranger_is_an_error() {
    let env = TestEnv::new();
    // Without a listener there is none to be judged.
    let options = ["--address", "tcp:0", "--ready", "line=ready"];
    let reply = env.up_with("s", &options, &["sh", "-c", "echo ready; exec sleep 1000"]);
    reply.expect_running("started");
    stop(&env);
    let serves = "
import socket, sys, time
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
print('ready', flush=True)
time.sleep(1000)
";
    let reply = env.up_with("s", &options, &[&programs::python(), "-c", serves, "{port}"]);
    let reply = reply.expect_running("started");
    assert_eq!(reply.text("owner"), "verified", "{reply}");
    assert_eq!(env.record("s")["peer"]["pid"], reply.pid());
    stop(&env);
    until_the_port_is_a_strangers(&env, "line=ready", "echo ready");
}
