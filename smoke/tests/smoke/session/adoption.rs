//! Launchers that end before their worker is ready, and what the next one finds.

use nix::sys::signal::Signal;
use rekindle_smoke::{Launcher, Scene, procs, programs, trials, wait};
use std::path::PathBuf;

trials![
    a_worker_whose_launcher_was_killed_is_adopted,
    a_worker_that_came_up_alone_is_attached_and_recorded,
    an_interrupted_launcher_leaves_its_worker_to_the_next,
    an_adopted_worker_that_never_answers_is_ended,
    an_adopted_worker_that_ends_is_replaced,
];

/// `up` of an echo server that waits for the file `go`.
fn launch_gated(scene: &Scene) -> Launcher {
    let go = scene.path("go").display().to_string();
    let server = programs::gated_echo_server();
    scene.launch_up("s", &[], &[&programs::python(), "-c", &server, "{socket}", &go])
}

fn open_the_gate(scene: &Scene) {
    scene.file("go", "");
}

/// Waits until `launcher` has taken the worker in its care: it has looked for the socket before, and pinned it since.
fn until_it_adopts(launcher: &Launcher) {
    wait::until("the next launcher watches the worker", || {
        let is_pidfd = |target: &PathBuf| target.to_string_lossy().contains("[pidfd]");
        procs::descriptors(launcher.pid()).values().any(is_pidfd)
    });
}

/// T02, P11.
fn a_worker_whose_launcher_was_killed_is_adopted() {
    let scene = Scene::new();
    let launcher = launch_gated(&scene);
    let worker = scene.worker_pid("s");
    launcher.signal(Signal::SIGKILL);
    assert_eq!(launcher.finish().signal, Some(Signal::SIGKILL as i32));
    let next = launch_gated(&scene);
    until_it_adopts(&next);
    open_the_gate(&scene);
    let reply = next.finish().expect_running("adopted");
    assert_eq!((reply.pid(), &reply.json["generation"]), (worker, &1.into()), "{reply}");
    assert_eq!(scene.record("s")["state"], "ready");
    assert_eq!(scene.record("s")["worker"]["pid"], worker);
    programs::expect_echo(&scene.socket("s"));
    assert_eq!(launch_gated(&scene).finish().expect_running("attached").pid(), worker);
    scene.stop("s").expect(0, "stopped");
    scene.assert_nothing_left("s");
}

/// T02: nobody has to watch for a start to succeed.
fn a_worker_that_came_up_alone_is_attached_and_recorded() {
    let scene = Scene::new();
    let launcher = launch_gated(&scene);
    let worker = scene.worker_pid("s");
    launcher.signal(Signal::SIGKILL);
    launcher.finish();
    open_the_gate(&scene);
    wait::until("it answers", || {
        scene.rekindle(["probe", &scene.socket("s").to_string_lossy()]).text("verdict") == "alive"
    });
    assert_eq!(launch_gated(&scene).finish().expect_running("attached").pid(), worker);
    assert_eq!(scene.record("s")["state"], "ready", "whoever finds it live completes the record");
    assert_eq!(scene.record("s")["worker"]["pid"], worker);
    assert!(!scene.of("s", "claim").exists(), "the stale claim was cleared");
    scene.stop("s").expect(0, "stopped");
    scene.assert_nothing_left("s");
}

/// T36.
fn an_interrupted_launcher_leaves_its_worker_to_the_next() {
    let scene = Scene::new();
    let launcher = launch_gated(&scene);
    let worker = scene.worker_pid("s");
    wait::until("the launcher listens for Ctrl-C", || procs::catches(launcher.pid(), Signal::SIGINT));
    launcher.signal(Signal::SIGINT);
    let reply = launcher.finish().expect(130, "error");
    assert_eq!(reply.text("reason"), "interrupted", "{reply}");
    assert!(procs::is_running(worker), "the worker goes on");
    let next = launch_gated(&scene);
    until_it_adopts(&next);
    open_the_gate(&scene);
    assert_eq!(next.finish().expect_running("adopted").pid(), worker);
    scene.stop("s").expect(0, "stopped");
    scene.assert_nothing_left("s");
}

fn an_adopted_worker_that_never_answers_is_ended() {
    let scene = Scene::new();
    let launcher = scene.launch_up("s", &[], &["sleep", "1000"]);
    let worker = scene.worker_pid("s");
    launcher.signal(Signal::SIGKILL);
    launcher.finish();
    let reply = scene.up_with("s", &["--timeout", "300ms"], &["sleep", "1000"]).expect(5, "child-exited");
    assert_eq!((reply.pid(), &reply.json["after_kill"]), (worker, &true.into()), "{reply}");
    scene.assert_nothing_left("s");
    assert_eq!(scene.record("s")["generation"], 1, "no second worker was started");
}

/// 5.4 of the design: the same call starts a fresh one as long as its deadline allows.
fn an_adopted_worker_that_ends_is_replaced() {
    let scene = Scene::new();
    let launcher = launch_gated(&scene);
    let worker = scene.worker_pid("s");
    launcher.signal(Signal::SIGKILL);
    launcher.finish();
    let next = launch_gated(&scene);
    until_it_adopts(&next);
    procs::send(worker, Signal::SIGKILL);
    wait::until("a fresh one is recorded", || scene.record("s")["generation"] == 2);
    open_the_gate(&scene);
    let reply = next.finish().expect_running("started");
    assert_ne!(reply.pid(), worker, "{reply}");
    assert_eq!(reply.json["generation"], 2, "{reply}");
    scene.stop("s").expect(0, "stopped");
    scene.assert_nothing_left("s");
}
