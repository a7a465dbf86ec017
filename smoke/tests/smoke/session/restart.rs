//! A restart: ends the worker and starts another worker under the same claim.

use nix::sys::signal::Signal;
use rekindle::{Ensured, Error, Intent, KillPolicy, Launch, Sessions, SpawnError, StopSignal};
use rekindle_smoke::starts::id;
use rekindle_smoke::{Reply, TestEnv, cli, procs, programs, tests, wait};
use std::os::unix::net::UnixListener;
use std::time::Duration;

tests![
    a_restart_ends_the_worker_and_starts_another,
    a_restart_starts_a_worker_where_none_runs,
    a_restart_whose_program_is_missing_ends_nobody,
    a_launcher_beside_a_restart_gets_the_new_worker,
    a_worker_that_may_not_be_killed_is_kept_and_named,
    a_stranger_is_not_restarted,
    a_restart_that_is_killed_leaves_the_next_launcher_free,
];

fn worker() -> [String; 2] {
    [cli::binary_arg(), "worker".into()]
}

fn up(env: &TestEnv, options: &[&str], more: &[&str]) -> Reply {
    let worker = worker();
    let words: Vec<&str> = worker.iter().map(String::as_str).chain(more.iter().copied()).collect();
    env.up_with("s", options, &words)
}

fn restart(env: &TestEnv, options: &[&str], more: &[&str]) -> Reply {
    up(env, &[&["--intent", "restart"], options].concat(), more)
}

fn a_restart_ends_the_worker_and_starts_another() {
    let env = TestEnv::new();
    let first = up(&env, &[], &[]).expect_running("started").pid();
    let reply = restart(&env, &[], &[]).expect_running("started");
    assert_eq!(reply.json["generation"], 2, "{reply}");
    assert!(!procs::is_running(first) && reply.pid() != first, "{reply}");
    assert_eq!(env.processes(), [reply.pid()]);
    programs::expect_echo(&env.socket("s"));
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

fn a_restart_starts_a_worker_where_none_runs() {
    let env = TestEnv::new();
    assert_eq!(restart(&env, &[], &[]).expect_running("started").json["generation"], 1);
    env.stop("s").expect(0, "stopped");
    assert_eq!(restart(&env, &[], &[]).expect_running("started").json["generation"], 2);
}

fn a_restart_whose_program_is_missing_ends_nobody() {
    let env = TestEnv::new();
    let pid = up(&env, &[], &[]).expect_running("started").pid();
    let missing = env.path("missing").display().to_string();
    let reply = env.up_with("s", &["--intent", "restart"], &[&missing]);
    reply.expect(4, "spawn-start-failed");
    // The library can also be called without a program.
    let sessions = Sessions::open(env.state()).expect("the state directory can be used");
    let nothing = Launch::attach().intent(Intent::Restart);
    let outcome = wait::run(async { sessions.ensure(&id("s"), nothing).await });
    assert!(matches!(outcome, Ok(Ensured::NotStarted(SpawnError::NoProgram))), "{outcome:?}");
    assert_eq!(env.processes(), [pid]);
    programs::expect_echo(&env.socket("s"));
    assert_eq!(up(&env, &[], &[]).expect_running("attached").pid(), pid);
}

/// T01: while the old worker is ending, no launcher starts another worker.
fn a_launcher_beside_a_restart_gets_the_new_worker() {
    let env = TestEnv::new();
    let first = up(&env, &[], &["--ignore-term"]).expect_running("started").pid();
    procs::send(first, Signal::SIGSTOP);
    wait::until("it is stopped", || procs::state(first) == Some('T'));
    let worker = worker();
    let words: Vec<&str> = worker.iter().map(String::as_str).collect();
    let options = ["--intent", "restart", "--term-grace", "700ms"];
    let restart = env.launch_up("s", &options, &words);
    wait::until("the restart holds the claim", || env.of("s", "claim").exists());
    let beside = env.launch_up("s", &["--intent", "resume"], &words);
    let reply = restart.finish().expect_running("started");
    // The launcher waited for the claim, and finds a running worker.
    beside.finish().expect_rejected("already-live");
    assert_eq!(env.processes(), [reply.pid()]);
    assert!(!procs::is_running(first));
}

/// A restart keeps a plan without SIGKILL too.
fn a_worker_that_may_not_be_killed_is_kept_and_named() {
    let env = TestEnv::new();
    let pid = up(&env, &[], &["--ignore-term"]).expect_running("started").pid();
    let gentle = KillPolicy::TermOnly { grace: Duration::from_millis(50), signal: StopSignal::TERM };
    let launch = Launch::new(cli::binary()).arg("worker").intent(Intent::Restart).kill_policy(gentle);
    let sessions = Sessions::open(env.state()).expect("the state directory can be used");
    let restarted = wait::run(async { sessions.ensure(&id("s"), launch).await });
    match restarted {
        Err(Error::NotEnded { survivors, .. }) => {
            assert!(survivors.iter().any(|survivor| survivor.as_raw() == pid), "{survivors:?}");
        }
        other => panic!("it did not end: {other:?}"),
    }
    assert_eq!(env.processes(), [pid]);
    assert!(!env.of("s", "claim").exists(), "the claim is released");
    env.rekindle(["stop", "s", "--term-grace", "50ms"]).expect(0, "killed");
}

/// T09: a process that answers without being the session's worker stays.
fn a_stranger_is_not_restarted() {
    let env = TestEnv::new();
    up(&env, &[], &[]).expect_running("started");
    env.stop("s").expect(0, "stopped");
    let stranger = UnixListener::bind(env.socket("s")).expect("a session can hold a socket");
    restart(&env, &[], &[]).expect_rejected("already-live");
    assert!(env.socket("s").exists(), "its socket was removed");
    stranger.accept().expect("it still listens");
}

/// P11: a restart killed while the old worker is ending blocks no later launcher.
fn a_restart_that_is_killed_leaves_the_next_launcher_free() {
    let env = TestEnv::new();
    let first = up(&env, &[], &["--ignore-term"]).expect_running("started").pid();
    let worker = worker();
    let words: Vec<&str> = worker.iter().map(String::as_str).collect();
    let restart = env.launch_up("s", &["--intent", "restart", "--term-grace", "30s"], &words);
    wait::until("the restart holds the claim", || env.of("s", "claim").exists());
    restart.signal(Signal::SIGKILL);
    restart.finish();
    let reply = up(&env, &[], &[]);
    assert_eq!(reply.expect_running("attached").pid(), first, "the old worker was not ended yet");
    procs::send(first, Signal::SIGKILL);
    wait::until("it is gone", || !procs::is_running(first));
    assert_eq!(up(&env, &[], &[]).expect_running("started").json["generation"], 2);
}
