//! S3: a launcher that dies at any of its system calls, and what the next one makes of it (recipe R1).

use nix::sys::signal::Signal;
use rekindle_smoke::{Launcher, Scene, cli, procs, programs, trials, wait};
use std::collections::BTreeMap;
use std::fs;

trials![
    a_launcher_that_dies_at_any_step_of_a_first_start,
    a_launcher_that_dies_at_any_step_of_a_restart,
    a_launcher_that_dies_at_any_step_before_its_worker_says_that_it_is_ready,
    a_launcher_that_dies_at_any_step_of_a_start_on_its_socket,
    a_stop_that_dies_at_any_step,
];

/// The system calls that change something, or that something may have changed before. The others are the loader's.
const STEPS: &str = "mkdir,mkdirat,openat,flock,fchmod,write,rename,renameat,renameat2,unlink,unlinkat,clone,\
    socket,bind,connect,getsockopt,setsockopt,recvmsg,pidfd_open,pidfd_send_signal,kill,epoll_wait,exit_group";

/// `rekindle` under `strace`, which follows no child.
fn traced(scene: &Scene, output: &str, inject: &[&str], args: &[&str]) -> Launcher {
    let mut strace = scene.command(programs::find("strace", "strace"));
    strace.args(["-qq", "-o", output]).args(inject).arg(cli::binary());
    strace.args(["--json", "--dir"]).arg(scene.state()).args(args);
    Launcher::start(strace)
}

/// How often each step is taken when nothing goes wrong.
fn steps_of(scene: &Scene, args: &[&str]) -> BTreeMap<String, u32> {
    let log = scene.path("trace").display().to_string();
    let reply = traced(scene, &log, &["-e", &format!("trace={STEPS}")], args).finish();
    assert_eq!(reply.code, Some(0), "{reply}");
    let mut steps = BTreeMap::new();
    for line in fs::read_to_string(&log).expect("strace wrote its log").lines() {
        let name = line.split('(').next().unwrap_or_default();
        if STEPS.split(',').any(|step| step == name) {
            *steps.entry(name.to_owned()).or_insert(0) += 1;
        }
    }
    assert!(steps.len() > 5, "a start takes more than {steps:?}");
    steps
}

/// Runs `rekindle` once for every step, and kills it there.
fn at_every_step(scene: &Scene, args: &[&str], prepare: impl Fn(), check: impl Fn(&str)) {
    prepare();
    let steps = steps_of(scene, args);
    check("nothing was killed");
    let (mut killed, mut total) = (0, 0);
    for (step, times) in steps {
        for time in 1..=times {
            prepare();
            let inject = format!("inject={step}:signal=SIGKILL:when={time}");
            let reply = traced(scene, "/dev/null", &["-e", &inject], args).finish();
            // strace dies of what its tracee died of.
            killed += u32::from(reply.signal == Some(Signal::SIGKILL as i32));
            total += 1;
            check(&format!("killed at {step} number {time} of {times}"));
        }
    }
    // How often a wait asks again, and how many processes are looked at, differs from run to run.
    assert!(killed * 2 > total, "only {killed} of {total} were killed");
}

/// The next launcher finds the worker or starts one, and leaves nothing but it.
fn expect_one_worker(scene: &Scene, what: &str) {
    expect_one_of(scene, &[], &[&cli::binary_arg(), "worker"], what);
}

fn expect_one_of(scene: &Scene, options: &[&str], command: &[&str], what: &str) {
    let reply = scene.up_with("s", options, command);
    assert!(["started", "attached", "adopted"].contains(&reply.text("outcome")), "{what}: {reply}");
    assert_eq!(scene.processes(), [reply.pid()], "{what}: {reply}");
    programs::expect_echo(&scene.socket("s"));
    let files = fs::read_dir(scene.of("s", "")).expect("the session is there");
    let names: Vec<String> =
        files.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let is_leftover = |name: &String| name == "claim" || name == "notify" || name.starts_with('.');
    // A worker that came up alone is attached to without the claim, and so without sweeping.
    assert!(reply.text("outcome") == "attached" || !names.iter().any(is_leftover), "{what}: {names:?}");
    assert_eq!(scene.record("s")["state"], "ready", "{what}");
    assert_eq!(scene.record("s")["worker"]["pid"], reply.pid(), "{what}");
}

fn stop_and_forget(scene: &Scene) {
    if scene.of("s", "session.json").exists() {
        scene.stop("s");
        scene.assert_nothing_left("s");
        fs::remove_dir_all(scene.state()).expect("the state can be removed");
    }
}

/// T02, T05, P11, R-3, R-9.
fn a_launcher_that_dies_at_any_step_of_a_first_start() {
    let scene = Scene::new();
    let command = ["up", "s", "--", &cli::binary_arg(), "worker"];
    at_every_step(&scene, &command, || stop_and_forget(&scene), |what| expect_one_worker(&scene, what));
}

/// T02, S1: the last worker crashed, and its socket is stale.
fn a_launcher_that_dies_at_any_step_of_a_restart() {
    let scene = Scene::new();
    let command = ["up", "s", "--", &cli::binary_arg(), "worker"];
    let crash = || {
        scene.up("s", &[&cli::binary_arg(), "worker"]);
        scene.processes().iter().for_each(|pid| procs::send(*pid, Signal::SIGKILL));
        wait::until("the worker is gone", || scene.processes().is_empty());
    };
    at_every_step(&scene, &command, crash, |what| expect_one_worker(&scene, what));
}

/// T02, P11: of a worker that says when it is ready, perhaps to nobody.
fn a_launcher_that_dies_at_any_step_before_its_worker_says_that_it_is_ready() {
    let scene = Scene::new();
    let server = [programs::NOTIFYING, programs::ECHO_SERVER].concat();
    let (options, worker) = (["--ready", "notify"], [&programs::python(), "-c", &server, "{socket}"]);
    let command = [&["up"], options.as_slice(), &["s", "--"], &worker].concat();
    let check = |what: &str| expect_one_of(&scene, &options, &worker, what);
    at_every_step(&scene, &command, || stop_and_forget(&scene), check);
}

/// T02, P11, S1: of a worker whose socket the launcher binds.
fn a_launcher_that_dies_at_any_step_of_a_start_on_its_socket() {
    let scene = Scene::new();
    let (options, worker) =
        (["--ready", "listen"], [&programs::python(), "-c", programs::INHERITING_ECHO_SERVER]);
    let command = [&["up"], options.as_slice(), &["s", "--"], &worker].concat();
    let check = |what: &str| expect_one_of(&scene, &options, &worker, what);
    at_every_step(&scene, &command, || stop_and_forget(&scene), check);
}

/// Promise 7 of the catalogue: the next command repairs the state.
fn a_stop_that_dies_at_any_step() {
    let scene = Scene::new();
    let start = || drop(scene.up("s", &[&cli::binary_arg(), "worker"]).expect(0, "started"));
    let check = |what: &str| {
        let reply = scene.stop("s");
        assert!(["stopped", "not-running"].contains(&reply.text("outcome")), "{what}: {reply}");
        scene.assert_nothing_left("s");
    };
    at_every_step(&scene, &["stop", "s"], start, check);
}
