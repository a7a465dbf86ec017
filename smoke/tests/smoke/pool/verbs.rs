//! The worker pool, by the command line, with the reference worker, the scripted worker and foreign workers.

use nix::sys::signal::Signal;
use rekindle::{Sessions, WorkerPool};
use rekindle_smoke::programs::{self, Quirk};
use rekindle_smoke::{Reply, TestEnv, cli, procs, tests, wait};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

tests![
    a_run_that_pauses_is_continued_by_another_process,
    several_queries_are_answered_one_by_one,
    a_run_that_fails_says_so,
    context_and_library_paths_arrive,
    a_session_outlives_a_host_that_is_killed,
    status_and_history,
    a_shutdown_ends_the_worker_and_may_be_repeated,
    what_is_not_known_is_a_typed_error,
    a_worker_s_own_name_is_kept_and_is_as_good_as_ours,
    two_sessions_of_one_name_are_ambiguous,
    a_worker_that_leaves_with_its_first_idle_client_keeps_its_session,
    a_worker_that_serves_one_connection_at_a_time_is_enough,
    a_worker_that_refuses_the_handshake_is_stopped,
    a_worker_of_another_version_is_stopped_if_it_is_ours_alone_and_left_if_not,
    a_worker_that_refuses_a_version_itself_is_a_version_mismatch,
    a_state_directory_that_is_too_long_offers_what_the_verb_has,
    a_worker_that_says_more_than_its_version_is_understood,
    a_worker_that_refuses_the_run_is_stopped,
    a_worker_that_never_answers_is_a_typed_error,
    a_dead_worker_and_an_idle_one_are_told_apart,
    what_cannot_be_saved_is_told_beside_the_answer,
    a_corrupt_record_is_an_error_on_that_session_alone,
    a_session_is_the_pools_by_its_record_and_not_by_its_name,
    a_session_of_schema_1_is_the_pools_by_its_name,
    listing_connects_to_nobody,
    many_processes_lose_no_session,
];

/// The reference worker asks this, and completes with the answer.
const ASK: &str = "What is your name?";

/// Our reference worker.
fn ours() -> Vec<String> {
    [&cli::binary_arg(), "worker", "--protocol", "pool"].map(str::to_owned).to_vec()
}

/// The scripted worker.
fn scripted() -> Vec<String> {
    vec![programs::scripted_worker()]
}

/// A foreign worker.
fn theirs(quirks: &[Quirk<'_>]) -> Vec<String> {
    programs::pool_worker("{socket}", quirks)
}

fn pool(env: &TestEnv, args: &[&str]) -> Reply {
    env.rekindle([&["pool"], args].concat())
}

fn run(env: &TestEnv, code: &str, more: &[&str], worker: &[String]) -> Reply {
    let worker: Vec<&str> = worker.iter().map(String::as_str).collect();
    pool(env, &[&["run", "--speak", "1", "--code", code], more, &["--"], &worker].concat())
}

fn answer(env: &TestEnv, sid: &str, response: &str) -> Reply {
    pool(env, &["continue", sid, "--speak", "1", "--response", response])
}

/// Asserts that host JSON was printed, with this status.
#[track_caller]
fn host(reply: Reply, status: &str) -> Value {
    assert_eq!(reply.code, Some(0), "{reply}");
    assert_eq!(reply.json["status"], status, "{reply}");
    assert_eq!(reply.json["save_error"], Value::Null, "{reply}");
    reply.json
}

fn sid(host: &Value) -> &str {
    host["session_id"].as_str().expect("a paused session has a name")
}

fn listed(env: &TestEnv) -> Vec<Value> {
    pool(env, &["ls"]).json["sessions"].as_array().expect("it is a list").clone()
}

fn only(env: &TestEnv) -> Value {
    let list = listed(env);
    assert_eq!(list.len(), 1, "{list:?}");
    list[0].clone()
}

fn assert_nothing_left(env: &TestEnv) {
    env.assert_no_process();
    let collected = pool(env, &["gc"]);
    assert_eq!(collected.code, Some(0), "{collected}");
    assert_eq!(listed(env), Vec::<Value>::new());
    let left = fs::read_dir(env.state()).map_or(0, Iterator::count);
    assert_eq!(left, 0, "the state directory is empty");
}

fn shutdown(env: &TestEnv) {
    for session in listed(env) {
        pool(env, &["shutdown", session["session"].as_str().expect("a session has a name")]);
    }
    assert_nothing_left(env);
}

fn a_run_that_pauses_is_continued_by_another_process() {
    let env = TestEnv::new();
    let paused = host(run(&env, ASK, &[], &ours()), "needs_response");
    assert_eq!((&paused["query_id"], &paused["prompt"]), (&json!("q-0"), &json!(ASK)));
    assert_eq!(paused["max_tokens"], 1024);
    let done = host(answer(&env, sid(&paused), "World"), "completed");
    assert_eq!(done["result"], "World");
    shutdown(&env);
}

fn several_queries_are_answered_one_by_one() {
    let env = TestEnv::new();
    let code = "a, b = ask_all(\"one\", \"two\")\ndone(\"{a} and {b}\")";
    let paused = host(run(&env, code, &[], &scripted()), "needs_response");
    let queries = paused["queries"].as_array().expect("there are several").clone();
    assert_eq!(queries.len(), 2);
    let reply = |query: &Value, text: &str| {
        let id = query["id"].as_str().expect("a query has a name");
        pool(&env, &["continue", sid(&paused), "--speak", "1", "--response", text, "--query-id", id])
    };
    assert_eq!(host(reply(&queries[1], "2"), "accepted")["remaining"], 1);
    assert_eq!(host(reply(&queries[0], "1"), "completed")["result"], "1 and 2");
    shutdown(&env);
}

fn a_run_that_fails_says_so() {
    let env = TestEnv::new();
    let failed = host(run(&env, "fail(\"out of luck\")", &[], &scripted()), "error");
    assert_eq!(failed["error"], "out of luck");
    shutdown(&env);
}

fn context_and_library_paths_arrive() {
    let env = TestEnv::new();
    let ctx = ["--ctx", r#"{"place":"here"}"#];
    let done = host(run(&env, "done(\"{ctx.place}\")", &ctx, &scripted()), "completed");
    assert_eq!(done["result"], "here");
    let worker = theirs(&[]);
    let done = host(
        run(&env, "echo", &["--ctx", "[1]", "--lib-path", "/a", "--lib-path", "/b"], &worker),
        "completed",
    );
    assert_eq!(done["result"], json!({ "op": "run", "code": "echo", "ctx": [1], "lib_paths": ["/a", "/b"] }));
    shutdown(&env);
}

/// R-3: the host is killed while its session waits for an answer.
fn a_session_outlives_a_host_that_is_killed() {
    let env = TestEnv::new();
    let slow = theirs(&[Quirk::WaitsInRun(env.dir())]);
    let slow: Vec<&str> = slow.iter().map(String::as_str).collect();
    let host_process =
        env.launch([&["pool", "run", "--speak", "1", "--code", "x", "--"], slow.as_slice()].concat());
    wait::until_there(&env.path("run-received"));
    host_process.signal(Signal::SIGKILL);
    host_process.finish();
    env.file("go-on", "");
    let session = only(&env);
    assert_eq!(session["worker_name"], Value::Null, "nobody lived to write it down");
    let ours = session["session"].as_str().expect("a session has a name");
    wait::until("its run has come to its question", || {
        pool(&env, &["status", ours, "--speak", "1"]).json["has_session"] == true
    });
    let done = host(answer(&env, ours, "on"), "completed");
    assert_eq!(done["result"], "on");
    assert_ne!(only(&env)["worker_name"], Value::Null, "it is written down now");
    shutdown(&env);
}

fn status_and_history() {
    let env = TestEnv::new();
    let paused = host(run(&env, ASK, &[], &ours()), "needs_response");
    let status = pool(&env, &["status", sid(&paused)]).json;
    assert_eq!((&status["has_session"], &status["conversation_history"]), (&json!(true), &Value::Null));
    let history = pool(&env, &["status", sid(&paused), "--history"]).json;
    assert!(history["conversation_history"].to_string().contains(ASK), "{history}");
    shutdown(&env);
}

fn a_shutdown_ends_the_worker_and_may_be_repeated() {
    let env = TestEnv::new();
    let paused = host(run(&env, ASK, &[], &ours()), "needs_response");
    pool(&env, &["shutdown", sid(&paused)]).expect(0, "stopped");
    env.assert_no_process();
    pool(&env, &["shutdown", sid(&paused)]).expect(0, "not-running");
    assert_eq!(only(&env)["state"], "exited");
    assert_nothing_left(&env);
}

fn what_is_not_known_is_a_typed_error() {
    let env = TestEnv::new();
    answer(&env, "p-1-0000000000000001", "x").expect_error(1, "unknown-session");
    answer(&env, "../x", "x").expect_error(1, "unknown-session");
    pool(&env, &["status", "nobody"]).expect_error(1, "unknown-session");
    run(&env, "x", &[], &["no-such-worker".to_owned()]).expect_error(1, "worker-not-started");
    run(&env, "x", &[], &["false".to_owned()]).expect_error(1, "worker-not-started");
    assert_eq!(pool(&env, &["run", "--code", "x", "--", "true"]).code, Some(2), "a version has to be named");
    assert_nothing_left(&env);
}

fn a_worker_s_own_name_is_kept_and_is_as_good_as_ours() {
    let env = TestEnv::new();
    let worker = theirs(&[Quirk::Names("9f:3c/../7")]);
    let paused = host(run(&env, "x", &[], &worker), "needs_response");
    assert_eq!(sid(&paused), "9f:3c/../7");
    let entry = only(&env);
    assert_eq!(entry["worker_name"], "9f:3c/../7");
    let ours = entry["session"].as_str().expect("a session has a name");
    for name in [ours, "9f:3c/../7"] {
        assert_eq!(pool(&env, &["status", name]).json["session_id"], "9f:3c/../7");
    }
    host(answer(&env, "9f:3c/../7", "x"), "completed");
    pool(&env, &["shutdown", "9f:3c/../7"]).expect(0, "stopped");
    assert_nothing_left(&env);
}

fn two_sessions_of_one_name_are_ambiguous() {
    let env = TestEnv::new();
    let worker = theirs(&[Quirk::Names("same")]);
    for _ in 0..2 {
        host(run(&env, "x", &[], &worker), "needs_response");
    }
    let reply = answer(&env, "same", "x").expect_error(1, "ambiguous-session");
    for session in listed(&env) {
        let ours = session["session"].as_str().expect("a session has a name");
        assert!(reply.text("message").contains(ours), "{reply}");
        host(answer(&env, ours, "x"), "completed");
    }
    shutdown(&env);
}

/// 0.8: the session's connection is the first connection to the worker.
fn a_worker_that_leaves_with_its_first_idle_client_keeps_its_session() {
    let env = TestEnv::new();
    let worker = theirs(&[Quirk::LeavesWithClient]);
    let paused = host(run(&env, "x", &[], &worker), "needs_response");
    assert_eq!(only(&env)["state"], "live");
    host(answer(&env, sid(&paused), "x"), "completed");
    shutdown(&env);
}

fn a_worker_that_serves_one_connection_at_a_time_is_enough() {
    let env = TestEnv::new();
    let worker = theirs(&[Quirk::OneAtATime]);
    let paused = host(run(&env, "x", &[], &worker), "needs_response");
    assert_eq!(pool(&env, &["status", sid(&paused)]).json["has_session"], true);
    host(answer(&env, sid(&paused), "x"), "completed");
    shutdown(&env);
}

fn a_worker_that_refuses_the_handshake_is_stopped() {
    let env = TestEnv::new();
    let worker = theirs(&[Quirk::RefusesHandshake]);
    let reply = run(&env, "x", &[], &worker).expect_error(1, "worker-refused");
    assert!(
        reply.text("message").contains("not with") && !reply.text("message").contains('\u{1b}'),
        "{reply}"
    );
    assert_nothing_left(&env);
}

/// T33, S14: no existing worker is ended for its version.
fn a_worker_of_another_version_is_stopped_if_it_is_ours_alone_and_left_if_not() {
    let env = TestEnv::new();
    let worker = theirs(&[Quirk::Speaks("7")]);
    let reply = run(&env, "x", &[], &worker).expect_error(1, "version-mismatch");
    assert!(reply.text("message").contains("`7`") && reply.text("message").contains("`1`"), "{reply}");
    assert_nothing_left(&env);
    let paused = host(run(&env, ASK, &[], &ours()), "needs_response");
    let pid = only(&env)["pid"].clone();
    for _ in 0..100 {
        let other = pool(&env, &["continue", sid(&paused), "--speak", "2", "--response", "x"]);
        let other = other.expect_error(1, "version-mismatch");
        assert!(other.text("message").contains("recorded with version `1`"), "{other}");
        assert!(other.text("hint").contains("--speak 1") && !other.stdout.contains("shutdown"), "{other}");
    }
    assert_eq!(only(&env)["pid"], pid, "the worker was left alone");
    host(answer(&env, sid(&paused), "x"), "completed");
    shutdown(&env);
}

/// A new worker is recognised by its words, an existing worker by its record.
fn a_worker_that_refuses_a_version_itself_is_a_version_mismatch() {
    let env = TestEnv::new();
    let worker = theirs(&[Quirk::Speaks("7"), Quirk::RefusesOthers("Unsupported Version")]);
    let reply = run(&env, "x", &[], &worker).expect_error(1, "version-mismatch");
    assert!(reply.text("message").contains("Unsupported Version"), "{reply}");
    assert_nothing_left(&env);
    let paused = host(run(&env, "x", &[], &theirs(&[Quirk::RefusesOthers("go away")])), "needs_response");
    let other = pool(&env, &["continue", sid(&paused), "--speak", "2", "--response", "x"]);
    let other = other.expect_error(1, "version-mismatch");
    let message = other.text("message");
    assert!(message.contains("go away") && message.contains("recorded with version `1`"), "{other}");
    assert!(other.text("hint").contains("--speak 1") && !other.stdout.contains("shutdown"), "{other}");
    host(answer(&env, sid(&paused), "x"), "completed");
    shutdown(&env);
}

fn a_state_directory_that_is_too_long_offers_what_the_verb_has() {
    let env = TestEnv::new();
    let mut command = env.command(env.binary());
    command.arg("--dir").arg(env.path(&"d".repeat(100)));
    command.args(["--json", "pool", "run", "--speak", "1", "--code", "x", "--", "true"]);
    let reply = Reply::to(command);
    let reply = reply.expect_error(1, "worker-not-started");
    assert!(reply.text("message").contains("holds at most 107"), "{reply}");
    assert!(reply.text("hint").contains("--dir") && !reply.stdout.contains("--socket"), "{reply}");
}

fn a_worker_that_says_more_than_its_version_is_understood() {
    let env = TestEnv::new();
    let worker = theirs(&[Quirk::SaysMore]);
    let paused = host(run(&env, "x", &[], &worker), "needs_response");
    host(answer(&env, sid(&paused), "x"), "completed");
    shutdown(&env);
}

fn a_worker_that_refuses_the_run_is_stopped() {
    let env = TestEnv::new();
    let worker = theirs(&[Quirk::RefusesRun("no such language")]);
    let reply = run(&env, "x", &[], &worker).expect_error(1, "worker-refused");
    assert!(reply.text("message").contains("no such language"), "{reply}");
    assert_nothing_left(&env);
}

/// T03, S13.
fn a_worker_that_never_answers_is_a_typed_error() {
    let env = TestEnv::new();
    let worker = theirs(&[Quirk::Silent]);
    let reply = run(&env, "x", &["--answer-timeout", "300ms"], &worker);
    reply.expect_error(1, "worker-hung");
    assert_nothing_left(&env);
    let paused = host(run(&env, ASK, &[], &ours()), "needs_response");
    let pid = only(&env)["pid"].as_i64().and_then(|pid| pid.try_into().ok()).expect("a worker has a pid");
    procs::send(pid, Signal::SIGSTOP);
    let reply = pool(
        &env,
        &["continue", sid(&paused), "--speak", "1", "--response", "x", "--answer-timeout", "300ms"],
    );
    reply.expect_error(1, "worker-hung");
    assert!(procs::is_running(pid), "a worker that is only slow is not ended");
    procs::send(pid, Signal::SIGCONT);
    host(answer(&env, sid(&paused), "x"), "completed");
    shutdown(&env);
}

fn a_dead_worker_and_an_idle_one_are_told_apart() {
    let env = TestEnv::new();
    let done = host(run(&env, "done(\"1\")", &[], &scripted()), "completed");
    assert_eq!(done["session_id"], Value::Null, "a session that is over is nothing to go on with");
    let idle = only(&env);
    assert_eq!(idle["state"], "live");
    let ours = idle["session"].as_str().expect("a session has a name");
    assert_eq!(pool(&env, &["status", ours]).json["has_session"], false);
    let pid = idle["pid"].as_i64().and_then(|pid| pid.try_into().ok()).expect("a worker has a pid");
    procs::send(pid, Signal::SIGKILL);
    wait::until("it is gone", || only(&env)["state"] == "exited");
    pool(&env, &["status", ours]).expect_error(1, "worker-gone");
    answer(&env, ours, "x").expect_error(1, "worker-gone");
    assert_nothing_left(&env);
}

fn what_cannot_be_saved_is_told_beside_the_answer() {
    let env = TestEnv::new();
    let worker = theirs(&[Quirk::HoldsClaim]);
    let reply = run(&env, "x", &[], &worker);
    assert_eq!((reply.code, &reply.json["status"]), (Some(0), &json!("needs_response")), "{reply}");
    assert!(reply.text("save_error").contains("claim"), "{reply}");
    for process in env.processes() {
        procs::send(process, Signal::SIGKILL);
    }
}

/// T12, R-2.
fn a_corrupt_record_is_an_error_on_that_session_alone() {
    let env = TestEnv::new();
    let first = host(run(&env, ASK, &[], &ours()), "needs_response");
    let broken = only(&env)["session"].as_str().expect("a session has a name").to_owned();
    let second = host(run(&env, ASK, &[], &ours()), "needs_response");
    let record = env.of(&broken, "session.json");
    let whole = fs::read(&record).expect("there is a record");
    fs::write(&record, &whole[..whole.len() / 2]).expect("it can be written");
    assert_eq!(listed(&env).len(), 2);
    let reply = answer(&env, &broken, "x").expect_error(1, "record-corrupt");
    assert!(reply.text("message").contains("session.json"), "{reply}");
    host(answer(&env, sid(&second), "x"), "completed");
    fs::write(&record, &whole).expect("it can be written");
    host(answer(&env, sid(&first), "x"), "completed");
    shutdown(&env);
}

/// A service of that name is neither listed nor ended by the pool.
fn a_session_is_the_pools_by_its_record_and_not_by_its_name() {
    const NAME: &str = "p-1886caf21c963200-0000000000000abc";
    let env = TestEnv::new();
    let pid = env.up(NAME, &[&cli::binary_arg(), "worker"]).expect_running("started").pid();
    let paused = host(run(&env, ASK, &[], &ours()), "needs_response");
    let session = only(&env)["session"].as_str().expect("a session has a name").to_owned();
    assert_eq!(env.record(&session)["plan"]["role"], "pool-worker");
    for verb in ["status", "shutdown"] {
        pool(&env, &[verb, NAME]).expect_error(1, "unknown-session");
    }
    assert_eq!(pool(&env, &["gc"]).json["removed"], json!([]));
    assert!(procs::is_running(pid));
    pool(&env, &["shutdown", sid(&paused)]).expect(0, "stopped");
    env.stop(NAME).expect(0, "stopped");
    assert_eq!(pool(&env, &["gc"]).json["removed"], json!([session]));
    assert_eq!(env.rekindle(["gc"]).json["removed"], json!([NAME]));
}

/// An earlier version recorded no role.
fn a_session_of_schema_1_is_the_pools_by_its_name() {
    let env = TestEnv::new();
    let paused = host(run(&env, ASK, &[], &ours()), "needs_response");
    let session = only(&env)["session"].as_str().expect("a session has a name").to_owned();
    env.make_schema_1(&session);
    assert_eq!(only(&env)["session"], session.as_str());
    let status = pool(&env, &["status", &session]);
    assert_eq!((status.code, &status.json["has_session"]), (Some(0), &json!(true)), "{status}");
    host(answer(&env, sid(&paused), "World"), "completed");
    shutdown(&env);
}

fn listing_connects_to_nobody() {
    let env = TestEnv::new();
    let counted = env.path("connections");
    let worker = theirs(&[Quirk::CountsIn(&counted)]);
    host(run(&env, "x", &[], &worker), "needs_response");
    let connections = || fs::read_to_string(&counted).expect("it counts");
    let before = connections();
    for _ in 0..20 {
        assert_eq!(listed(&env).len(), 1);
    }
    assert_eq!(connections(), before);
    shutdown(&env);
}

/// The number of processes that add, change and remove sessions at once, and the total of their sessions.
const WRITERS: usize = 32;
const SESSIONS: usize = 1000;

/// T11, R-1: a concurrent listing shows every existing session completely, and no other.
fn many_processes_lose_no_session() {
    let env = TestEnv::new();
    let there: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| list_until(&env, &there, &over));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (env, there) = (&env, &there);
                scope.spawn(move || (writer..SESSIONS).step_by(WRITERS).for_each(|_| live(env, there)))
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().expect("a writer does not fail"));
        over.store(true, Ordering::SeqCst);
        let lists = reader.join().expect("every list was whole");
        println!("{SESSIONS} sessions, listed {lists} times meanwhile");
    });
    assert_nothing_left(&env);
}

/// The life of one session, each step in another process.
fn live(env: &TestEnv, there: &Mutex<BTreeSet<String>>) {
    let paused = host(run(env, ASK, &[], &ours()), "needs_response");
    let name = sid(&paused).to_owned();
    let known = || there.lock().expect("nobody panicked");
    known().insert(name.clone());
    host(answer(env, &name, "x"), "completed");
    known().remove(&name);
    pool(env, &["shutdown", &name]).expect(0, "stopped");
}

fn list_until(env: &TestEnv, there: &Mutex<BTreeSet<String>>, over: &AtomicBool) -> usize {
    let pool =
        WorkerPool::new(Sessions::open(env.state()).expect("a test environment's state directory is ours"));
    let mut lists = 0;
    while !over.load(Ordering::SeqCst) {
        let before = there.lock().expect("nobody panicked").clone();
        let list = pool.list().expect("it can be listed");
        let after = there.lock().expect("nobody panicked").clone();
        let names: BTreeSet<String> =
            list.iter().filter_map(|entry| Some(entry.worker_name.as_ref()?.as_str().to_owned())).collect();
        for name in before.intersection(&after) {
            assert!(names.contains(name), "{name} was lost");
        }
        for entry in &list {
            assert_ne!(json!(entry.summary.state), "corrupt", "{entry:?}");
        }
        lists += 1;
    }
    lists
}
