//! inotify only wakes waiters: without inotify, polling still finds every fact. Likewise without the kernel's timers,
//! which only shorten the pauses.

use nix::sys::signal::Signal;
use rekindle_smoke::{Launcher, TestEnv, cli, procs, programs, tests, wait};

tests![
    without_inotify_a_late_socket_is_found,
    without_inotify_a_daemons_end_is_observed,
    without_inotify_a_claim_that_is_given_up_is_noticed,
    without_timers_a_late_socket_is_found,
];

/// `rekindle up` without an inotify descriptor.
fn launch_without_inotify(env: &TestEnv, command: &[&str]) -> Launcher {
    launch_denied(env, "inotify_init,inotify_init1", command)
}

/// `rekindle up` with some failing system calls.
fn launch_denied(env: &TestEnv, calls: &str, command: &[&str]) -> Launcher {
    let mut strace = env.command(programs::find("strace", "strace"));
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={calls}:error=EMFILE")]);
    strace.arg(cli::binary()).args(["--json", "--dir"]).arg(env.state());
    strace.args(["up", "s", "--"]).args(command);
    Launcher::start(strace)
}

fn gated(env: &TestEnv) -> [String; 5] {
    let go = env.path("go").display().to_string();
    [programs::python(), "-c".into(), programs::gated_echo_server(), "{socket}".into(), go]
}

/// T40, A5.
fn without_inotify_a_late_socket_is_found() {
    find_a_late_socket_without("inotify_init,inotify_init1");
}

/// The same without both, with every pause by tokio.
fn without_timers_a_late_socket_is_found() {
    find_a_late_socket_without("timerfd_create");
    find_a_late_socket_without("timerfd_create,inotify_init,inotify_init1");
}

/// The trace follows the worker, so the tracer outlives `up`; the worker's record has the result.
fn find_a_late_socket_without(calls: &str) {
    let env = TestEnv::new();
    let tracer = launch_denied(&env, calls, &gated(&env).each_ref().map(String::as_str));
    env.worker_pid("s");
    env.file("go", "");
    wait::until("the record is completed", || env.record("s")["state"] == "ready");
    wait::until("the claim is released", || !env.of("s", "claim").exists());
    programs::expect_echo(&env.socket("s"));
    env.stop("s").expect(0, "stopped");
    tracer.finish().expect(0, "started");
}

/// T40, A5, T19.
fn without_inotify_a_daemons_end_is_observed() {
    let env = TestEnv::new();
    let launcher = launch_without_inotify(&env, &["sh", "-c", "setsid sleep 1000 & exit 0"]);
    let leader = env.worker_pid("s");
    wait::until("the leader has exited", || !procs::is_running(leader));
    let is_sleep = |pid: &procs::Pid| procs::runs(*pid, "sleep");
    let daemon = wait::for_some("the daemon runs", || env.processes().into_iter().find(is_sleep));
    procs::send(daemon, Signal::SIGKILL);
    let reply = launcher.finish().expect(5, "child-exited");
    assert_eq!((&reply.json["exit_code"], &reply.json["after_kill"]), (&0.into(), &false.into()), "{reply}");
    env.assert_nothing_left("s");
}

/// T40, A5, A4.
fn without_inotify_a_claim_that_is_given_up_is_noticed() {
    let env = TestEnv::new();
    let command = gated(&env);
    let first = env.launch_up("s", &[], &command.each_ref().map(String::as_str));
    let worker = env.worker_pid("s");
    let second = launch_without_inotify(&env, &command.each_ref().map(String::as_str));
    env.file("go", "");
    first.finish().expect_running("started");
    assert_eq!(second.finish().expect_running("attached").pid(), worker);
}
