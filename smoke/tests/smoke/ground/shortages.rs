//! Exhausted resources are named, a failed start leaves nothing, and a stop still ends its worker.

use rekindle_smoke::{Account, Launcher, Reply, TestEnv, procs, tests};

tests![
    a_file_size_limit_is_an_error_and_no_death,
    a_stop_that_can_write_nothing_ends_its_worker,
    a_limit_on_open_files_is_named,
    a_limit_on_processes_is_named,
    programs_get_the_default_of_the_file_size_signal,
];

/// `rekindle --json` after a line of shell.
fn after(env: &TestEnv, line: &str, args: &[&str]) -> Reply {
    let mut command = env.command("sh");
    command.args(["-c", &format!("{line} && exec \"$@\""), "sh"]).arg(env.binary()).args(["--json", "--dir"]);
    command.arg(env.state()).args(args);
    Launcher::start(command).finish()
}

fn up(env: &TestEnv) -> Vec<String> {
    ["up", "s", "--", &env.binary_arg(), "worker"].map(ToOwned::to_owned).to_vec()
}

fn up_after(env: &TestEnv, line: &str) -> Reply {
    let up = up(env);
    after(env, line, &up.iter().map(String::as_str).collect::<Vec<_>>())
}

/// U26: SIGXFSZ would kill us without a message.
fn a_file_size_limit_is_an_error_and_no_death() {
    let env = TestEnv::new();
    let reply = up_after(&env, "ulimit -f 0");
    assert_eq!((reply.code, reply.signal), (Some(1), None), "{reply}");
    assert!(
        reply.text("message").contains("errno 27") && reply.text("hint").contains("ulimit -f"),
        "{reply}"
    );
    env.assert_no_process();
    env.rekindle(up(&env)).expect_running("started");
    env.stop("s").expect(0, "stopped");
}

/// U26: the stop reports its work, even if the record cannot be written. A full disk takes the same path.
fn a_stop_that_can_write_nothing_ends_its_worker() {
    let env = TestEnv::new();
    let worker = env.rekindle(up(&env)).expect_running("started").pid();
    let reply = after(&env, "ulimit -f 0", &["stop", "s"]).expect(1, "stopped");
    assert_eq!(reply.pid(), worker, "{reply}");
    assert!(reply.json["trouble"][0].as_str().is_some_and(|it| it.contains("errno 27")), "{reply}");
    assert!(!procs::is_running(worker));
    after(&env, "ulimit -f 0", &["stop", "s"]).expect(1, "not-running");
    env.rekindle(up(&env)).expect_running("started");
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

/// U26, at every limit of descriptors that is too small.
fn a_limit_on_open_files_is_named() {
    let env = TestEnv::new();
    let mut refused = 0;
    for limit in 4..64 {
        let reply = up_after(&env, &format!("ulimit -n {limit}"));
        if reply.code == Some(0) {
            env.stop("s").expect(0, "stopped");
            break;
        }
        // Below, not even the loader can open its libraries.
        if reply.code != Some(127) {
            refused += 1;
            assert!(reply.text("hint").contains("ulimit -n"), "{limit}: {reply}");
        }
        env.assert_no_process();
    }
    assert!(refused > 0, "some limit is too small");
}

/// U26: root has no limit on processes.
fn a_limit_on_processes_is_named() {
    let env = TestEnv::owned_by(Account::unprivileged());
    let reply = up_after(&env, "prlimit --pid $$ --nproc=1").expect(4, "spawn-start-failed");
    assert_eq!(reply.text("reason"), "too-many-processes", "{reply}");
    assert!(
        reply.text("message").contains("errno 11") && reply.text("hint").contains("ulimit -u"),
        "{reply}"
    );
    env.assert_no_process();
    assert!(!env.of("s", "claim").exists(), "its claim is released");
}

/// U26: rekindle ignores the signal, but started programs do not.
fn programs_get_the_default_of_the_file_size_signal() {
    let env = TestEnv::new();
    let report = env.path("ignored").display().to_string();
    let look = format!("grep SigIgn /proc/self/status > '{report}'; exit 3");
    let ignored = || {
        let line = std::fs::read_to_string(&report).expect("the program wrote it");
        let digits = line.split_whitespace().last().expect("it has a value");
        u64::from_str_radix(digits, 16).expect("it is a mask") & 1 << (nix::libc::SIGXFSZ - 1)
    };
    env.up("s", &["sh", "-c", &look]).expect(5, "child-exited");
    assert_eq!(ignored(), 0, "a worker");
    let marker = env.path("marker").display().to_string();
    for verb in [&["lifecycle", "acquire", "--path", &marker][..], &["supervise"]] {
        let reply = env.rekindle([verb, &["--", "sh", "-c", &look]].concat());
        assert_eq!((reply.code, ignored()), (Some(3), 0), "{verb:?}: {reply}");
    }
}
