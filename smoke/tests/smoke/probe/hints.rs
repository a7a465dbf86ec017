//! Hints only wake: with inotify denied everything still comes true, by asking again and again. So it does with the
//! kernel's timers denied, which only make the pauses shorter.

use nix::sys::signal::Signal;
use rekindle_smoke::{Launcher, Scene, cli, procs, programs, trials, wait};

trials![
    without_inotify_a_late_socket_is_found,
    without_inotify_a_daemons_end_is_observed,
    without_inotify_a_claim_that_is_given_up_is_noticed,
    without_timers_a_late_socket_is_found,
];

/// `rekindle up` for which there is no inotify descriptor to be had.
fn launch_without_inotify(scene: &Scene, command: &[&str]) -> Launcher {
    launch_denied(scene, "inotify_init,inotify_init1", command)
}

/// `rekindle up` for which some system calls fail.
fn launch_denied(scene: &Scene, calls: &str, command: &[&str]) -> Launcher {
    let mut strace = scene.command(programs::find("strace", "strace"));
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={calls}:error=EMFILE")]);
    strace.arg(cli::binary()).args(["--json", "--dir"]).arg(scene.state());
    strace.args(["up", "s", "--"]).args(command);
    Launcher::start(strace)
}

fn gated(scene: &Scene) -> [String; 5] {
    let go = scene.path("go").display().to_string();
    [programs::python(), "-c".into(), programs::gated_echo_server(), "{socket}".into(), go]
}

/// T40, A5.
fn without_inotify_a_late_socket_is_found() {
    find_a_late_socket_without("inotify_init,inotify_init1");
}

/// Nor with both denied, when every pause is tokio's.
fn without_timers_a_late_socket_is_found() {
    find_a_late_socket_without("timerfd_create");
    find_a_late_socket_without("timerfd_create,inotify_init,inotify_init1");
}

/// The trace follows the worker and so outlives `up`; the worker's record says how that went.
fn find_a_late_socket_without(calls: &str) {
    let scene = Scene::new();
    let tracer = launch_denied(&scene, calls, &gated(&scene).each_ref().map(String::as_str));
    scene.worker_pid("s");
    scene.file("go", "");
    wait::until("the record is completed", || scene.record("s")["state"] == "ready");
    wait::until("the claim is released", || !scene.of("s", "claim").exists());
    programs::expect_echo(&scene.socket("s"));
    scene.stop("s").expect(0, "stopped");
    tracer.finish().expect(0, "started");
}

/// T40, A5, T19.
fn without_inotify_a_daemons_end_is_observed() {
    let scene = Scene::new();
    let launcher = launch_without_inotify(&scene, &["sh", "-c", "setsid sleep 1000 & exit 0"]);
    let leader = scene.worker_pid("s");
    wait::until("the leader has exited", || !procs::is_running(leader));
    let is_sleep = |pid: &procs::Pid| procs::runs(*pid, "sleep");
    let daemon = wait::for_some("the daemon runs", || scene.processes().into_iter().find(is_sleep));
    procs::send(daemon, Signal::SIGKILL);
    let reply = launcher.finish().expect(5, "child-exited");
    assert_eq!((&reply.json["exit_code"], &reply.json["after_kill"]), (&0.into(), &false.into()), "{reply}");
    scene.assert_nothing_left("s");
}

/// T40, A5, A4.
fn without_inotify_a_claim_that_is_given_up_is_noticed() {
    let scene = Scene::new();
    let command = gated(&scene);
    let first = scene.launch_up("s", &[], &command.each_ref().map(String::as_str));
    let worker = scene.worker_pid("s");
    let second = launch_without_inotify(&scene, &command.each_ref().map(String::as_str));
    scene.file("go", "");
    first.finish().expect_running("started");
    assert_eq!(second.finish().expect_running("attached").pid(), worker);
}
