//! The worker's environment at birth: process session, signals, descriptors, variables and logs.

use nix::sys::signal::Signal;
use rekindle_smoke::{Launcher, TestEnv, cli, procs, programs, tests, wait};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

tests![
    signals_are_the_default_whatever_the_launcher_does,
    no_descriptor_of_the_launcher_leaks,
    closed_standard_descriptors_confuse_nobody,
    the_environment_is_the_callers_and_ours,
    a_cleared_environment_holds_what_was_declared,
    a_hang_up_of_the_launchers_group_spares_the_worker,
    logs_are_files_and_the_previous_run_is_kept,
    an_exit_code_survives_an_ignored_sigchld,
    files_are_private_whatever_the_umask,
];

/// Ignores and blocks signals, opens its umask, leaks descriptors low and high, and becomes the command.
const HOSTILE_LAUNCHER: &str = "
import os, signal, sys
for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGUSR1, 40):
    signal.signal(each, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
os.umask(0)
for target in (7, 10, 33, 900):
    os.dup2(os.open('/etc/passwd', os.O_RDONLY), target, inheritable=True)
os.execv(sys.argv[1], sys.argv[1:])
";

/// `rekindle up` of a worker that never answers, from a hostile launcher.
fn hostile_up(env: &TestEnv) -> Launcher {
    let mut command = env.command(programs::python());
    command.args(["-c", HOSTILE_LAUNCHER]).arg(cli::binary()).args(["--json", "--dir"]).arg(env.state());
    Launcher::start({
        command.args(["up", "s", "--", "sleep", "1000"]);
        command
    })
}

/// Waits until the worker runs its program, and returns the pid.
fn born(env: &TestEnv) -> procs::Pid {
    let pid = env.worker_pid("s");
    wait::until("the worker is its program", || procs::runs(pid, "sleep"));
    pid
}

fn end(env: &TestEnv, launcher: Launcher) {
    env.stop("s");
    launcher.finish().expect(5, "child-exited");
    env.assert_nothing_left("s");
}

/// P6, P10, P18, T21.
fn signals_are_the_default_whatever_the_launcher_does() {
    let env = TestEnv::new();
    let launcher = hostile_up(&env);
    let pid = born(&env);
    for set in ["SigIgn", "SigBlk", "SigCgt", "SigPnd", "ShdPnd"] {
        assert_eq!(procs::signals(pid, set), Some(0), "{set}");
    }
    assert_eq!(procs::session(pid), Some(pid), "it leads a session of its own");
    assert_eq!(procs::status(pid, "Umask").as_deref(), Some("0000"), "U3: the launcher's");
    end(&env, launcher);
}

/// P15, T23.
fn no_descriptor_of_the_launcher_leaks() {
    let env = TestEnv::new();
    let launcher = hostile_up(&env);
    let pid = born(&env);
    let expected: BTreeMap<i32, PathBuf> = [
        (0, PathBuf::from("/dev/null")),
        (1, env.of("s", "stdout.log")),
        (2, env.of("s", "stderr.log")),
        (10, env.of("s", "lifeline")),
    ]
    .into();
    // A starting program opens a file now and then; inherited descriptors stay.
    wait::until("it has nothing but its own", || procs::descriptors(pid) == expected);
    end(&env, launcher);
}

/// L21.
fn closed_standard_descriptors_confuse_nobody() {
    let env = TestEnv::new();
    let mut command = env.command("sh");
    command.args(["-c", "exec \"$@\" <&- >&- 2>&-", "sh"]).arg(cli::binary()).arg("--dir").arg(env.state());
    command.args(["up", "s", "--"]).arg(cli::binary()).arg("worker");
    assert_eq!(Launcher::start(command).finish().code, Some(0));
    let pid = env.worker_pid("s");
    assert_eq!(procs::descriptors(pid).get(&10), Some(&env.of("s", "lifeline")));
    assert_eq!(procs::descriptors(pid).get(&1), Some(&env.of("s", "stdout.log")));
    assert!(env.record("s")["schema_version"].is_u64(), "nothing was printed into a file");
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

/// P20: the worker's nonce is not the claim's.
fn the_environment_is_the_callers_and_ours() {
    let env = TestEnv::new();
    let launcher = env.launch_up("s", &["--env", "MINE=a=b", "--env", "PATH=/bin"], &["sleep", "1000"]);
    let pid = born(&env);
    let environment = procs::environment(pid);
    let of = |name: &str| environment.get(name).map(String::as_str).unwrap_or_default();
    assert_eq!((of("MINE"), of("PATH")), ("a=b", "/bin"), "what is set wins over what is inherited");
    assert_eq!(of("REKINDLE_SMOKE_ENV"), env.dir().to_string_lossy(), "the rest is inherited");
    assert_eq!((of("REKINDLE_SESSION"), of("REKINDLE_GENERATION")), ("s", "1"));
    assert_eq!(of("REKINDLE_SOCKET"), env.socket("s").to_string_lossy());
    assert_eq!(of("REKINDLE_ADDRESS"), format!("unix:{}", env.socket("s").display()));
    assert_eq!(of("REKINDLE_NONCE"), env.record("s")["nonce"].as_str().expect("a record has a nonce"));
    let claim = fs::read(env.of("s", "claim")).expect("the claim is held");
    let claim: Value = serde_json::from_slice(&claim).expect("the claim is whole");
    assert_ne!(of("REKINDLE_NONCE"), claim["nonce"].as_str().expect("a claim has a nonce"));
    end(&env, launcher);
}

fn a_cleared_environment_holds_what_was_declared() {
    let env = TestEnv::new();
    let launcher = env.launch_up("s", &["--clear-env", "--env", "MINE=1"], &["sleep", "1000"]);
    let environment = procs::environment(born(&env));
    let names: BTreeSet<&str> = environment.keys().map(String::as_str).collect();
    let ours = ["SESSION", "SOCKET", "ADDRESS", "GENERATION", "NONCE"].map(|name| format!("REKINDLE_{name}"));
    let ours = ours.iter().map(String::as_str);
    assert_eq!(names, ours.chain(["MINE"]).collect());
    end(&env, launcher);
}

/// P18, T36: a hang-up reaches the launcher's group, not the worker.
fn a_hang_up_of_the_launchers_group_spares_the_worker() {
    let env = TestEnv::new();
    let mut command = env.command(programs::find("setsid", "util-linux"));
    command.arg(cli::binary()).args(["--json", "--dir"]).arg(env.state());
    command.args(["up", "s", "--", "sleep", "1000"]);
    let launcher = Launcher::start(command);
    let pid = born(&env);
    assert_eq!(procs::session(launcher.pid()), Some(launcher.pid()), "the launcher leads its group");
    procs::send(-launcher.pid(), Signal::SIGHUP);
    assert_eq!(launcher.finish().signal, Some(Signal::SIGHUP as i32));
    assert!(procs::is_running(pid));
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

/// P5: output goes to files; a launcher does not wait for grandchildren.
fn logs_are_files_and_the_previous_run_is_kept() {
    let env = TestEnv::new();
    let log = |name: &str| fs::read_to_string(env.of("s", name)).expect("the log is there");
    for run in ["one", "two"] {
        let say = format!("echo out-{run}; echo err-{run} >&2; exit 3");
        let reply = env.up("s", &["sh", "-c", &say]).expect(5, "child-exited");
        assert_eq!(reply.text("stderr_tail"), format!("err-{run}\n"), "{reply}");
        assert_eq!((log("stdout.log"), log("stderr.log")), (format!("out-{run}\n"), format!("err-{run}\n")));
    }
    assert_eq!((log("stdout.log.1"), log("stderr.log.1")), ("out-one\n".into(), "err-one\n".into()));
}

/// P10, T21.
fn an_exit_code_survives_an_ignored_sigchld() {
    let env = TestEnv::new();
    let mut command = env.command("sh");
    command.args(["-c", "trap '' CHLD; exec \"$@\"", "sh"]).arg(cli::binary()).args(["--json", "--dir"]);
    command.arg(env.state()).args(["up", "s", "--", "sh", "-c", "exit 3"]);
    let reply = Launcher::start(command).finish().expect(5, "child-exited");
    assert_eq!(reply.json["exit_code"], 3, "{reply}");
}

/// X5, U3: our files are private, and the worker has the umask of its caller.
fn files_are_private_whatever_the_umask() {
    for umask in ["000", "027", "077", "777"] {
        let env = TestEnv::new();
        let mut command = env.command("sh");
        command.args(["-c", "umask $0 && exec \"$@\"", umask]).arg(cli::binary()).args(["--json", "--dir"]);
        // Ready once the program runs: under umask 777 only root could connect to the worker's own socket.
        command.arg(env.state()).args(["up", "s", "--ready", "listen", "--", "sleep", "1000"]);
        let worker = Launcher::start(command).finish().expect_running("started").pid();
        assert_eq!(procs::status(worker, "Umask"), Some(format!("0{umask}")));
        let mode = |path: PathBuf| path.metadata().expect("it is there").permissions().mode() & 0o7777;
        assert_eq!(mode(env.state()), 0o700, "umask {umask}");
        assert_eq!(mode(env.of("s", "")), 0o700, "umask {umask}");
        for file in ["session.json", "lifeline", "sock"] {
            assert_eq!(mode(env.of("s", file)), 0o600, "umask {umask}: {file}");
        }
        for file in ["stdout.log", "stderr.log"] {
            assert_eq!(mode(env.of("s", file)) & 0o077, 0, "umask {umask}: {file}");
        }
        env.stop("s").expect(0, "stopped");
    }
}
