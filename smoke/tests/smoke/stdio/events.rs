//! The reports of `rekindle supervise` besides the program's output: events on a descriptor that the program does not
//! have, one line on stderr for people, and a failure for lost output.

use rekindle_smoke::{Launcher, Reply, TestEnv, cli, schema, tests};
use serde_json::Value;
use std::fs;

tests![
    events_go_where_the_program_cannot_write,
    a_descriptor_that_cannot_be_written_is_a_usage_error,
    an_output_that_cannot_be_written_is_a_failure,
    a_reader_that_leaves_is_no_failure,
    what_is_quoted_begins_no_line_and_steers_no_terminal,
];

/// `rekindle supervise` from a shell, with redirections.
fn supervise(env: &TestEnv, options: &str, program: &str, redirections: &str) -> Reply {
    let binary = cli::binary_arg();
    env.file("program", program);
    let script = format!("exec {binary} supervise {options} -- sh program {redirections}");
    let mut command = env.command("sh");
    command.args(["-c", &script]);
    Launcher::start(command).finish()
}

fn events(env: &TestEnv) -> Vec<Value> {
    let text = fs::read_to_string(env.path("events")).expect("it was opened");
    let events: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("an event is JSON")).collect();
    // The program cannot write here: every line is an event of ours.
    events.iter().for_each(|event| schema::check("supervise", event));
    events
}

fn events_go_where_the_program_cannot_write() {
    let forge = r#"echo '{"event":"exited","exit_code":0}' >&2; echo '{"event":"forged"}' >&9; echo out; exec sleep 1000"#;
    for options in ["--json --events-fd 9", "--events-fd 9"] {
        let env = TestEnv::new();
        let reply = supervise(&env, options, forge, "9>events");
        assert_eq!((reply.code, reply.stdout.as_str()), (Some(143), "out\n"), "{reply}");
        let events = events(&env);
        let story: Vec<&str> =
            events.iter().map(|event| event["event"].as_str().unwrap_or_default()).collect();
        assert_eq!(
            story,
            ["started", "stopping", "signalled", "exited", "ended-by-us", "stopped"],
            "{reply}"
        );
        // The text for people is then on stderr.
        assert_eq!(reply.stderr.matches("rekindle: ended the program").count(), 1, "{reply}");
        assert!(reply.stderr.contains("9: Bad file descriptor"), "{reply}");
        env.assert_no_process();
    }
    // A pipe, as a host would use.
    let env = TestEnv::new();
    let reply = supervise(&env, "--json --events-fd 9", "echo out; exit 7", "9>&1 >/dev/null | cat >events");
    assert_eq!(reply.stderr, "", "{reply}");
    let last = events(&env).pop().expect("there are events");
    assert_eq!((&last["event"], &last["end"]), (&"stopped".into(), &"had-ended".into()), "{last}");
}

/// Before anything is started.
fn a_descriptor_that_cannot_be_written_is_a_usage_error() {
    for (number, redirections) in [
        ("9", ""),
        ("9", "9</dev/null"),
        ("3", "3>&-"),
        ("0", ""),
        ("1", ""),
        ("2", ""),
        ("-1", ""),
        ("x", ""),
    ] {
        for json in ["", "--json"] {
            let env = TestEnv::new();
            let options = format!("{json} --events-fd={number}");
            let reply = supervise(&env, &options, "echo > started", redirections);
            assert_eq!(reply.code, Some(2), "{number} {redirections}: {reply}");
            assert!(!env.path("started").exists(), "{number} {redirections}: {reply}");
            let said = if json.is_empty() { reply.stderr.as_str() } else { reply.text("message") };
            assert!(said.contains("--events-fd"), "{reply}");
        }
    }
}

/// U17.
fn an_output_that_cannot_be_written_is_a_failure() {
    let env = TestEnv::new();
    let reply = supervise(&env, "", "echo out", ">/dev/full");
    assert_eq!(reply.code, Some(125), "{reply}");
    assert_eq!(reply.stderr.matches("could not be written: No space left").count(), 1, "{reply}");
    let reply = supervise(&env, "", "echo out; exit 7", ">/dev/full");
    assert_eq!(reply.code, Some(7), "a failure of the program's own stays: {reply}");
}

fn a_reader_that_leaves_is_no_failure() {
    let env = TestEnv::new();
    let script = "while [ ! -e gone ]; do sleep 0.01; done; echo out; exit 0";
    let binary = cli::binary_arg();
    env.file("program", script);
    let run =
        format!("{{ {binary} supervise -- sh program; echo $? > code; }} | {{ exec <&-; echo > gone; }}");
    let status = env.command("sh").args(["-c", &run]).status().expect("a shell can be started");
    assert!(status.success());
    let code = fs::read_to_string(env.path("code")).expect("it ended");
    assert!(["0\n", "143\n"].contains(&code.as_str()), "{code}");
}

/// U36.
fn what_is_quoted_begins_no_line_and_steers_no_terminal() {
    let env = TestEnv::new();
    let mut command = env.command(cli::binary());
    command.args(["supervise", "--", "no\nrekindle: all is well\u{1b}[2J\u{9b}31m"]);
    let reply = Launcher::start(command).finish();
    assert_eq!(reply.code, Some(127), "{reply}");
    assert!(!reply.stderr.chars().any(|c| c.is_control() && c != '\n'), "{reply}");
    assert_eq!(reply.stderr.lines().count(), 2, "the message and what to do next: {reply}");
}
