//! `stop`, and silent workers.

use nix::sys::signal::Signal;
use rekindle_smoke::{TestEnv, cli, procs, programs, tests, wait};
use std::fs;
use std::os::unix::net::UnixListener;

tests![
    a_stop_leaves_nothing,
    a_stop_of_a_stopped_session_is_done,
    a_worker_whose_socket_was_removed_is_unresponsive,
    a_worker_that_crashed_is_replaced,
    a_stopped_process_is_stopped,
    a_worker_that_ignores_sigterm_is_killed,
    a_start_in_progress_can_be_stopped,
    all_of_them_can_be_stopped,
    what_we_did_not_start_is_attached_and_never_stopped,
    a_stranger_on_our_socket_is_not_stopped,
];

fn started(env: &TestEnv, session: &str) -> procs::Pid {
    env.up(session, &[&cli::binary_arg(), "worker"]).expect_running("started").pid()
}

fn a_stop_leaves_nothing() {
    let env = TestEnv::new();
    let pid = started(&env, "s");
    let reply = env.stop("s").expect(0, "stopped");
    assert_eq!((reply.pid(), &reply.json["generation"]), (pid, &1.into()), "{reply}");
    assert!(!procs::is_running(pid));
    env.assert_nothing_left("s");
    assert_eq!(env.record("s")["state"], "exited", "record and logs stay");
    assert!(env.of("s", "stdout.log").exists() && env.of("s", "stderr.log").exists());
    let list = env.rekindle(["ls"]);
    assert_eq!(list.json["sessions"][0]["state"], "exited", "{list}");
}

fn a_stop_of_a_stopped_session_is_done() {
    let env = TestEnv::new();
    started(&env, "s");
    env.stop("s").expect(0, "stopped");
    env.stop("s").expect(0, "not-running");
    env.stop("never-seen").expect_error(1, "unknown-session");
    assert_eq!(env.rekindle(["show", "never-seen"]).code, Some(1));
}

/// T26, S12: alive and unreachable, and no second worker is started.
fn a_worker_whose_socket_was_removed_is_unresponsive() {
    let env = TestEnv::new();
    let pid = started(&env, "s");
    fs::remove_file(env.socket("s")).expect("the socket can be removed");
    for intent in ["ensure", "resume"] {
        let reply =
            env.up_with("s", &["--intent", intent, "--timeout", "300ms"], &[&cli::binary_arg(), "worker"]);
        let reply = reply.expect_rejected("worker-unresponsive");
        assert_eq!(reply.pid(), pid, "{reply}");
        assert!(reply.text("next").contains("rekindle stop s --dir "), "{reply}");
        assert_eq!(reply.json["liveness"], "dormant", "{reply}");
    }
    assert_eq!(env.processes(), [pid]);
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
    started(&env, "s");
}

/// S1.
fn a_worker_that_crashed_is_replaced() {
    let env = TestEnv::new();
    let first = started(&env, "s");
    procs::send(first, Signal::SIGKILL);
    wait::until("it is gone", || !procs::is_running(first));
    assert!(env.socket("s").exists(), "its socket is stale");
    let reply = env.up("s", &[&cli::binary_arg(), "worker"]).expect_running("started");
    assert_eq!(reply.json["generation"], 2, "{reply}");
    programs::expect_echo(&env.socket("s"));
}

/// T20, P7, S13.
fn a_stopped_process_is_stopped() {
    let env = TestEnv::new();
    let pid = started(&env, "s");
    procs::send(pid, Signal::SIGSTOP);
    wait::until("it is stopped", || procs::state(pid) == Some('T'));
    env.rekindle(["stop", "s", "--term-grace", "30s"]).expect(0, "stopped");
    env.assert_nothing_left("s");
}

/// T20, P6.
fn a_worker_that_ignores_sigterm_is_killed() {
    let env = TestEnv::new();
    let worker = [cli::binary_arg(), "worker".into(), "--ignore-term".into()];
    let pid = env.up("s", &worker.each_ref().map(String::as_str)).expect_running("started").pid();
    let reply = env.rekindle(["stop", "s", "--term-grace", "100ms"]).expect(0, "killed");
    assert_eq!(reply.pid(), pid, "{reply}");
    env.assert_nothing_left("s");
}

/// A stop does not wait for the launcher's claim; the launcher sees the exit and cleans up.
fn a_start_in_progress_can_be_stopped() {
    let env = TestEnv::new();
    let launcher = env.launch_up("s", &[], &["sleep", "1000"]);
    let pid = env.worker_pid("s");
    wait::until("it is its program", || procs::runs(pid, "sleep"));
    env.stop("s").expect(0, "stopped");
    let reply = launcher.finish().expect(5, "child-exited");
    assert_eq!((reply.pid(), &reply.json["after_kill"]), (pid, &false.into()), "{reply}");
    env.assert_nothing_left("s");
}

fn all_of_them_can_be_stopped() {
    let env = TestEnv::new();
    for session in ["a", "b", "c"] {
        started(&env, session);
    }
    env.stop("b").expect(0, "stopped");
    let reply = env.rekindle(["stop", "--all"]);
    assert_eq!((reply.code, reply.stdout.lines().count()), (Some(0), 2), "{reply}");
    for session in ["a", "b", "c"] {
        env.assert_nothing_left(session);
    }
}

/// T09, S2: 5 of the design.
fn what_we_did_not_start_is_attached_and_never_stopped() {
    let env = TestEnv::new();
    let path = env.path("theirs");
    let listener = UnixListener::bind(&path).expect("a test environment can hold a socket");
    let named = path.display().to_string();
    let reply = env.up_with("s", &["--socket", &named], &["true"]).expect(0, "attached");
    assert_eq!((&reply.json["managed"], &reply.json["generation"]), (&false.into(), &0.into()), "{reply}");
    assert_eq!(reply.json["pid"], std::process::id(), "{reply}");
    assert!(!env.of("s", "claim").exists(), "no claim is kept");
    assert_eq!(env.stop("s").code, Some(1), "nothing was started, so there is no such session");
    // In the session's own directory too.
    let own = UnixListener::bind(env.socket("s")).expect("a session can hold a socket");
    let reply = env.up("s", &["true"]).expect(0, "attached");
    assert_eq!((&reply.json["managed"], &reply.json["generation"]), (&false.into(), &0.into()), "{reply}");
    let reply = env.stop("s");
    assert!(matches!(reply.code, Some(1 | 3)), "it is not ours to stop: {reply}");
    assert!(path.exists() && env.socket("s").exists(), "no socket was removed");
    for listener in [listener, own] {
        listener.accept().expect("it still listens");
    }
}

/// T09, S2: if a socket answers although our worker is gone, the socket belongs to another program.
fn a_stranger_on_our_socket_is_not_stopped() {
    let env = TestEnv::new();
    started(&env, "s");
    env.stop("s").expect(0, "stopped");
    let stranger = UnixListener::bind(env.socket("s")).expect("a session can hold a socket");
    env.stop("s").expect_error(3, "not-managed");
    assert!(env.socket("s").exists(), "its socket was removed");
    let reply = env.up("s", &["true"]).expect(0, "attached");
    assert_eq!((&reply.json["managed"], &reply.json["generation"]), (&false.into(), &0.into()), "{reply}");
    stranger.accept().expect("it still listens");
}
