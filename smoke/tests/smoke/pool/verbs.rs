//! The worker pool, by the command line, with our reference worker and with workers that are not ours.

use nix::sys::signal::Signal;
use rekindle::{Sessions, WorkerPool};
use rekindle_smoke::programs::{self, Quirk};
use rekindle_smoke::{Reply, Scene, cli, procs, trials, wait};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

trials![
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
    listing_connects_to_nobody,
    many_processes_lose_no_session,
];

const ASK: &str = "name = ask(\"What is your name?\")\ndone(\"Hello {name}\")";

/// Our reference worker.
fn ours() -> Vec<String> {
    [&cli::binary_arg(), "worker", "--protocol", "pool"].map(str::to_owned).to_vec()
}

/// A worker that is not ours.
fn theirs(quirks: &[Quirk<'_>]) -> Vec<String> {
    programs::pool_worker("{socket}", quirks)
}

fn pool(scene: &Scene, args: &[&str]) -> Reply {
    scene.rekindle([&["pool"], args].concat())
}

fn run(scene: &Scene, code: &str, more: &[&str], worker: &[String]) -> Reply {
    let worker: Vec<&str> = worker.iter().map(String::as_str).collect();
    pool(scene, &[&["run", "--speak", "1", "--code", code], more, &["--"], &worker].concat())
}

fn answer(scene: &Scene, sid: &str, response: &str) -> Reply {
    pool(scene, &["continue", sid, "--speak", "1", "--response", response])
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

fn listed(scene: &Scene) -> Vec<Value> {
    pool(scene, &["ls"]).json.as_array().expect("it is a list").clone()
}

fn only(scene: &Scene) -> Value {
    let list = listed(scene);
    assert_eq!(list.len(), 1, "{list:?}");
    list[0].clone()
}

fn assert_nothing_left(scene: &Scene) {
    scene.assert_no_process();
    let collected = pool(scene, &["gc"]);
    assert_eq!(collected.code, Some(0), "{collected}");
    assert_eq!(listed(scene), Vec::<Value>::new());
    let left = fs::read_dir(scene.state()).map_or(0, Iterator::count);
    assert_eq!(left, 0, "the state directory is empty");
}

fn shutdown(scene: &Scene) {
    for session in listed(scene) {
        pool(scene, &["shutdown", session["session"].as_str().expect("a session has a name")]);
    }
    assert_nothing_left(scene);
}

fn a_run_that_pauses_is_continued_by_another_process() {
    let scene = Scene::new();
    let paused = host(run(&scene, ASK, &[], &ours()), "needs_response");
    assert_eq!((&paused["query_id"], &paused["prompt"]), (&json!("q-0"), &json!("What is your name?")));
    assert_eq!(paused["max_tokens"], 1024);
    let done = host(answer(&scene, sid(&paused), "World"), "completed");
    assert_eq!(done["result"], "Hello World");
    shutdown(&scene);
}

fn several_queries_are_answered_one_by_one() {
    let scene = Scene::new();
    let code = "a, b = ask_all(\"one\", \"two\")\ndone(\"{a} and {b}\")";
    let paused = host(run(&scene, code, &[], &ours()), "needs_response");
    let queries = paused["queries"].as_array().expect("there are several").clone();
    assert_eq!(queries.len(), 2);
    let reply = |query: &Value, text: &str| {
        let id = query["id"].as_str().expect("a query has a name");
        pool(&scene, &["continue", sid(&paused), "--speak", "1", "--response", text, "--query-id", id])
    };
    assert_eq!(host(reply(&queries[1], "2"), "accepted")["remaining"], 1);
    assert_eq!(host(reply(&queries[0], "1"), "completed")["result"], "1 and 2");
    shutdown(&scene);
}

fn a_run_that_fails_says_so() {
    let scene = Scene::new();
    let failed = host(run(&scene, "fail(\"out of luck\")", &[], &ours()), "error");
    assert_eq!(failed["error"], "out of luck");
    shutdown(&scene);
}

fn context_and_library_paths_arrive() {
    let scene = Scene::new();
    let done =
        host(run(&scene, "done(\"{ctx.place}\")", &["--ctx", r#"{"place":"here"}"#], &ours()), "completed");
    assert_eq!(done["result"], "here");
    let worker = theirs(&[]);
    let done = host(
        run(&scene, "echo", &["--ctx", "[1]", "--lib-path", "/a", "--lib-path", "/b"], &worker),
        "completed",
    );
    assert_eq!(done["result"], json!({ "op": "run", "code": "echo", "ctx": [1], "lib_paths": ["/a", "/b"] }));
    shutdown(&scene);
}

/// R-3: the host is killed while its session waits for an answer.
fn a_session_outlives_a_host_that_is_killed() {
    let scene = Scene::new();
    let slow = theirs(&[Quirk::WaitsInRun(scene.dir())]);
    let slow: Vec<&str> = slow.iter().map(String::as_str).collect();
    let host_process =
        scene.launch([&["pool", "run", "--speak", "1", "--code", "x", "--"], slow.as_slice()].concat());
    wait::until_there(&scene.path("run-received"));
    host_process.signal(Signal::SIGKILL);
    host_process.finish();
    scene.file("go-on", "");
    let session = only(&scene);
    assert_eq!(session["worker_name"], Value::Null, "nobody lived to write it down");
    let ours = session["session"].as_str().expect("a session has a name");
    wait::until("its run has come to its question", || {
        pool(&scene, &["status", ours, "--speak", "1"]).json["has_session"] == true
    });
    let done = host(answer(&scene, ours, "on"), "completed");
    assert_eq!(done["result"], "on");
    assert_ne!(only(&scene)["worker_name"], Value::Null, "it is written down now");
    shutdown(&scene);
}

fn status_and_history() {
    let scene = Scene::new();
    let paused = host(run(&scene, ASK, &[], &ours()), "needs_response");
    let status = pool(&scene, &["status", sid(&paused)]).json;
    assert_eq!((&status["has_session"], &status["conversation_history"]), (&json!(true), &Value::Null));
    let history = pool(&scene, &["status", sid(&paused), "--history"]).json;
    assert!(history["conversation_history"].to_string().contains("What is your name?"), "{history}");
    shutdown(&scene);
}

fn a_shutdown_ends_the_worker_and_may_be_repeated() {
    let scene = Scene::new();
    let paused = host(run(&scene, ASK, &[], &ours()), "needs_response");
    pool(&scene, &["shutdown", sid(&paused)]).expect(0, "stopped");
    scene.assert_no_process();
    pool(&scene, &["shutdown", sid(&paused)]).expect(0, "not-running");
    assert_eq!(only(&scene)["state"], "exited");
    assert_nothing_left(&scene);
}

fn what_is_not_known_is_a_typed_error() {
    let scene = Scene::new();
    answer(&scene, "p-1-0000000000000001", "x").expect_error(1, "unknown-session");
    answer(&scene, "../x", "x").expect_error(1, "unknown-session");
    pool(&scene, &["status", "nobody"]).expect_error(1, "unknown-session");
    run(&scene, "x", &[], &["no-such-worker".to_owned()]).expect_error(1, "worker-not-started");
    run(&scene, "x", &[], &["false".to_owned()]).expect_error(1, "worker-not-started");
    assert_eq!(
        pool(&scene, &["run", "--code", "x", "--", "true"]).code,
        Some(2),
        "a version has to be named"
    );
    assert_nothing_left(&scene);
}

fn a_worker_s_own_name_is_kept_and_is_as_good_as_ours() {
    let scene = Scene::new();
    let worker = theirs(&[Quirk::Names("9f:3c/../7")]);
    let paused = host(run(&scene, "x", &[], &worker), "needs_response");
    assert_eq!(sid(&paused), "9f:3c/../7");
    let entry = only(&scene);
    assert_eq!(entry["worker_name"], "9f:3c/../7");
    let ours = entry["session"].as_str().expect("a session has a name");
    for name in [ours, "9f:3c/../7"] {
        assert_eq!(pool(&scene, &["status", name]).json["session_id"], "9f:3c/../7");
    }
    host(answer(&scene, "9f:3c/../7", "x"), "completed");
    pool(&scene, &["shutdown", "9f:3c/../7"]).expect(0, "stopped");
    assert_nothing_left(&scene);
}

fn two_sessions_of_one_name_are_ambiguous() {
    let scene = Scene::new();
    let worker = theirs(&[Quirk::Names("same")]);
    for _ in 0..2 {
        host(run(&scene, "x", &[], &worker), "needs_response");
    }
    let reply = answer(&scene, "same", "x").expect_error(1, "ambiguous-session");
    for session in listed(&scene) {
        let ours = session["session"].as_str().expect("a session has a name");
        assert!(reply.text("message").contains(ours), "{reply}");
        host(answer(&scene, ours, "x"), "completed");
    }
    shutdown(&scene);
}

/// 0.8: no connection is made and dropped before the one on which the session begins.
fn a_worker_that_leaves_with_its_first_idle_client_keeps_its_session() {
    let scene = Scene::new();
    let worker = theirs(&[Quirk::LeavesWithClient]);
    let paused = host(run(&scene, "x", &[], &worker), "needs_response");
    assert_eq!(only(&scene)["state"], "live");
    host(answer(&scene, sid(&paused), "x"), "completed");
    shutdown(&scene);
}

fn a_worker_that_serves_one_connection_at_a_time_is_enough() {
    let scene = Scene::new();
    let worker = theirs(&[Quirk::OneAtATime]);
    let paused = host(run(&scene, "x", &[], &worker), "needs_response");
    assert_eq!(pool(&scene, &["status", sid(&paused)]).json["has_session"], true);
    host(answer(&scene, sid(&paused), "x"), "completed");
    shutdown(&scene);
}

fn a_worker_that_refuses_the_handshake_is_stopped() {
    let scene = Scene::new();
    let worker = theirs(&[Quirk::RefusesHandshake]);
    let reply = run(&scene, "x", &[], &worker).expect_error(1, "worker-refused");
    assert!(
        reply.text("message").contains("not with") && !reply.text("message").contains('\u{1b}'),
        "{reply}"
    );
    assert_nothing_left(&scene);
}

/// T33, S14: nothing that was there before is ended for its version.
fn a_worker_of_another_version_is_stopped_if_it_is_ours_alone_and_left_if_not() {
    let scene = Scene::new();
    let worker = theirs(&[Quirk::Speaks("7")]);
    let reply = run(&scene, "x", &[], &worker).expect_error(1, "version-mismatch");
    assert!(reply.text("message").contains("`7`") && reply.text("message").contains("`1`"), "{reply}");
    assert_nothing_left(&scene);
    let paused = host(run(&scene, ASK, &[], &ours()), "needs_response");
    let pid = only(&scene)["pid"].clone();
    for _ in 0..100 {
        let other = pool(&scene, &["continue", sid(&paused), "--speak", "2", "--response", "x"]);
        let other = other.expect_error(1, "version-mismatch");
        assert!(other.text("message").contains("recorded with version `1`"), "{other}");
        assert!(other.text("hint").contains("--speak 1") && !other.stdout.contains("shutdown"), "{other}");
    }
    assert_eq!(only(&scene)["pid"], pid, "the worker was left alone");
    host(answer(&scene, sid(&paused), "x"), "completed");
    shutdown(&scene);
}

/// By its words where it was just started, by its record where it was there before.
fn a_worker_that_refuses_a_version_itself_is_a_version_mismatch() {
    let scene = Scene::new();
    let worker = theirs(&[Quirk::Speaks("7"), Quirk::RefusesOthers("Unsupported Version")]);
    let reply = run(&scene, "x", &[], &worker).expect_error(1, "version-mismatch");
    assert!(reply.text("message").contains("Unsupported Version"), "{reply}");
    assert_nothing_left(&scene);
    let paused = host(run(&scene, "x", &[], &theirs(&[Quirk::RefusesOthers("go away")])), "needs_response");
    let other = pool(&scene, &["continue", sid(&paused), "--speak", "2", "--response", "x"]);
    let other = other.expect_error(1, "version-mismatch");
    let message = other.text("message");
    assert!(message.contains("go away") && message.contains("recorded with version `1`"), "{other}");
    assert!(other.text("hint").contains("--speak 1") && !other.stdout.contains("shutdown"), "{other}");
    host(answer(&scene, sid(&paused), "x"), "completed");
    shutdown(&scene);
}

fn a_state_directory_that_is_too_long_offers_what_the_verb_has() {
    let scene = Scene::new();
    let mut command = scene.command(scene.binary());
    command.arg("--dir").arg(scene.path(&"d".repeat(100)));
    command.args(["--json", "pool", "run", "--speak", "1", "--code", "x", "--", "true"]);
    let reply = Reply::from(command.output().expect("the command can be run"));
    let reply = reply.expect_error(1, "worker-not-started");
    assert!(reply.text("message").contains("holds at most 107"), "{reply}");
    assert!(reply.text("hint").contains("--dir") && !reply.stdout.contains("--socket"), "{reply}");
}

fn a_worker_that_says_more_than_its_version_is_understood() {
    let scene = Scene::new();
    let worker = theirs(&[Quirk::SaysMore]);
    let paused = host(run(&scene, "x", &[], &worker), "needs_response");
    host(answer(&scene, sid(&paused), "x"), "completed");
    shutdown(&scene);
}

fn a_worker_that_refuses_the_run_is_stopped() {
    let scene = Scene::new();
    let worker = theirs(&[Quirk::RefusesRun("no such language")]);
    let reply = run(&scene, "x", &[], &worker).expect_error(1, "worker-refused");
    assert!(reply.text("message").contains("no such language"), "{reply}");
    assert_nothing_left(&scene);
}

/// T03, S13.
fn a_worker_that_never_answers_is_a_typed_error() {
    let scene = Scene::new();
    let worker = theirs(&[Quirk::Silent]);
    let reply = run(&scene, "x", &["--answer-timeout", "300ms"], &worker);
    reply.expect_error(1, "worker-hung");
    assert_nothing_left(&scene);
    let paused = host(run(&scene, ASK, &[], &ours()), "needs_response");
    let pid = only(&scene)["pid"].as_i64().and_then(|pid| pid.try_into().ok()).expect("a worker has a pid");
    procs::send(pid, Signal::SIGSTOP);
    let reply = pool(
        &scene,
        &["continue", sid(&paused), "--speak", "1", "--response", "x", "--answer-timeout", "300ms"],
    );
    reply.expect_error(1, "worker-hung");
    assert!(procs::is_running(pid), "a worker that is only slow is not ended");
    procs::send(pid, Signal::SIGCONT);
    host(answer(&scene, sid(&paused), "x"), "completed");
    shutdown(&scene);
}

fn a_dead_worker_and_an_idle_one_are_told_apart() {
    let scene = Scene::new();
    let done = host(run(&scene, "done(\"1\")", &[], &ours()), "completed");
    assert_eq!(done["session_id"], Value::Null, "a session that is over is nothing to go on with");
    let idle = only(&scene);
    assert_eq!(idle["state"], "live");
    let ours = idle["session"].as_str().expect("a session has a name");
    assert_eq!(pool(&scene, &["status", ours]).json["has_session"], false);
    let pid = idle["pid"].as_i64().and_then(|pid| pid.try_into().ok()).expect("a worker has a pid");
    procs::send(pid, Signal::SIGKILL);
    wait::until("it is gone", || only(&scene)["state"] == "exited");
    pool(&scene, &["status", ours]).expect_error(1, "worker-gone");
    answer(&scene, ours, "x").expect_error(1, "worker-gone");
    assert_nothing_left(&scene);
}

fn what_cannot_be_saved_is_told_beside_the_answer() {
    let scene = Scene::new();
    let worker = theirs(&[Quirk::HoldsClaim]);
    let reply = run(&scene, "x", &[], &worker);
    assert_eq!((reply.code, &reply.json["status"]), (Some(0), &json!("needs_response")), "{reply}");
    assert!(reply.text("save_error").contains("claim"), "{reply}");
    for process in scene.processes() {
        procs::send(process, Signal::SIGKILL);
    }
}

/// T12, R-2.
fn a_corrupt_record_is_an_error_on_that_session_alone() {
    let scene = Scene::new();
    let first = host(run(&scene, ASK, &[], &ours()), "needs_response");
    let broken = only(&scene)["session"].as_str().expect("a session has a name").to_owned();
    let second = host(run(&scene, ASK, &[], &ours()), "needs_response");
    let record = scene.of(&broken, "session.json");
    let whole = fs::read(&record).expect("there is a record");
    fs::write(&record, &whole[..whole.len() / 2]).expect("it can be written");
    assert_eq!(listed(&scene).len(), 2);
    let reply = answer(&scene, &broken, "x").expect_error(1, "record-corrupt");
    assert!(reply.text("message").contains("session.json"), "{reply}");
    host(answer(&scene, sid(&second), "x"), "completed");
    fs::write(&record, &whole).expect("it can be written");
    host(answer(&scene, sid(&first), "x"), "completed");
    shutdown(&scene);
}

fn listing_connects_to_nobody() {
    let scene = Scene::new();
    let counted = scene.path("connections");
    let worker = theirs(&[Quirk::CountsIn(&counted)]);
    host(run(&scene, "x", &[], &worker), "needs_response");
    let connections = || fs::read_to_string(&counted).expect("it counts");
    let before = connections();
    for _ in 0..20 {
        assert_eq!(listed(&scene).len(), 1);
    }
    assert_eq!(connections(), before);
    shutdown(&scene);
}

/// How many processes add, change and remove sessions at once, and how many sessions they handle together.
const WRITERS: usize = 32;
const SESSIONS: usize = 1000;

/// T11, R-1: whoever lists meanwhile sees every session whole that is there, and no other.
fn many_processes_lose_no_session() {
    let scene = Scene::new();
    let there: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| list_until(&scene, &there, &over));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (scene, there) = (&scene, &there);
                scope.spawn(move || (writer..SESSIONS).step_by(WRITERS).for_each(|_| live(scene, there)))
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().expect("a writer does not fail"));
        over.store(true, Ordering::SeqCst);
        let lists = reader.join().expect("every list was whole");
        println!("{SESSIONS} sessions, listed {lists} times meanwhile");
    });
    assert_nothing_left(&scene);
}

/// The life of one session, each step a process of its own.
fn live(scene: &Scene, there: &Mutex<BTreeSet<String>>) {
    let paused = host(run(scene, ASK, &[], &ours()), "needs_response");
    let name = sid(&paused).to_owned();
    let known = || there.lock().expect("nobody panicked");
    known().insert(name.clone());
    host(answer(scene, &name, "x"), "completed");
    known().remove(&name);
    pool(scene, &["shutdown", &name]).expect(0, "stopped");
}

fn list_until(scene: &Scene, there: &Mutex<BTreeSet<String>>, over: &AtomicBool) -> usize {
    let pool = WorkerPool::new(Sessions::open(scene.state()).expect("a scene's state directory is ours"));
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
