//! Launchers that end before their worker is ready, and the findings of the next launcher.

use nix::sys::signal::Signal;
use rekindle_smoke::{Launcher, TestEnv, procs, programs, tests, wait};
use std::path::PathBuf;

tests![
    a_worker_whose_launcher_was_killed_is_adopted,
    a_worker_that_came_up_alone_is_attached_and_recorded,
    an_interrupted_launcher_leaves_its_worker_to_the_next,
    an_adopted_worker_that_never_answers_is_ended,
    an_adopted_worker_that_ends_is_replaced,
];

/// `up` of an echo server that waits for the file `go`.
fn launch_gated(env: &TestEnv) -> Launcher {
    let go = env.path("go").display().to_string();
    let server = programs::gated_echo_server();
    env.launch_up("s", &[], &[&programs::python(), "-c", &server, "{socket}", &go])
}

fn open_the_gate(env: &TestEnv) {
    env.file("go", "");
}

/// Waits until `launcher` watches the worker: the launcher has probed the socket before, and holds a pidfd since.
fn until_it_adopts(launcher: &Launcher) {
    wait::until("the next launcher watches the worker", || {
        let is_pidfd = |target: &PathBuf| target.to_string_lossy().contains("[pidfd]");
        procs::descriptors(launcher.pid()).values().any(is_pidfd)
    });
}

/// T02, P11.
fn a_worker_whose_launcher_was_killed_is_adopted() {
    let env = TestEnv::new();
    let launcher = launch_gated(&env);
    let worker = env.worker_pid("s");
    launcher.signal(Signal::SIGKILL);
    assert_eq!(launcher.finish().signal, Some(Signal::SIGKILL as i32));
    let next = launch_gated(&env);
    until_it_adopts(&next);
    open_the_gate(&env);
    let reply = next.finish().expect_running("adopted");
    assert_eq!((reply.pid(), &reply.json["generation"]), (worker, &1.into()), "{reply}");
    assert_eq!(env.record("s")["state"], "ready");
    assert_eq!(env.record("s")["worker"]["pid"], worker);
    programs::expect_echo(&env.socket("s"));
    assert_eq!(launch_gated(&env).finish().expect_running("attached").pid(), worker);
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

/// T02: a start succeeds without a watching launcher.
fn a_worker_that_came_up_alone_is_attached_and_recorded() {
    let env = TestEnv::new();
    let launcher = launch_gated(&env);
    let worker = env.worker_pid("s");
    launcher.signal(Signal::SIGKILL);
    launcher.finish();
    open_the_gate(&env);
    wait::until("it answers", || {
        env.rekindle(["probe", &env.socket("s").to_string_lossy()]).text("verdict") == "alive"
    });
    assert_eq!(launch_gated(&env).finish().expect_running("attached").pid(), worker);
    assert_eq!(env.record("s")["state"], "ready", "whoever finds it live completes the record");
    assert_eq!(env.record("s")["worker"]["pid"], worker);
    assert!(!env.of("s", "claim").exists(), "the stale claim was cleared");
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

/// T36.
fn an_interrupted_launcher_leaves_its_worker_to_the_next() {
    let env = TestEnv::new();
    let launcher = launch_gated(&env);
    let worker = env.worker_pid("s");
    wait::until("the launcher listens for Ctrl-C", || procs::catches(launcher.pid(), Signal::SIGINT));
    launcher.signal(Signal::SIGINT);
    let reply = launcher.finish().expect(130, "error");
    assert_eq!(reply.text("reason"), "interrupted", "{reply}");
    assert!(procs::is_running(worker), "the worker goes on");
    let next = launch_gated(&env);
    until_it_adopts(&next);
    open_the_gate(&env);
    assert_eq!(next.finish().expect_running("adopted").pid(), worker);
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

fn an_adopted_worker_that_never_answers_is_ended() {
    let env = TestEnv::new();
    let launcher = env.launch_up("s", &[], &["sleep", "1000"]);
    let worker = env.worker_pid("s");
    launcher.signal(Signal::SIGKILL);
    launcher.finish();
    let reply = env.up_with("s", &["--timeout", "300ms"], &["sleep", "1000"]).expect(5, "child-exited");
    assert_eq!((reply.pid(), &reply.json["after_kill"]), (worker, &true.into()), "{reply}");
    env.assert_nothing_left("s");
    assert_eq!(env.record("s")["generation"], 1, "no second worker was started");
}

/// 5.4 of the design: the same call starts a fresh worker within its deadline.
fn an_adopted_worker_that_ends_is_replaced() {
    let env = TestEnv::new();
    let launcher = launch_gated(&env);
    let worker = env.worker_pid("s");
    launcher.signal(Signal::SIGKILL);
    launcher.finish();
    let next = launch_gated(&env);
    until_it_adopts(&next);
    procs::send(worker, Signal::SIGKILL);
    wait::until("a fresh one is recorded", || env.record("s")["generation"] == 2);
    open_the_gate(&env);
    let reply = next.finish().expect_running("started");
    assert_ne!(reply.pid(), worker, "{reply}");
    assert_eq!(reply.json["generation"], 2, "{reply}");
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}
