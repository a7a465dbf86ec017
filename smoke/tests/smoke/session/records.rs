//! Records written by a person, a crash or a later version.

use nix::sys::signal::Signal;
use rekindle_smoke::{Launcher, TestEnv, cli, procs, programs, tests, wait};
use serde_json::json;
use std::fs;

tests![
    a_corrupt_record_is_an_error_on_that_session_alone,
    a_worker_whose_record_cannot_be_read_can_be_stopped,
    a_record_that_would_be_too_long_is_refused,
    a_newer_record_of_a_live_worker_is_attached_and_never_rewritten,
    a_newer_record_of_a_dead_worker_is_never_rewritten,
    unknown_fields_survive_a_rewrite,
    a_record_of_schema_1_serves_until_the_next_start,
    the_record_has_the_plan_that_was_printed,
    another_program_on_a_live_session_is_told,
    a_record_that_lies_about_its_exit_starts_no_second_worker,
    a_lost_record_starts_no_second_worker,
    a_reused_pid_is_neither_alive_nor_signalled,
    every_reader_sees_a_whole_record,
];

fn started(env: &TestEnv, session: &str) -> procs::Pid {
    env.up(session, &[&cli::binary_arg(), "worker"]).expect_running("started").pid()
}

/// T12, R-2.
fn a_corrupt_record_is_an_error_on_that_session_alone() {
    let env = TestEnv::new();
    let pid = started(&env, "s");
    started(&env, "other");
    let path = env.of("s", "session.json");
    let whole = fs::read(&path).expect("the record is there");
    let half = whole[..whole.len() / 2].to_vec();
    let foreign = fs::read(env.of("other", "session.json")).expect("the record is there");
    for content in [b"garbage".to_vec(), Vec::new(), b"{}".to_vec(), half, foreign] {
        fs::write(&path, &content).expect("the record can be written");
        for verb in [&["up", "s", "--", "true"][..], &["show", "s"]] {
            env.rekindle(verb).expect_error(3, "record-corrupt");
        }
        let list = env.rekindle(["ls"]);
        assert_eq!(
            (&list.json["sessions"][0]["state"], &list.json["sessions"][1]["state"]),
            (&"live".into(), &"corrupt".into()),
            "{list}"
        );
        assert_eq!(fs::read(&path).expect("the record is kept"), content);
        assert!(!env.of("s", "claim").exists(), "no claim is kept");
    }
    assert!(procs::is_running(pid), "nothing was done to its worker");
    fs::write(&path, &whole).expect("the record can be mended");
    env.up("s", &[&cli::binary_arg(), "worker"]).expect_running("attached");
    env.stop("other").expect(0, "stopped");
    env.stop("s").expect(0, "stopped");
}

/// U23: the worker is recognised by its lifeline, whatever happened to the record, and the record stays unchanged.
fn a_worker_whose_record_cannot_be_read_can_be_stopped() {
    let env = TestEnv::new();
    let path = env.of("s", "session.json");
    for content in [b"garbage".to_vec(), vec![b' '; (1 << 20) + 1]] {
        let pid = started(&env, "s");
        fs::write(&path, &content).expect("the record can be written");
        env.rekindle(["up", "s", "--", "true"]).expect_error(3, "record-corrupt");
        assert_eq!(env.rekindle(["ls"]).json["sessions"][0]["pid"], pid);
        assert_eq!(env.stop("s").expect(0, "stopped").pid(), pid);
        assert_eq!(fs::read(&path).expect("the record is kept"), content);
        env.rekindle(["gc", "--repair"]);
    }
}

/// U23: a record too long to be read back is refused before any start.
fn a_record_that_would_be_too_long_is_refused() {
    let env = TestEnv::new();
    let long = "x".repeat(100_000);
    let mut command = vec![cli::binary_arg(), "worker".to_owned()];
    command.extend(vec![long; 12]);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let reply = env.up("s", &command).expect(4, "spawn-start-failed");
    assert!(reply.stdout.contains("longer than"), "{reply}");
    env.assert_no_process();
}

fn make_newer(env: &TestEnv) -> Vec<u8> {
    env.edit("s", "session.json", |record| {
        record["schema_version"] = json!(99);
        record["worker"] = json!("this version cannot read it");
        record["future"] = json!({"deep": [1, 2, 3]});
    })
}

/// T33, R-7.
fn a_newer_record_of_a_live_worker_is_attached_and_never_rewritten() {
    let env = TestEnv::new();
    let pid = started(&env, "s");
    let bytes = make_newer(&env);
    let reply = env.up("s", &[&cli::binary_arg(), "worker"]).expect(0, "attached");
    assert_eq!(reply.json["generation"], 1, "{reply}");
    assert_eq!(reply.pid(), pid, "{reply}");
    env.stop("s").expect_error(3, "record-newer");
    assert!(procs::is_running(pid), "it is not ours to stop");
    assert_eq!(fs::read(env.of("s", "session.json")).expect("the record is kept"), bytes);
    let list = env.rekindle(["ls"]);
    assert_eq!(list.json["sessions"][0]["state"], "live", "{list}");
    programs::expect_echo(&env.socket("s"));
}

/// T33, R-7.
fn a_newer_record_of_a_dead_worker_is_never_rewritten() {
    let env = TestEnv::new();
    let pid = started(&env, "s");
    let bytes = make_newer(&env);
    procs::send(pid, Signal::SIGKILL);
    wait::until("it is gone", || !procs::is_running(pid));
    env.up("s", &[&cli::binary_arg(), "worker"]).expect_error(3, "record-newer");
    assert_eq!(fs::read(env.of("s", "session.json")).expect("the record is kept"), bytes);
    assert!(!env.of("s", "claim").exists(), "no claim is kept");
    env.assert_no_process();
}

///
fn unknown_fields_survive_a_rewrite() {
    let env = TestEnv::new();
    started(&env, "s");
    env.edit("s", "session.json", |record| record["future"] = json!({"deep": [1, 2, 3]}));
    env.stop("s").expect(0, "stopped");
    let record = env.record("s");
    assert_eq!((&record["state"], &record["future"]), (&"exited".into(), &json!({"deep": [1, 2, 3]})));
}

///
fn a_record_of_schema_1_serves_until_the_next_start() {
    let env = TestEnv::new();
    let pid = started(&env, "s");
    env.make_schema_1("s");
    let attached = env.up("s", &[&cli::binary_arg(), "worker"]).expect_running("attached");
    assert_eq!((attached.pid(), &attached.json["program_differs"]), (pid, &json!(false)), "{attached}");
    assert_eq!(env.rekindle(["ls"]).json["sessions"][0]["state"], "live");
    let shown = env.rekindle(["show", "s"]);
    assert_eq!(
        (&shown.json["record_schema_version"], &shown.json["arguments"]),
        (&json!(1), &json!(["worker"]))
    );
    assert_eq!(env.stop("s").expect(0, "stopped").pid(), pid);
    let record = env.record("s");
    assert_eq!((&record["schema_version"], &record["state"]), (&json!(1), &json!("exited")));
    started(&env, "s");
    let record = env.record("s");
    assert_eq!((&record["schema_version"], &record["generation"]), (&json!(2), &json!(2)));
    assert_eq!(record["plan"]["launch_args"], json!([cli::binary_arg(), "worker"]));
    env.stop("s").expect(0, "stopped");
}

/// A plan that is printed is the one that is stored, to the letter.
fn the_record_has_the_plan_that_was_printed() {
    let env = TestEnv::new();
    let options = ["--timeout", "20s", "--term-grace", "2s", "--env", "LEVEL=3", "--prompt", "go on"];
    let command = [&cli::binary_arg(), "worker", "--socket", "{socket}"];
    let planned = env.up_with("s", &[&options[..], &["--dry-run"]].concat(), &command);
    env.up_with("s", &options, &command).expect_running("started");
    let record = env.record("s");
    assert_eq!(record["plan"], planned.json["plan"]);
    assert_eq!(record["plan"]["observe_timeout_ms"], 20_000, "not what was left of it");
    let shown = env.rekindle(["show", "s"]);
    assert_eq!(shown.json["plan"], record["plan"], "{shown}");
    assert_eq!(
        shown.json["arguments"][2], record["socket"],
        "what earlier versions showed is still shown: {shown}"
    );
    env.stop("s").expect(0, "stopped");
}

fn another_program_on_a_live_session_is_told() {
    let env = TestEnv::new();
    let pid = started(&env, "s");
    let same = env.up("s", &[&cli::binary_arg(), "worker"]).expect_running("attached");
    assert_eq!(same.json["program_differs"], false, "{same}");
    for command in [&["true"][..], &[&cli::binary_arg(), "worker", "--ignore-term"]] {
        let reply = env.up("s", command).expect_running("attached");
        assert_eq!((reply.pid(), &reply.json["program_differs"]), (pid, &true.into()), "{reply}");
    }
    let attach = env.rekindle(["up", "s", "--intent", "attach"]).expect_running("attached");
    assert_eq!(attach.json["program_differs"], false, "no program was named: {attach}");
    env.up_with("s", &["--intent", "resume"], &["true"]).expect_rejected("already-live");
}

/// A record `exited` proves nothing alone: evidence decides.
fn a_record_that_lies_about_its_exit_starts_no_second_worker() {
    let env = TestEnv::new();
    let pid = started(&env, "s");
    env.edit("s", "session.json", |record| record["state"] = json!("exited"));
    let reply = env.up("s", &[&cli::binary_arg(), "worker"]).expect_running("attached");
    assert_eq!(reply.pid(), pid, "{reply}");
    assert_eq!(env.record("s")["state"], "ready", "whoever finds it live completes the record");
    assert_eq!(env.processes(), [pid]);
}

/// T12: the lifeline is held, whatever happened to the record.
fn a_lost_record_starts_no_second_worker() {
    let env = TestEnv::new();
    let pid = started(&env, "s");
    fs::remove_file(env.of("s", "session.json")).expect("the record can be removed");
    fs::remove_file(env.socket("s")).expect("the socket can be removed");
    let reply = env.up_with("s", &["--timeout", "300ms"], &["true"]);
    // A start writes its record first, so the record was removed later: the worker is not ours to end unasked (U21).
    assert_eq!(reply.expect_rejected("worker-unresponsive").pid(), pid);
    assert!(procs::is_running(pid), "it lives on");
    assert_eq!(env.record("s")["generation"], 1, "its record is written anew (U29)");
    assert_eq!(env.stop("s").expect(0, "stopped").pid(), pid);
    env.assert_nothing_left("s");
}

/// T07, L5: the recorded pid belongs to another process by now.
fn a_reused_pid_is_neither_alive_nor_signalled() {
    let env = TestEnv::new();
    let pid = started(&env, "s");
    procs::send(pid, Signal::SIGKILL);
    wait::until("it is gone", || !procs::is_running(pid));
    let born = env.record("s")["worker"]["start_time"].as_u64();
    let sentinel = wait::for_some("a stranger starts in a later tick of the clock", || {
        let mut sleep = env.command("sleep");
        sleep.arg("1000");
        let sentinel = Launcher::start(sleep);
        (procs::start_time(sentinel.pid()) != born).then_some(sentinel)
    });
    env.edit("s", "session.json", |record| {
        record["worker"]["pid"] = json!(sentinel.pid());
        record["peer"]["pid"] = json!(sentinel.pid());
    });
    env.stop("s").expect(0, "not-running");
    assert!(procs::is_running(sentinel.pid()), "a stranger was signalled");
    env.up("s", &[&cli::binary_arg(), "worker"]).expect_running("started");
    env.stop("s").expect(0, "stopped");
    assert!(procs::is_running(sentinel.pid()), "a stranger was signalled");
    sentinel.signal(Signal::SIGKILL);
    sentinel.finish();
}

/// T11, R-1: a record is put in place whole.
fn every_reader_sees_a_whole_record() {
    let env = TestEnv::new();
    started(&env, "s");
    let path = env.of("s", "session.json");
    let (done, mut seen) = (std::sync::atomic::AtomicBool::new(false), 0_u32);
    std::thread::scope(|scope| {
        let done = &done;
        scope.spawn(|| {
            for _ in 0..15 {
                env.stop("s");
                env.up("s", &[&cli::binary_arg(), "worker"]);
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            let record: serde_json::Value =
                serde_json::from_slice(&fs::read(&path).expect("it is always there")).expect("it is whole");
            assert_eq!(record["session"], "s");
            seen += 1;
        }
    });
    assert!(seen > 100, "it was read {seen} times");
}
