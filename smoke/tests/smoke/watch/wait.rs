//! `rekindle wait`: the exit of a worker that is nobody's child, readiness, time-outs, and sleep without a poll.

use super::{assert_it_sleeps, end, live_elsewhere, look_around, shown, until_it_watches, up_sleeper};
use nix::sys::signal::Signal;
use rekindle_smoke::{TestEnv, procs, programs, tests, wait};
use serde_json::{Value, json};
use std::fs;

tests![
    a_wait_tells_how_a_worker_ended,
    a_wait_tells_the_status_of_a_program,
    a_stop_beside_a_wait_is_recorded_as_a_stop,
    an_end_that_nobody_watched_is_not_known,
    a_wait_has_a_limit,
    a_wait_for_readiness_ends_with_it,
    a_start_that_fails_ends_a_wait_for_readiness,
    a_wait_sleeps_while_nothing_happens,
    a_wait_for_a_daemon_sleeps_too,
    a_record_of_a_later_start_is_left_alone,
];

/// The worker was started by another process, and nobody of ours reaps it.
fn a_wait_tells_how_a_worker_ended() {
    for (signal, name, code) in
        [(Signal::SIGSEGV, "SEGV", 139), (Signal::SIGKILL, "KILL", 137), (Signal::SIGTERM, "TERM", 143)]
    {
        let env = TestEnv::new();
        let pid = up_sleeper(&env, "s");
        let waiter = env.launch(["wait", "s"]);
        until_it_watches(waiter.pid());
        procs::send(pid, signal);
        let reply = waiter.finish().expect(code, "exited");
        assert_eq!(reply.json["exit"]["signal"], name, "{reply}");
        assert!(reply.json["exit"]["core"].is_boolean(), "{reply}");
        let shown = shown(&env, "s");
        assert_eq!(shown.json["exit"], reply.json["exit"], "{shown}");
        assert_eq!((shown.text("ended_by"), shown.text("status")), ("worker", "exited"), "{shown}");
        assert!(shown.json["exited_at"].is_string() && shown.json["exit_why"].is_null(), "{shown}");
        // A second wait reads the record.
        env.rekindle(["wait", "s"]).expect(code, "exited");
        let listed = env.rekindle(["ls"]);
        assert_eq!(listed.json["sessions"][0]["exit"], reply.json["exit"], "{listed}");
    }
}

fn a_wait_tells_the_status_of_a_program() {
    let env = TestEnv::new();
    let go = env.path("go");
    let script = format!("while ! [ -e {} ]; do sleep 0.01; done; exit 3", go.display());
    let up = ["--address", "none", "--settle", "1ms"];
    env.up_with("s", &up, &["sh", "-c", &script]).expect_running("started");
    let waiter = env.launch(["wait", "s"]);
    until_it_watches(waiter.pid());
    fs::write(&go, "").expect("the directory is writable");
    let reply = waiter.finish().expect(3, "exited");
    assert_eq!(
        (&reply.json["exit"], &reply.json["exit_why"]),
        (&json!({ "code": 3 }), &Value::Null),
        "{reply}"
    );
    assert_eq!(env.record("s")["exit"], json!({ "code": 3 }));
}

/// The waiter sees the end first, and leaves the record to the stop.
fn a_stop_beside_a_wait_is_recorded_as_a_stop() {
    let env = TestEnv::new();
    up_sleeper(&env, "s");
    let waiter = env.launch(["wait", "s"]);
    until_it_watches(waiter.pid());
    env.stop("s").expect(0, "stopped");
    waiter.finish().expect(143, "exited");
    let shown = shown(&env, "s");
    assert_eq!(shown.text("ended_by"), "stop", "{shown}");
    assert_eq!(shown.json["exit"]["signal"], "TERM", "the stop learned it too: {shown}");
    env.assert_nothing_left("s");
}

fn an_end_that_nobody_watched_is_not_known() {
    let env = TestEnv::new();
    end(up_sleeper(&env, "s"), Signal::SIGKILL);
    let reply = env.rekindle(["wait", "s"]).expect(125, "exited");
    assert!(reply.json["exit"].is_null() && reply.text("exit_why").contains("watched"), "{reply}");
    let shown = shown(&env, "s");
    assert!(shown.json["exit"].is_null() && !shown.text("exit_why").is_empty(), "{shown}");
    env.rekindle(["wait", "nobody"]).expect_error(125, "unknown-session");
}

fn a_wait_has_a_limit() {
    let env = TestEnv::new();
    up_sleeper(&env, "s");
    env.rekindle(["wait", "s", "--timeout", "50ms"]).expect(124, "timeout");
    env.rekindle(["wait", "s", "--for", "ready", "--timeout", "30s"]).expect(0, "ready");
    assert_eq!(env.rekindle(["wait", "s", "--timeout", "soon"]).code, Some(2));
    assert_eq!(env.rekindle(["status", "s"]).code, Some(0), "the wait did nothing to the worker");
}

fn a_wait_for_readiness_ends_with_it() {
    let env = TestEnv::new();
    let go = env.path("go");
    let ready = format!("exec=test -e {}", go.display());
    let options = ["--address", "none", "--ready", &ready];
    let launcher = env.launch_up("s", &options, &["sleep", "1000"]);
    let pid = env.worker_pid("s");
    let waiter = env.launch(["wait", "s", "--for", "ready"]);
    until_it_watches(waiter.pid());
    env.rekindle(["wait", "s", "--for", "ready", "--timeout", "50ms"]).expect(124, "timeout");
    fs::write(&go, "").expect("the directory is writable");
    waiter.finish().expect(0, "ready");
    assert_eq!(launcher.finish().expect_running("started").pid(), pid);
}

fn a_start_that_fails_ends_a_wait_for_readiness() {
    let env = TestEnv::new();
    let options = ["--address", "none", "--ready", "exec=false"];
    let launcher = env.launch_up("s", &options, &["sleep", "1000"]);
    let pid = env.worker_pid("s");
    let waiter = env.launch(["wait", "s", "--for", "ready"]);
    until_it_watches(waiter.pid());
    procs::send(pid, Signal::SIGKILL);
    let reply = waiter.finish().expect(1, "exited");
    assert_eq!(reply.json["exit"], json!({ "signal": "KILL", "core": false }), "{reply}");
    launcher.finish().expect(5, "child-exited");
    env.rekindle(["wait", "s", "--for", "ready"]).expect(1, "exited");
}

fn a_wait_sleeps_while_nothing_happens() {
    let env = TestEnv::new();
    let pid = up_sleeper(&env, "s");
    let waiter = env.launch(["wait", "s"]);
    until_it_watches(waiter.pid());
    assert_it_sleeps(waiter.pid(), || {
        look_around(&env);
        live_elsewhere();
    });
    procs::send(pid, Signal::SIGTERM);
    waiter.finish().expect(143, "exited");
}

/// The started process has ended; the process left behind tells of its own end.
fn a_wait_for_a_daemon_sleeps_too() {
    let env = TestEnv::new();
    let script = programs::daemonising_echo_server();
    env.up("s", &[&programs::python(), "-c", &script, "{socket}"]).expect(0, "started");
    let waiter = env.launch(["wait", "s"]);
    until_it_watches(waiter.pid());
    // A look at the session opens the lifeline, whose closing is an event for the waiter.
    assert_it_sleeps(waiter.pid(), live_elsewhere);
    let daemon = wait::for_some("the daemon is visible", || {
        env.rekindle(["show", "s"]).json["lifeline"]["holders"][0].as_i64()?.try_into().ok()
    });
    procs::send(daemon, Signal::SIGKILL);
    waiter.finish().expect(125, "exited");
}

/// The end of a start is never written into the record of the next.
fn a_record_of_a_later_start_is_left_alone() {
    let env = TestEnv::new();
    let first = up_sleeper(&env, "s");
    let waiter = env.launch(["wait", "s"]);
    until_it_watches(waiter.pid());
    waiter.signal(Signal::SIGSTOP);
    end(first, Signal::SIGKILL);
    up_sleeper(&env, "s");
    waiter.signal(Signal::SIGCONT);
    let reply = waiter.finish().expect(137, "exited");
    assert_eq!(reply.json["exit"]["signal"], "KILL", "{reply}");
    let record = env.record("s");
    assert_eq!((&record["state"], &record["generation"]), (&json!("ready"), &json!(2)), "{record}");
    env.stop("s").expect(0, "stopped");
}
