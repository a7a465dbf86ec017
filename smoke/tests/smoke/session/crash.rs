//! A launcher killed at any of its system calls, and the work of the next launcher (recipe R1).

use nix::sys::signal::Signal;
use rekindle_smoke::{Launcher, TestEnv, cli, procs, programs, tests, wait};
use std::collections::BTreeMap;
use std::fs;

tests![
    a_launcher_that_dies_at_any_step_of_a_first_start,
    a_launcher_that_dies_at_any_step_of_a_restart,
    a_launcher_that_dies_at_any_step_before_its_worker_says_that_it_is_ready,
    a_launcher_that_dies_at_any_step_of_a_start_on_its_socket,
    a_call_that_fails_before_a_worker_says_that_it_is_ready,
    a_call_that_fails_of_a_start_on_its_socket,
    a_stop_that_dies_at_any_step,
];

/// The system calls with an effect, or right after an effect. All other calls belong to the loader.
const STEPS: &str = "mkdir,mkdirat,openat,flock,fchmod,fchmodat,write,rename,renameat,renameat2,unlink,unlinkat,clone,\
    socket,bind,connect,getsockopt,setsockopt,recvmsg,pidfd_open,pidfd_send_signal,kill,epoll_wait,exit_group";

/// `rekindle` under `strace`, without following children.
fn traced(env: &TestEnv, output: &str, inject: &[&str], args: &[&str]) -> Launcher {
    let mut strace = env.command(programs::find("strace", "strace"));
    strace.args(["-qq", "-o", output]).args(inject).arg(cli::binary());
    strace.args(["--json", "--dir"]).arg(env.state()).args(args);
    Launcher::start(strace)
}

/// How often each step is taken when nothing goes wrong.
fn steps_of(env: &TestEnv, args: &[&str]) -> BTreeMap<String, u32> {
    let log = env.path("trace").display().to_string();
    let reply = traced(env, &log, &["-e", &format!("trace={STEPS}")], args).finish();
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

/// Runs `rekindle` once for every step, and kills the process there.
fn at_every_step(env: &TestEnv, args: &[&str], prepare: impl Fn(), check: impl Fn(&str)) {
    prepare();
    let steps = steps_of(env, args);
    check("nothing was killed");
    let (mut killed, mut total) = (0, 0);
    for (step, times) in steps {
        for time in 1..=times {
            prepare();
            let inject = format!("inject={step}:signal=SIGKILL:when={time}");
            let reply = traced(env, "/dev/null", &["-e", &inject], args).finish();
            // strace dies of the signal of its tracee.
            killed += u32::from(reply.signal == Some(Signal::SIGKILL as i32));
            total += 1;
            check(&format!("killed at {step} number {time} of {times}"));
        }
    }
    // How often a wait asks again, and how many processes are looked at, differs from run to run.
    assert!(killed * 2 > total, "only {killed} of {total} were killed");
}

/// The next launcher finds or starts the worker, and leaves nothing else.
fn expect_one_worker(env: &TestEnv, what: &str) {
    expect_one_of(env, &[], &[&cli::binary_arg(), "worker"], what);
}

fn expect_one_of(env: &TestEnv, options: &[&str], command: &[&str], what: &str) {
    let reply = env.up_with("s", options, command);
    assert!(["started", "attached", "adopted"].contains(&reply.text("outcome")), "{what}: {reply}");
    assert_eq!(env.processes(), [reply.pid()], "{what}: {reply}");
    programs::expect_echo(&env.socket("s"));
    let files = fs::read_dir(env.of("s", "")).expect("the session is there");
    let names: Vec<String> =
        files.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let is_leftover = |name: &String| name == "claim" || name == "notify" || name.starts_with('.');
    // A worker that became ready alone is attached without the claim, so nothing is cleaned up.
    assert!(reply.text("outcome") == "attached" || !names.iter().any(is_leftover), "{what}: {names:?}");
    assert_eq!(env.record("s")["state"], "ready", "{what}");
    assert_eq!(env.record("s")["worker"]["pid"], reply.pid(), "{what}");
}

fn stop_and_forget(env: &TestEnv) {
    if env.of("s", "session.json").exists() {
        env.stop("s");
        env.assert_nothing_left("s");
        fs::remove_dir_all(env.state()).expect("the state can be removed");
    }
}

/// T02, T05, P11, R-3, R-9.
fn a_launcher_that_dies_at_any_step_of_a_first_start() {
    let env = TestEnv::new();
    let command = ["up", "s", "--", &cli::binary_arg(), "worker"];
    at_every_step(&env, &command, || stop_and_forget(&env), |what| expect_one_worker(&env, what));
}

/// T02, S1: the last worker crashed, and its socket is stale.
fn a_launcher_that_dies_at_any_step_of_a_restart() {
    let env = TestEnv::new();
    let command = ["up", "s", "--", &cli::binary_arg(), "worker"];
    let crash = || {
        env.up("s", &[&cli::binary_arg(), "worker"]);
        env.processes().iter().for_each(|pid| procs::send(*pid, Signal::SIGKILL));
        wait::until("the worker is gone", || env.processes().is_empty());
    };
    at_every_step(&env, &command, crash, |what| expect_one_worker(&env, what));
}

/// `up` of an echo server with one kind of readiness.
struct Kind {
    options: [&'static str; 2],
    worker: Vec<String>,
}

impl Kind {
    /// A worker that sends READY=1, possibly without a listening launcher.
    fn notify() -> Self {
        let server = [programs::NOTIFYING, programs::ECHO_SERVER].concat();
        let worker = [programs::python(), "-c".into(), server, "{socket}".into()].to_vec();
        Self { options: ["--ready", "notify"], worker }
    }

    /// A worker with a socket bound by the launcher.
    fn listen() -> Self {
        let worker = [programs::python(), "-c".into(), programs::INHERITING_ECHO_SERVER.into()].to_vec();
        Self { options: ["--ready", "listen"], worker }
    }

    fn worker(&self) -> Vec<&str> {
        self.worker.iter().map(String::as_str).collect()
    }

    fn command(&self) -> Vec<&str> {
        [&["up"], self.options.as_slice(), &["--timeout", "5s", "s", "--"], &self.worker()].concat()
    }

    fn killed_at_every_step(&self) {
        let env = TestEnv::new();
        let check = |what: &str| expect_one_of(&env, &self.options, &self.worker(), what);
        at_every_step(&env, &self.command(), || stop_and_forget(&env), check);
    }

    /// Fails the calls made only by this kind of start.
    fn failed_at_every_call(&self) {
        let env = TestEnv::new();
        let steps = steps_of(&env, &self.command());
        stop_and_forget(&env);
        let failed = |(name, _): &(String, u32)| FAILED.contains(&name.as_str());
        let (mut hit, log) = (0, env.path("trace").display().to_string());
        for (call, times) in steps.into_iter().filter(failed) {
            for (time, errno) in (1..=times).flat_map(|time| ERRNOS.map(|errno| (time, errno))) {
                let inject = format!("inject={call}:error={errno}:when={time}");
                let reply = traced(&env, &log, &["-e", &inject], &self.command()).finish();
                let what = format!("{call} number {time} fails with {errno}: {reply}");
                assert!(reply.code.is_some_and(|code| [0, 1, 3, 4, 5].contains(&code)), "{what}");
                assert!(!reply.stderr.contains("panicked") && !reply.text("outcome").is_empty(), "{what}");
                hit += u32::from(fs::read_to_string(&log).is_ok_and(|log| log.contains("(INJECTED)")));
                expect_one_of(&env, &self.options, &self.worker(), &what);
                stop_and_forget(&env);
            }
        }
        assert!(hit > 10, "only {hit} calls failed");
    }
}

/// The calls to fail, and the errnos.
const FAILED: [&str; 6] = ["socket", "bind", "fchmod", "fchmodat", "setsockopt", "recvmsg"];
const ERRNOS: [&str; 3] = ["EIO", "ENOMEM", "EMFILE"];

/// T02, P11.
fn a_launcher_that_dies_at_any_step_before_its_worker_says_that_it_is_ready() {
    Kind::notify().killed_at_every_step();
}

/// T02, P11, S1.
fn a_launcher_that_dies_at_any_step_of_a_start_on_its_socket() {
    Kind::listen().killed_at_every_step();
}

/// P16.
fn a_call_that_fails_before_a_worker_says_that_it_is_ready() {
    Kind::notify().failed_at_every_call();
}

/// P16.
fn a_call_that_fails_of_a_start_on_its_socket() {
    Kind::listen().failed_at_every_call();
}

/// Promise 7 of the catalogue: the next command repairs the state.
fn a_stop_that_dies_at_any_step() {
    let env = TestEnv::new();
    let start = || drop(env.up("s", &[&cli::binary_arg(), "worker"]).expect(0, "started"));
    let check = |what: &str| {
        let reply = env.stop("s");
        assert!(["stopped", "not-running"].contains(&reply.text("outcome")), "{what}: {reply}");
        env.assert_nothing_left("s");
    };
    at_every_step(&env, &["stop", "s"], start, check);
}
