//! Workers that never answer: time-out, kill, exit observed, claim released.

use nix::sys::signal::Signal;
use rekindle_smoke::{Reply, TestEnv, cli, procs, tests, wait};

tests![
    a_child_that_never_opens_its_socket_is_ended,
    a_child_that_ignores_sigterm_is_killed_with_its_group,
    a_child_that_stopped_itself_is_ended_by_sigterm,
    a_child_that_exits_early_is_reported_with_its_last_words,
    a_child_that_a_signal_ends_is_reported_with_it,
    a_daemon_that_never_answers_is_ended_too,
    a_missing_program_burns_nothing,
    a_missing_directory_burns_nothing,
    a_worker_that_answers_with_something_forged_is_ended,
];

fn expect_ended(env: &TestEnv, reply: Reply, signal: Signal) {
    let reply = reply.expect(5, "child-exited");
    assert_eq!(reply.json["after_kill"], true, "{reply}");
    assert_eq!(reply.json["signal"], signal as i32, "{reply}");
    assert!(reply.text("cause").contains("300 ms") || reply.text("cause").contains("1500 ms"), "{reply}");
    assert!(!procs::is_running(reply.pid()), "{reply}");
    env.assert_nothing_left("s");
    assert_eq!(env.record("s")["state"], "exited", "{reply}");
    // The claim was released: the next start has nothing to take over.
    env.up("s", &[&cli::binary_arg(), "worker"]).expect_running("started");
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

fn a_child_that_never_opens_its_socket_is_ended() {
    let env = TestEnv::new();
    let reply = env.up_with("s", &["--timeout", "300ms"], &["sleep", "1000"]);
    expect_ended(&env, reply, Signal::SIGTERM);
}

/// T20, P6, P22. The time-out leaves room for the shell to set its trap on a busy machine.
fn a_child_that_ignores_sigterm_is_killed_with_its_group() {
    let env = TestEnv::new();
    let options = ["--timeout", "1500ms", "--term-grace", "200ms"];
    let reply = env.up_with("s", &options, &["sh", "-c", "trap '' TERM; sleep 1000 & wait"]);
    expect_ended(&env, reply, Signal::SIGKILL);
}

/// T20, P7: without a SIGCONT, a stopped process would receive no signal before SIGKILL.
fn a_child_that_stopped_itself_is_ended_by_sigterm() {
    let env = TestEnv::new();
    let options = ["--timeout", "1500ms", "--term-grace", "30s"];
    let launcher = env.launch_up("s", &options, &["sh", "-c", "kill -STOP $$; sleep 1000"]);
    let pid = env.worker_pid("s");
    wait::until("it is stopped", || matches!(procs::state(pid), Some('T')));
    expect_ended(&env, launcher.finish(), Signal::SIGTERM);
}

/// T18, P3.
fn a_child_that_exits_early_is_reported_with_its_last_words() {
    let env = TestEnv::new();
    let reply = env.up("s", &["sh", "-c", "echo boom >&2; exit 3"]).expect(5, "child-exited");
    assert_eq!(reply.json["exit_code"], 3, "{reply}");
    assert!(reply.json["signal"].is_null() && reply.json["cause"].is_null(), "{reply}");
    assert_eq!(reply.json["after_kill"], false, "{reply}");
    assert_eq!(reply.text("stderr_tail"), "boom\n", "{reply}");
    env.assert_nothing_left("s");
}

/// P17.
fn a_child_that_a_signal_ends_is_reported_with_it() {
    let env = TestEnv::new();
    let reply = env.up("s", &["sh", "-c", "kill -SEGV $$"]).expect(5, "child-exited");
    assert!(reply.json["exit_code"].is_null(), "{reply}");
    assert_eq!(reply.json["signal"], Signal::SIGSEGV as i32, "{reply}");
    assert_eq!(reply.json["after_kill"], false, "{reply}");
    env.assert_nothing_left("s");
}

/// T19, P4: the exit of the leader is not the worker's, and the daemon is found by its lifeline.
fn a_daemon_that_never_answers_is_ended_too() {
    let env = TestEnv::new();
    let daemonise = "setsid sleep 1000 & exit 0";
    let reply = env.up_with("s", &["--timeout", "1500ms"], &["sh", "-c", daemonise]);
    let reply = reply.expect(5, "child-exited");
    assert_eq!(reply.json["after_kill"], true, "{reply}");
    env.assert_nothing_left("s");
}

/// T18, P1.
fn a_missing_program_burns_nothing() {
    let env = TestEnv::new();
    let reply = env.up("s", &["/no/such/program"]).expect(4, "spawn-start-failed");
    assert!(reply.text("message").contains("/no/such/program"), "{reply}");
    env.assert_nothing_left("s");
    let reply = env.up("s", &[&cli::binary_arg(), "worker"]).expect_running("started");
    assert_eq!(reply.json["generation"], 1, "what never started is no generation: {reply}");
}

/// T18, P1.
fn a_missing_directory_burns_nothing() {
    let env = TestEnv::new();
    let reply = env.up_with("s", &["--cwd", "/no/such/dir"], &["true"]).expect(4, "spawn-start-failed");
    assert!(reply.text("message").contains("/no/such/dir"), "{reply}");
    env.assert_nothing_left("s");
    env.up("s", &[&cli::binary_arg(), "worker"]).expect_running("started");
}

/// T14: waiting cannot help, so the launcher does not wait.
fn a_worker_that_answers_with_something_forged_is_ended() {
    let env = TestEnv::new();
    let put_a_file = "echo no socket > \"$REKINDLE_SOCKET\"; exec sleep 1000";
    let reply = env.up("s", &["sh", "-c", put_a_file]).expect(5, "child-exited");
    assert_eq!(reply.json["after_kill"], true, "{reply}");
    assert!(reply.text("cause").contains("regular file"), "{reply}");
    env.assert_no_process();
    assert!(env.socket("s").exists(), "what is no socket of ours is not removed");
}
