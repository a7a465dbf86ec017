//! As the first process of a pid namespace, as in a container, `supervise` and `lifecycle acquire` reap the orphans
//! that the kernel reparents to them.

use rekindle_smoke::harness::pid_ns;
use rekindle_smoke::procs::{self, Pid};
use rekindle_smoke::{Launcher, TestEnv, cli, tests, wait};
use std::process::{Command, Stdio};

tests![
    a_supervisor_that_is_pid_1_reaps_orphans,
    a_holder_that_is_pid_1_reaps_orphans,
    a_program_below_pid_1_ends_as_ever,
    the_exit_status_of_our_own_child_is_not_taken,
];

/// The number of orphans at once.
const ORPHANS: usize = 20;

/// A shell script that makes orphans, running until `file` exists.
fn orphans(file: &str) -> String {
    let orphan = format!("(sh -c 'while [ ! -e {file} ]; do sleep 0.01; done' &)");
    format!("i=0; while [ $i -lt {ORPHANS} ]; do {orphan}; i=$((i + 1)); done")
}

/// A shell script that waits for `file`.
fn wait_for(file: &str) -> String {
    format!("while [ ! -e {file} ]; do sleep 0.01; done")
}

/// `rekindle ARGS` as pid 1. Before exec, the shell makes orphans, which belong to pid 1 from then on.
fn as_pid_1(env: &TestEnv, args: &str) -> Command {
    let binary = cli::binary_arg();
    let unshare = pid_ns::unshare();
    let mut command = env.command(unshare.get_program());
    command.args(unshare.get_args());
    command.args(["sh", "-c", &format!("{}; exec {binary} {args}", orphans("go"))]);
    command.stdin(Stdio::piped());
    command
}

/// The outer pid of pid 1.
fn pid_1(launcher: &Launcher) -> Pid {
    let runs = |pid: &Pid| procs::command_line(*pid).starts_with(&cli::binary_arg());
    wait::for_some("pid 1 is ours", || procs::children(launcher.pid()).into_iter().find(runs))
}

/// Lets orphans end, and waits until all are reaped.
fn are_reaped(env: &TestEnv, parent: Pid, at_least: usize) {
    wait::until("they are orphans", || procs::children(parent).len() > at_least);
    env.file("go", "");
    // Of the running children, only the program is left.
    wait::until("they have ended and are reaped", || {
        procs::children(parent).len() == 1 && procs::zombies_of(parent) == 0
    });
}

/// U14: orphans beside the guardian, and below.
fn a_supervisor_that_is_pid_1_reaps_orphans() {
    let env = TestEnv::new();
    env.file("program", format!("{}; {}; exit 7", orphans("go"), wait_for("end")));
    let launcher = Launcher::start(as_pid_1(&env, "supervise --json --stdin-grace 60s -- sh program"));
    let init = pid_1(&launcher);
    let is_guardian = |pid: &Pid| procs::command_line(*pid).starts_with("rekindle-guardian");
    let guardian = wait::for_some("a guardian runs", || procs::children(init).into_iter().find(is_guardian));
    wait::until("all orphans are there", || procs::children(guardian).len() > ORPHANS);
    are_reaped(&env, init, ORPHANS);
    wait::until("those below are reaped", || {
        procs::children(guardian).len() == 1 && procs::zombies_of(guardian) == 0
    });
    env.file("end", "");
    let reply = launcher.finish();
    assert_eq!(reply.code, Some(7), "{reply}");
    env.assert_no_process();
}

/// U14: there is no guardian here, so all orphans are pid 1's.
fn a_holder_that_is_pid_1_reaps_orphans() {
    let env = TestEnv::new();
    env.file("program", format!("{}; {}; exit 7", orphans("go"), wait_for("end")));
    let launcher = Launcher::start(as_pid_1(&env, "lifecycle acquire --path marker -- sh program"));
    are_reaped(&env, pid_1(&launcher), 2 * ORPHANS);
    env.file("end", "");
    let reply = launcher.finish();
    assert_eq!(reply.code, Some(7), "{reply}");
    assert!(!env.path("marker").exists(), "the lock is released with the program");
    env.assert_no_process();
}

/// U14: a stream of ending orphans disturbs no exit status.
fn a_program_below_pid_1_ends_as_ever() {
    for verb in ["supervise --stdin-grace 60s", "lifecycle acquire --path marker"] {
        for (end, code) in [("exit 0", 0), ("exit 9", 9), ("kill -9 $$", 137), ("kill -15 $$", 143)] {
            let env = TestEnv::new();
            env.file("go", "");
            env.file("program", format!("{}; {}; {end}", orphans("go"), orphans("go")));
            let reply = Launcher::start(as_pid_1(&env, &format!("{verb} -- sh program"))).finish();
            assert_eq!(reply.code, Some(code), "{verb}, {end}: {reply}");
        }
    }
}

/// A process that is neither pid 1 nor a subreaper receives no orphans.
fn the_exit_status_of_our_own_child_is_not_taken() {
    use rekindle_adapters::orphans;
    assert!(!orphans::come_to_us(), "the suite runs below another process");
    let env = TestEnv::new();
    let mut ours = env.command("true").spawn().expect("`true` is a program");
    let pid = Pid::try_from(ours.id()).expect("a pid is an i32");
    wait::until("it has ended", || procs::state(pid) == Some('Z'));
    let kept = [rekindle_core::Pid::new(pid).expect("a pid is positive")];
    assert_eq!(orphans::reap_all_but(&kept), orphans::Reaped::UpToOurs);
    assert_eq!(ours.wait().expect("its status was left to us").code(), Some(0));
    assert_eq!(orphans::reap_all_but(&kept), orphans::Reaped::All);
}
