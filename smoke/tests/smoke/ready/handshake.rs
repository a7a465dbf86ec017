//! `--ready handshake`: a worker is ready when it answers our handshake (S13, S14, T03, T33).

use crate::protocol::client::{one, patient};
use nix::sys::signal::Signal;
use rekindle::protocol::Run;
use rekindle::{Ensured, Launch, Sessions};
use rekindle_adapters::PoolClient;
use rekindle_core::plan::Environment;
use rekindle_smoke::programs::{Quirk, pool_worker, scripted_worker};
use rekindle_smoke::starts::id;
use rekindle_smoke::test_env::CANARY;
use rekindle_smoke::{Launcher, Reply, TestEnv, cli, procs, tests, wait};
use serde_json::json;
use std::fs;

tests![
    a_worker_that_answers_is_ready_and_its_version_is_kept,
    a_worker_that_accepts_and_is_silent_is_not_ready,
    a_worker_that_closes_its_first_connections_becomes_ready,
    a_worker_of_another_version_is_a_failed_start,
    a_worker_that_does_not_speak_the_protocol_is_a_failed_start,
    a_live_worker_of_another_version_is_never_ended,
    a_live_worker_that_does_not_speak_the_protocol_is_rejected,
    a_live_worker_that_is_silent_is_unresponsive,
    a_silent_worker_whose_launcher_was_killed_is_adopted,
    a_worker_of_another_version_whose_launcher_was_killed_is_not_ended,
    the_connection_that_was_greeted_is_the_callers,
    a_version_to_speak_is_needed_and_needs_a_handshake,
];

/// How often two callers of different versions ask for one session.
const ROUNDS: usize = 20;

/// The time-out of a call that waits in vain.
const IN_VAIN: &str = "400ms";

const SPEAK_1: [&str; 4] = ["--ready", "handshake", "--speak", "1"];
const SPEAK_2: [&str; 4] = ["--ready", "handshake", "--speak", "2"];

/// `up` of the scripted worker with this `version`.
fn up_scripted(env: &TestEnv, options: &[&str], version: &str) -> Reply {
    env.up_with("s", options, &[&scripted_worker(), version])
}

/// `up` of the Python worker.
fn launch_strange(env: &TestEnv, options: &[&str], quirks: &[Quirk<'_>]) -> Launcher {
    let command = pool_worker("{socket}", quirks);
    env.launch_up("s", options, &command.iter().map(String::as_str).collect::<Vec<_>>())
}

fn up_strange(env: &TestEnv, options: &[&str], quirks: &[Quirk<'_>]) -> Reply {
    launch_strange(env, options, quirks).finish()
}

#[track_caller]
fn expect_end(env: &TestEnv) {
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

/// A start that failed because of the worker's answer: the worker was ended, and the claim is free.
#[track_caller]
fn expect_failed_start(env: &TestEnv, reply: Reply, why: &[&str]) {
    let reply = reply.expect(5, "child-exited");
    assert_eq!(reply.json["after_kill"], true, "{reply}");
    for why in why {
        assert!(reply.text("cause").contains(why), "`{why}` is not in {reply}");
    }
    env.assert_nothing_left("s");
}

fn a_worker_that_answers_is_ready_and_its_version_is_kept() {
    let env = TestEnv::new();
    let first = up_scripted(&env, &SPEAK_1, "1").expect_running("started");
    assert_eq!(first.text("worker_version"), "1", "{first}");
    let record = env.record("s");
    assert_eq!(
        (&record["state"], &record["plan"]["ready"], &record["worker_version"]),
        (&json!("ready"), &json!("handshake"), &json!("1"))
    );
    let second = up_scripted(&env, &SPEAK_1, "1").expect_running("attached");
    assert_eq!((second.pid(), second.text("worker_version")), (first.pid(), "1"));
    expect_end(&env);
}

/// T03: the connection alone is no answer.
fn a_worker_that_accepts_and_is_silent_is_not_ready() {
    let env = TestEnv::new();
    let never = env.path("never").display().to_string();
    let options = [&SPEAK_1[..], &["--timeout", IN_VAIN]].concat();
    let reply = up_strange(&env, &options, &[Quirk::SilentUntil(&never)]);
    expect_failed_start(&env, reply, &[]);
    assert_eq!(env.record("s")["ready_at"], json!(null));
    // A worker with a late answer is ready then, and not before.
    let go = env.path("go").display().to_string();
    let launcher = launch_strange(&env, &SPEAK_1, &[Quirk::SilentUntil(&go)]);
    wait::until("it has been asked", || times_asked(&env) == 1);
    assert_eq!(env.record("s")["state"], "starting");
    env.file("go", "");
    launcher.finish().expect_running("started");
    expect_end(&env);
}

/// The number of requests to a worker that is silent until the file `go` exists.
fn times_asked(env: &TestEnv) -> usize {
    fs::read_to_string(env.path("go.asked")).unwrap_or_default().lines().count()
}

fn a_worker_that_closes_its_first_connections_becomes_ready() {
    let env = TestEnv::new();
    up_strange(&env, &SPEAK_1, &[Quirk::Slams(5)]).expect_running("started");
    expect_end(&env);
}

/// S14: our start, so both versions are named in the message.
fn a_worker_of_another_version_is_a_failed_start() {
    let env = TestEnv::new();
    let reply = up_scripted(&env, &SPEAK_1, "2");
    expect_failed_start(&env, reply, &["the worker speaks version `2`, we speak `1`"]);
    up_scripted(&env, &SPEAK_2, "2").expect_running("started");
    expect_end(&env);
    let reply = up_strange(&env, &SPEAK_1, &[Quirk::RefusesHandshake]);
    expect_failed_start(&env, reply, &["the worker refused: not with \\u{1b}[31m1"]);
}

fn a_worker_that_does_not_speak_the_protocol_is_a_failed_start() {
    let env = TestEnv::new();
    // An echo is JSON, and no answer.
    let reply = env.up_with("s", &SPEAK_1, &[&cli::binary_arg(), "worker", "--protocol", "echo"]);
    expect_failed_start(&env, reply, &["it is not of the protocol"]);
}

/// T33: refused before its use, and left alone, however often.
fn a_live_worker_of_another_version_is_never_ended() {
    let env = TestEnv::new();
    let worker = up_scripted(&env, &SPEAK_1, "1").expect_running("started").pid();
    for _ in 0..ROUNDS {
        let refused = up_scripted(&env, &SPEAK_2, "2").expect_rejected("version-mismatch");
        assert!(refused.text("message").contains("the worker speaks version `1`, we speak `2`"), "{refused}");
        assert_eq!((refused.pid(), refused.text("liveness")), (worker, "live"));
        let attach = [&SPEAK_2[..], &["--intent", "attach"]].concat();
        env.up_with("s", &attach, &[]).expect_rejected("version-mismatch");
        assert_eq!(up_scripted(&env, &SPEAK_1, "1").expect_running("attached").pid(), worker);
    }
    assert_eq!(env.record("s")["generation"], 1);
    expect_end(&env);
}

fn a_live_worker_that_does_not_speak_the_protocol_is_rejected() {
    let env = TestEnv::new();
    let command = [&cli::binary_arg(), "worker", "--protocol", "echo"];
    let worker = env.up("s", &command).expect_running("started").pid();
    env.up_with("s", &SPEAK_1, &command).expect_rejected("handshake-failed");
    assert_eq!(env.up("s", &command).expect_running("attached").pid(), worker);
    expect_end(&env);
}

/// S13, T03: the worker was ready once, and is busy or hung; the difference is not ours to judge.
fn a_live_worker_that_is_silent_is_unresponsive() {
    let env = TestEnv::new();
    let worker = up_scripted(&env, &SPEAK_1, "1").expect_running("started").pid();
    procs::send(worker, Signal::SIGSTOP);
    wait::until("it is stopped", || procs::state(worker) == Some('T'));
    let options = [&SPEAK_1[..], &["--timeout", IN_VAIN]].concat();
    let refused = up_scripted(&env, &options, "1").expect_rejected("worker-unresponsive");
    assert!(refused.text("message").contains("did not begin an answer within"), "{refused}");
    procs::send(worker, Signal::SIGCONT);
    assert_eq!(up_scripted(&env, &SPEAK_1, "1").expect_running("attached").pid(), worker);
    expect_end(&env);
}

/// T02: the worker accepts, but no launcher has its answer; the next launcher waits for the answer as the first did.
fn a_silent_worker_whose_launcher_was_killed_is_adopted() {
    let env = TestEnv::new();
    let go = env.path("go").display().to_string();
    let launcher = launch_strange(&env, &SPEAK_1, &[Quirk::SilentUntil(&go), Quirk::SaysMore]);
    let worker = env.worker_pid("s");
    wait::until("it has been asked", || times_asked(&env) == 1);
    launcher.signal(Signal::SIGKILL);
    launcher.finish();
    let next = launch_strange(&env, &SPEAK_1, &[]);
    wait::until("the next launcher has asked as well", || times_asked(&env) == 2);
    assert_eq!(env.record("s")["state"], "starting", "a connection is no answer");
    env.file("go", "");
    let reply = next.finish().expect_running("adopted");
    assert_eq!((reply.pid(), reply.text("worker_version")), (worker, "1"), "{reply}");
    let record = env.record("s");
    assert_eq!((&record["state"], &record["worker_version"]), (&json!("ready"), &json!("1")));
    expect_end(&env);
}

/// S14: the launcher of the start may be compatible with the worker's version.
fn a_worker_of_another_version_whose_launcher_was_killed_is_not_ended() {
    let env = TestEnv::new();
    let go = env.path("go").display().to_string();
    let quirks = [Quirk::SilentUntil(&go), Quirk::Speaks("2")];
    let launcher = launch_strange(&env, &SPEAK_2, &quirks);
    let worker = env.worker_pid("s");
    wait::until("it has been asked", || times_asked(&env) == 1);
    launcher.signal(Signal::SIGKILL);
    launcher.finish();
    env.file("go", "");
    up_strange(&env, &SPEAK_1, &quirks).expect_rejected("version-mismatch");
    let reply = up_strange(&env, &SPEAK_2, &quirks).expect_running("attached");
    assert_eq!(reply.pid(), worker);
    expect_end(&env);
}

/// The worker ends when its first client leaves: the caller is the first client.
fn the_connection_that_was_greeted_is_the_callers() {
    let env = TestEnv::new();
    let mut environment = Environment::default();
    environment.set.insert(CANARY.into(), env.dir().into());
    let command = pool_worker("{socket}", &[Quirk::LeavesWithClient, Quirk::OneAtATime]);
    let launch = Launch::new(&command[0]).args(&command[1..]).environment(environment).cwd(env.dir());
    wait::run(async {
        let sessions = Sessions::open(env.state()).expect("a test environment's state directory can be used");
        let ensured = sessions.ensure(&id("s"), launch.handshake(one())).await;
        let Ok(Ensured::Running(running)) = ensured else { panic!("it starts: {ensured:?}") };
        let mut client =
            PoolClient::open(running.connection, &one(), patient()).await.expect("it was greeted");
        let run = Run { code: "done".to_owned(), ctx: json!(7), lib_paths: Vec::new() };
        let feed = client.run(run).await.expect("it answers");
        assert_eq!(feed.feed_result["Finished"]["state"]["Completed"]["result"], 7);
        assert_eq!(client.peer(), running.pid);
    });
    wait::until("it ended with its client", || env.processes().is_empty());
}

fn a_version_to_speak_is_needed_and_needs_a_handshake() {
    let env = TestEnv::new();
    for options in
        [&["--ready", "handshake"][..], &["--speak", "1"], &["--ready", "handshake", "--speak", ""]]
    {
        env.up_with("s", options, &["sleep", "1000"]).expect_error(2, "usage");
    }
    assert!(!env.state().exists(), "nothing was created");
}
