//! A misbehaving machine: full and read-only disks, failing locks, stopped launchers, closed terminals.

use nix::sys::signal::Signal;
use rekindle_smoke::{Launcher, Reply, TestEnv, cli, procs, programs, tests, wait};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

tests![
    a_full_disk_ends_in_a_typed_outcome needs NamespaceRoot,
    a_read_only_disk_is_named needs NamespaceRoot,
    a_lock_that_is_refused_is_a_typed_error,
    a_launcher_that_was_put_to_sleep_kills_no_healthy_worker,
    a_terminal_that_goes_away_spares_the_worker,
    a_storm_of_stops_and_conts_leaves_no_start_stuck,
];

/// A small private file system, gone with the test environment.
struct Disk(PathBuf);

impl Disk {
    fn mount(env: &TestEnv, options: &str) -> Self {
        let path = env.path("disk");
        std::fs::create_dir(&path).expect("a test environment can hold a directory");
        let disk = Self(path);
        disk.run_mount(options);
        disk
    }

    /// Changes `options` of the mounted file system.
    fn remount(&self, options: &str) {
        self.run_mount(&format!("remount,{options}"));
    }

    /// All options are given, also for a remount: otherwise `mount` repeats the present options, and the owner's uid
    /// among them is another uid in a user namespace.
    fn run_mount(&self, options: &str) {
        let program = programs::find("mount", "mount");
        let status =
            Command::new(program).args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&self.0).status();
        assert!(status.expect("`mount` can be started").success(), "{options}");
    }

    fn state(&self) -> PathBuf {
        self.0.join("state")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn up_on(env: &TestEnv, state: &Path) -> Reply {
    let mut command = env.command(cli::binary());
    command.args(["--json", "--dir"]).arg(state).args(["up", "s", "--", &cli::binary_arg(), "worker"]);
    Launcher::start(command).finish()
}

fn stop_on(env: &TestEnv, state: &Path) -> Reply {
    let mut command = env.command(cli::binary());
    command.args(["--json", "--dir"]).arg(state).args(["stop", "s"]);
    Launcher::start(command).finish()
}

/// T24, L19: no room, and no inodes, from none at all up to enough.
fn a_full_disk_ends_in_a_typed_outcome() {
    for limit in
        ["size=4k", "size=8k", "size=16k", "nr_inodes=2", "nr_inodes=4", "nr_inodes=5", "nr_inodes=7"]
    {
        let env = TestEnv::new();
        let disk = Disk::mount(&env, &format!("mode=700,{limit}"));
        let reply = up_on(&env, &disk.state());
        assert!(matches!(reply.code, Some(0 | 1 | 4 | 5)), "{limit}: {reply}");
        assert!(!reply.stderr.contains("panicked"), "{limit}: {reply}");
        if reply.code != Some(0) {
            assert!(reply.text("message").contains("errno") || reply.code == Some(5), "{limit}: {reply}");
            env.assert_no_process();
        }
        // With free space again, the next call repairs the remains of the first.
        disk.remount("size=1m,nr_inodes=100");
        let reply = up_on(&env, &disk.state());
        assert_eq!(reply.code, Some(0), "{limit}: {reply}");
        assert_eq!(env.processes(), [reply.pid()], "{limit}: {reply}");
        stop_on(&env, &disk.state()).expect(0, "stopped");
        assert!(!disk.state().join("s/claim").exists(), "{limit}");
    }
}

/// T24, L19.
fn a_read_only_disk_is_named() {
    let env = TestEnv::new();
    let disk = Disk::mount(&env, "mode=700,size=1m");
    up_on(&env, &disk.state()).expect(0, "started");
    stop_on(&env, &disk.state()).expect(0, "stopped");
    disk.remount("ro");
    let reply = up_on(&env, &disk.state()).expect(1, "error");
    assert!(reply.text("message").contains("errno 30"), "{reply}");
    env.assert_no_process();
}

/// T30, L11: a file system without locks.
fn a_lock_that_is_refused_is_a_typed_error() {
    for errno in ["ENOLCK", "EOPNOTSUPP"] {
        let env = TestEnv::new();
        let mut command = env.command(programs::find("strace", "strace"));
        command.args(["-qq", "-o", "/dev/null", "-e", &format!("inject=flock:error={errno}")]);
        command.arg(cli::binary()).args(["--json", "--dir"]).arg(env.state());
        command.args(["up", "s", "--", "sleep", "1000"]);
        let reply = Launcher::start(command).finish().expect(1, "error");
        assert!(reply.text("message").contains("lock the session directory"), "{reply}");
        env.assert_no_process();
    }
}

/// T35, A7: the launcher's time ran out while it slept; no other process is affected.
fn a_launcher_that_was_put_to_sleep_kills_no_healthy_worker() {
    const TIMEOUT: Duration = Duration::from_millis(500);
    let env = TestEnv::new();
    let gate = env.path("gate").display().to_string();
    let (python, server) = (programs::python(), programs::gated_echo_server());
    let options = ["--timeout", "500ms"];
    let launcher = env.launch_up("s", &options, &[&python, "-c", &server, "{socket}", &gate]);
    let began = Instant::now();
    let worker = env.worker_pid("s");
    launcher.signal(Signal::SIGSTOP);
    wait::until("the launcher sleeps", || procs::state(launcher.pid()) == Some('T'));
    env.file("gate", "");
    wait::until("the worker answers", || std::os::unix::net::UnixStream::connect(env.socket("s")).is_ok());
    wait::until("the launcher's time is over", || began.elapsed() > TIMEOUT * 2);
    launcher.signal(Signal::SIGCONT);
    let reply = launcher.finish().expect_running("started");
    assert_eq!((reply.pid(), &reply.json["after_kill"]), (worker, &false.into()), "{reply}");
    programs::expect_echo(&env.socket("s"));
}

/// T36, P18: the terminal of the start is closed.
fn a_terminal_that_goes_away_spares_the_worker() {
    let env = TestEnv::new();
    let state = env.state().display().to_string();
    let rekindle = cli::binary_arg();
    let line = format!("'{rekindle}' --json --dir '{state}' up s -- '{rekindle}' worker");
    let mut command = env.command(programs::find("script", "bsdutils"));
    command.args(["-qec", &line, "/dev/null"]);
    let reply = Launcher::start(command).finish();
    assert_eq!(reply.code, Some(0), "{reply}");
    let worker = env.worker_pid("s");
    env.up("s", &[&rekindle, "worker"]).expect_running("attached");
    assert_eq!(procs::session(worker), Some(worker), "it has a session of its own, without the terminal");
    programs::expect_echo(&env.socket("s"));
}

/// T36, P19: Ctrl-Z and `fg`, again and again, while workers are born.
fn a_storm_of_stops_and_conts_leaves_no_start_stuck() {
    let env = TestEnv::new();
    for round in 0..30 {
        let session = format!("s{round}");
        let mut command = env.rekindle_command(["up", &session, "--", &cli::binary_arg(), "worker"]);
        command.process_group(0);
        let launcher = Launcher::start(command);
        let group = launcher.pid();
        thread::scope(|scope| {
            let storm = scope.spawn(|| {
                for _ in 0..50 {
                    procs::send_to_group(group, Signal::SIGTSTP);
                    procs::send_to_group(group, Signal::SIGCONT);
                }
            });
            storm.join().expect("a storm passes");
        });
        let worker = launcher.finish().expect_running("started").pid();
        assert_ne!(procs::state(worker), Some('T'), "the worker does not hear of it");
        env.stop(&session).expect(0, "stopped");
    }
    env.assert_no_process();
}
