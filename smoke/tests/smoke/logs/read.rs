//! `rekindle logs` up to the present end: streams, last lines, any bytes, earlier runs, times.

use rekindle_smoke::{Launcher, Reply, TestEnv, tests};
use serde_json::Value;
use std::fs;

tests![
    both_streams_are_shown_and_marked,
    the_last_lines_are_counted_from_the_end,
    any_bytes_are_shown_and_told,
    the_previous_run_has_its_logs,
    without_an_index_no_time_is_known,
    an_unknown_session_is_an_error,
    every_verb_names_the_logs,
];

/// `rekindle logs` for people.
pub(crate) fn logs(env: &TestEnv, args: &[&str]) -> Reply {
    let mut command = env.command(env.binary());
    command.arg("--dir").arg(env.state()).args([&["logs", "s"], args].concat());
    Launcher::start(command).finish()
}

/// Starts a shell script that says `end` on its standard error when it has written everything.
pub(crate) fn start(env: &TestEnv, script: &str) {
    let options = ["--address", "none", "--ready", "line=^end$"];
    let script = format!("{script}\necho end >&2; exec sleep 1000");
    env.up_with("s", &options, &["sh", "-c", &script]).expect_running("started");
}

fn both_streams_are_shown_and_marked() {
    let env = TestEnv::new();
    start(&env, "echo one; echo two; echo three >&2");
    let reply = logs(&env, &[]);
    assert_eq!((reply.code, reply.stderr.as_str()), (Some(0), ""), "{reply}");
    assert_eq!(reply.stdout, "one\ntwo\nstderr: three\nstderr: end\n");
    assert_eq!(logs(&env, &["--stream", "stdout"]).stdout, "one\ntwo\n");
    assert_eq!(logs(&env, &["--stream", "stderr"]).stdout, "three\nend\n", "one stream has no mark");
    let reply = env.rekindle(["logs", "s", "--stream", "stdout"]);
    let lines: Vec<Value> =
        reply.stdout.lines().map(|line| serde_json::from_str(line).expect("a line is an object")).collect();
    assert_eq!((&lines[1]["stream"], &lines[1]["line"]), (&"stdout".into(), &"two".into()));
    assert!(lines[1]["time"].is_string() && lines[1]["partial"] == false, "{reply}");
}

fn the_last_lines_are_counted_from_the_end() {
    let env = TestEnv::new();
    start(&env, "seq 200000; printf 'no newline'");
    let last = |n: &str| logs(&env, &["--stream", "stdout", "-n", n]).stdout;
    assert_eq!((last("0"), last("1")), (String::new(), "no newline".to_owned()));
    assert_eq!(last("3"), "199999\n200000\nno newline");
    let many = last("150001");
    assert_eq!((many.lines().next(), many.lines().count()), (Some("50001"), 150_001));
    assert_eq!(last("300000").lines().next(), Some("1"));
    assert_eq!(logs(&env, &["-n", "1"]).stdout, "stderr: end\nno newline", "an unfinished line comes last");
}

fn any_bytes_are_shown_and_told() {
    let env = TestEnv::new();
    start(&env, r"printf 'a\377\033[31m\000b\n\n'");
    let mut command = env.command(env.binary());
    command.arg("--dir").arg(env.state()).args(["logs", "s", "--stream", "stdout"]);
    let raw = command.output().expect("the command can be run").stdout;
    assert_eq!(raw, b"a\xff\x1b[31m\0b\n\n");
    let reply = env.rekindle(["logs", "s", "--stream", "stdout"]);
    assert_eq!(reply.json["line"]["bytes"], "61ff1b5b33316d0062", "{reply}");
    assert_eq!(reply.stdout.lines().count(), 2, "{reply}");
}

fn the_previous_run_has_its_logs() {
    let env = TestEnv::new();
    start(&env, "echo first");
    assert_eq!(logs(&env, &["--previous"]).stdout, "");
    env.stop("s").expect(0, "stopped");
    assert_eq!(logs(&env, &["--stream", "stdout"]).stdout, "first\n", "a worker that ended has its logs");
    start(&env, "echo second");
    assert_eq!(logs(&env, &["--stream", "stdout"]).stdout, "second\n");
    assert_eq!(logs(&env, &["--stream", "stdout", "--previous"]).stdout, "first\n");
}

fn without_an_index_no_time_is_known() {
    let env = TestEnv::new();
    start(&env, "echo one");
    let stamped = logs(&env, &["--stream", "stdout", "--timestamps"]).stdout;
    assert!(stamped.ends_with("Z one\n"), "{stamped}");
    assert_eq!(logs(&env, &["--stream", "stdout", "--since", "10m"]).stdout, "one\n");
    for damage in ["", "rubbish", "{\"version\":1}", "{\"version\":9,\"inode\":1}\n"] {
        fs::write(env.of("s", "stdout.index"), damage).expect("it can be written");
        env.rekindle(["ls"]);
        let reply = logs(&env, &["--stream", "stdout", "--since", "10m"]);
        assert_eq!((reply.code, reply.stdout.as_str()), (Some(0), "one\n"), "{damage:?}: {reply}");
    }
    fs::remove_file(env.of("s", "stdout.index")).expect("it can be removed");
    assert_eq!(logs(&env, &["--stream", "stdout", "--timestamps"]).stdout, "- one\n");
    assert!(!env.of("s", "stdout.index").exists(), "a look makes no file");
    env.stop("s").expect(0, "stopped");
    assert_eq!(env.rekindle(["gc"]).json["removed"], serde_json::json!(["s"]));
}

fn an_unknown_session_is_an_error() {
    let env = TestEnv::new();
    env.rekindle(["logs", "s"]).expect_error(1, "unknown-session");
    env.rekindle(["logs", "s", "-f"]).expect_error(1, "unknown-session");
}

fn every_verb_names_the_logs() {
    let env = TestEnv::new();
    let options = ["--address", "none"];
    let path = env.of("s", "stderr.log").display().to_string();
    let up = |how| env.up_with("s", &options, &["sleep", "1000"]).expect_running(how);
    let replies = [up("started"), up("attached"), env.rekindle(["show", "s"]), env.stop("s")];
    for reply in replies {
        assert_eq!(reply.text("stderr_log"), path, "{reply}");
        assert!(reply.text("stdout_log").ends_with("/s/stdout.log"), "{reply}");
    }
    assert_eq!(env.rekindle(["ls"]).json["sessions"][0]["stderr_log"], path.as_str());
    let early = env.up_with("s", &options, &["false"]).expect(5, "child-exited");
    assert_eq!(early.text("stderr_log"), path, "{early}");
}
