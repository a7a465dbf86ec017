//! `stop`, and workers that do not answer any more.

use nix::sys::signal::Signal;
use rekindle_smoke::{Scene, cli, procs, programs, trials, wait};
use std::fs;
use std::os::unix::net::UnixListener;

trials![
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

fn started(scene: &Scene, session: &str) -> procs::Pid {
    scene.up(session, &[&cli::binary_arg(), "worker"]).expect_running("started").pid()
}

fn a_stop_leaves_nothing() {
    let scene = Scene::new();
    let pid = started(&scene, "s");
    let reply = scene.stop("s").expect(0, "stopped");
    assert_eq!((reply.pid(), &reply.json["generation"]), (pid, &1.into()), "{reply}");
    assert!(!procs::is_running(pid));
    scene.assert_nothing_left("s");
    assert_eq!(scene.record("s")["state"], "exited", "record and logs stay");
    assert!(scene.of("s", "stdout.log").exists() && scene.of("s", "stderr.log").exists());
    let list = scene.rekindle(["ls"]);
    assert_eq!(list.json[0]["state"], "exited", "{list}");
}

fn a_stop_of_a_stopped_session_is_done() {
    let scene = Scene::new();
    started(&scene, "s");
    scene.stop("s").expect(0, "stopped");
    scene.stop("s").expect(0, "not-running");
    scene.stop("never-seen").expect_error(1, "unknown-session");
    assert_eq!(scene.rekindle(["show", "never-seen"]).code, Some(1));
}

/// T26, S12: alive and unreachable, and no second one is started.
fn a_worker_whose_socket_was_removed_is_unresponsive() {
    let scene = Scene::new();
    let pid = started(&scene, "s");
    fs::remove_file(scene.socket("s")).expect("the socket can be removed");
    for intent in ["ensure", "resume"] {
        let reply =
            scene.up_with("s", &["--intent", intent, "--timeout", "300ms"], &[&cli::binary_arg(), "worker"]);
        let reply = reply.expect_rejected("worker-unresponsive");
        assert_eq!(reply.pid(), pid, "{reply}");
        assert!(reply.text("next").contains("rekindle stop s --dir "), "{reply}");
        assert_eq!(reply.json["liveness"], "dormant", "{reply}");
    }
    assert_eq!(scene.processes(), [pid]);
    scene.stop("s").expect(0, "stopped");
    scene.assert_nothing_left("s");
    started(&scene, "s");
}

/// S1.
fn a_worker_that_crashed_is_replaced() {
    let scene = Scene::new();
    let first = started(&scene, "s");
    procs::send(first, Signal::SIGKILL);
    wait::until("it is gone", || !procs::is_running(first));
    assert!(scene.socket("s").exists(), "its socket is stale");
    let reply = scene.up("s", &[&cli::binary_arg(), "worker"]).expect_running("started");
    assert_eq!(reply.json["generation"], 2, "{reply}");
    programs::expect_echo(&scene.socket("s"));
}

/// T20, P7, S13.
fn a_stopped_process_is_stopped() {
    let scene = Scene::new();
    let pid = started(&scene, "s");
    procs::send(pid, Signal::SIGSTOP);
    wait::until("it is stopped", || procs::state(pid) == Some('T'));
    scene.rekindle(["stop", "s", "--term-grace", "30s"]).expect(0, "stopped");
    scene.assert_nothing_left("s");
}

/// T20, P6.
fn a_worker_that_ignores_sigterm_is_killed() {
    let scene = Scene::new();
    let worker = [cli::binary_arg(), "worker".into(), "--ignore-term".into()];
    let pid = scene.up("s", &worker.each_ref().map(String::as_str)).expect_running("started").pid();
    let reply = scene.rekindle(["stop", "s", "--term-grace", "100ms"]).expect(0, "killed");
    assert_eq!(reply.pid(), pid, "{reply}");
    scene.assert_nothing_left("s");
}

/// It does not wait for the launcher's claim; the launcher sees the exit and cleans up.
fn a_start_in_progress_can_be_stopped() {
    let scene = Scene::new();
    let launcher = scene.launch_up("s", &[], &["sleep", "1000"]);
    let pid = scene.worker_pid("s");
    wait::until("it is its program", || procs::runs(pid, "sleep"));
    scene.stop("s").expect(0, "stopped");
    let reply = launcher.finish().expect(5, "child-exited");
    assert_eq!((reply.pid(), &reply.json["after_kill"]), (pid, &false.into()), "{reply}");
    scene.assert_nothing_left("s");
}

fn all_of_them_can_be_stopped() {
    let scene = Scene::new();
    for session in ["a", "b", "c"] {
        started(&scene, session);
    }
    scene.stop("b").expect(0, "stopped");
    let reply = scene.rekindle(["stop", "--all"]);
    assert_eq!((reply.code, reply.stdout.lines().count()), (Some(0), 2), "{reply}");
    for session in ["a", "b", "c"] {
        scene.assert_nothing_left(session);
    }
}

/// T09, S2: 5 of the design.
fn what_we_did_not_start_is_attached_and_never_stopped() {
    let scene = Scene::new();
    let path = scene.path("theirs");
    let listener = UnixListener::bind(&path).expect("a scene can hold a socket");
    let named = path.display().to_string();
    let reply = scene.up_with("s", &["--socket", &named], &["true"]).expect(0, "attached");
    assert_eq!((&reply.json["managed"], &reply.json["generation"]), (&false.into(), &0.into()), "{reply}");
    assert_eq!(reply.json["pid"], std::process::id(), "{reply}");
    assert!(!scene.of("s", "claim").exists(), "no claim is kept");
    assert_eq!(scene.stop("s").code, Some(1), "nothing was started, so there is no such session");
    // In the session's own directory too.
    let own = UnixListener::bind(scene.socket("s")).expect("a session can hold a socket");
    let reply = scene.up("s", &["true"]).expect(0, "attached");
    assert_eq!((&reply.json["managed"], &reply.json["generation"]), (&false.into(), &0.into()), "{reply}");
    let reply = scene.stop("s");
    assert!(matches!(reply.code, Some(1 | 3)), "it is not ours to stop: {reply}");
    assert!(path.exists() && scene.socket("s").exists(), "no socket was removed");
    for listener in [listener, own] {
        listener.accept().expect("it still listens");
    }
}

/// T09, S2: a socket that answers although our worker is gone belongs to somebody else.
fn a_stranger_on_our_socket_is_not_stopped() {
    let scene = Scene::new();
    started(&scene, "s");
    scene.stop("s").expect(0, "stopped");
    let stranger = UnixListener::bind(scene.socket("s")).expect("a session can hold a socket");
    scene.stop("s").expect_error(3, "not-managed");
    assert!(scene.socket("s").exists(), "its socket was removed");
    let reply = scene.up("s", &["true"]).expect(0, "attached");
    assert_eq!((&reply.json["managed"], &reply.json["generation"]), (&false.into(), &0.into()), "{reply}");
    stranger.accept().expect("it still listens");
}
