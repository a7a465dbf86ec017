//! Lost output, for every verb; and every verb has log output with `-v`.

use nix::sys::signal::Signal;
use rekindle_smoke::{Reply, TestEnv, cli, tests, wait};
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::process::Stdio;

tests![
    output_on_a_full_disk_is_a_failure_for_every_verb,
    a_machine_is_told_that_its_output_was_lost,
    a_supervised_program_s_output_on_a_full_disk_is_a_failure,
    a_reader_that_left_is_no_failure,
    every_verb_says_more_when_asked_to,
];

/// Arguments for every verb with output, in an order that lets each verb succeed. The worker of `s` echoes.
fn verbs(env: &TestEnv) -> Vec<Vec<String>> {
    let rekindle = cli::binary_arg();
    let text = |path: &str| env.path(path).display().to_string();
    let (socket, marker) = (env.socket("s").display().to_string(), text("marker"));
    let manual = text("manual");
    // The tests run this list once for each environment: a project file is not overwritten.
    let file = text("rekindle-example.toml");
    let echo = ["--", &rekindle, "worker", "--socket", "{socket}"];
    let pool = ["--", &rekindle, "worker", "--protocol", "pool"];
    let pid = std::process::id().to_string();
    let rows: Vec<Vec<&str>> = vec![
        vec!["--help"],
        vec!["--version"],
        vec!["help"],
        vec!["up", "--help"],
        vec!["worker", "--help"],
        vec!["supervise", "--help"],
        vec!["schema"],
        vec!["schema", "up"],
        vec!["claim", "--help"],
        vec!["ls"],
        vec!["doctor"],
        vec!["gc"],
        vec!["pool", "ls"],
        vec!["pool", "gc"],
        [vec!["up", "s", "--dry-run"], echo.to_vec()].concat(),
        [vec!["up", "s"], echo.to_vec()].concat(),
        [vec!["up", "s"], echo.to_vec()].concat(),
        vec!["ls"],
        vec!["show", "s"],
        vec!["call", "s", "{}"],
        vec!["probe", &socket],
        vec!["doctor", "s"],
        vec!["unlock", "s"],
        vec!["status"],
        vec!["wait", "s", "--for", "ready"],
        vec!["signal", "s", "CONT"],
        vec!["up", "t", "--address", "none", "--ready", "line=hello", "--", "sh", "-c", SAYS_HELLO],
        vec!["logs", "t"],
        vec!["restart", "s"],
        vec!["stop", "s"],
        vec!["rm", "s"],
        [vec!["pool", "run", "--speak", "1", "--code", "?"], pool.to_vec()].concat(),
        vec!["lifecycle", "acquire", "--path", &marker, "--pid", &pid],
        vec!["lifecycle", "status", "--path", &marker],
        vec!["lifecycle", "release", "--path", &marker, "--pid", &pid],
        vec!["lifecycle", "force-unlock", "--path", &marker],
        vec!["init", "--file", &file],
        vec!["demo"],
        vec!["completions", "bash"],
        vec!["man", "--dir", &manual],
    ];
    rows.into_iter().map(|row| row.into_iter().map(str::to_owned).collect()).collect()
}

/// A worker whose log is not empty.
const SAYS_HELLO: &str = "echo hello; exec sleep 1000";

/// The verbs that need a pool session.
fn verbs_of_a_session() -> [Vec<&'static str>; 3] {
    [
        vec!["pool", "status"],
        vec!["pool", "continue", "--speak", "1", "--response", "x"],
        vec!["pool", "shutdown"],
    ]
}

/// Runs `rekindle` for people, or with `--json` for machines.
fn rekindle(env: &TestEnv, args: &[&str], stdout: Stdio) -> Reply {
    let mut command = env.command(env.binary());
    command.arg("--dir").arg(env.state()).args(args).stdout(stdout);
    Reply::to(command)
}

fn full_disk() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").expect("this machine has /dev/full").into()
}

const LOST: &str = "failed to write the standard output: No space left on device";

/// The message about a supervised program's output.
const PROGRAMS_LOST: &str = "the program's output could not be written: No space left on device";

/// Asserts that the work was done, and that only the output failed.
#[track_caller]
fn assert_lost(args: &[&str], reply: &Reply) {
    assert_eq!(reply.code, Some(1), "{args:?}: {reply}");
    assert!(reply.stderr.starts_with(&format!("rekindle: {LOST}")), "{args:?}: {reply}");
    assert_eq!(reply.stderr.lines().count(), 1, "it is said once: {args:?}: {reply}");
}

/// Starts a pool session that waits for an answer.
fn paused(env: &TestEnv) -> String {
    let rekindle = cli::binary_arg();
    let run = ["pool", "run", "--speak", "1", "--code", "?", "--", &rekindle, "worker", "--protocol", "pool"];
    let reply = env.rekindle(run);
    assert_eq!(reply.text("status"), "needs_response", "{reply}");
    reply.text("session_id").to_owned()
}

fn output_on_a_full_disk_is_a_failure_for_every_verb() {
    let env = TestEnv::new();
    let mut tried = BTreeSet::new();
    for args in verbs(&env) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        assert_lost(&args, &rekindle(&env, &args, full_disk()));
        tried.insert(args[0].to_owned());
    }
    let session = paused(&env);
    for verb in verbs_of_a_session() {
        let args = [verb, vec![session.as_str()]].concat();
        assert_lost(&args, &rekindle(&env, &args, full_disk()));
    }
    assert_lost(&["events"], &rekindle(&env, &["events"], full_disk()));
    tried.insert("events".to_owned());
    // A new verb has to be tried too.
    let help = rekindle(&env, &["--help"], Stdio::piped()).stdout;
    // The groups of verbs stand between the synopsis and the options.
    let groups =
        help.lines().skip_while(|line| !line.starts_with("Usage:")).take_while(|line| *line != "Options:");
    let rows = groups.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let verbs: Vec<&str> = rows.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(verbs.contains(&"up") && verbs.contains(&"supervise"), "{help}");
    for verb in verbs {
        // `supervise` passes on the program's output: another test covers both the verb and its help.
        tried.insert("supervise".to_owned());
        assert!(tried.contains(verb), "`{verb}` was not tried");
    }
}

/// A failure without output keeps its exit code; people are told of the lost output on stderr.
fn a_machine_is_told_that_its_output_was_lost() {
    let env = TestEnv::new();
    assert_lost(&["ls"], &rekindle(&env, &["--json", "ls"], full_disk()));
    let unknown = rekindle(&env, &["--json", "show", "nobody"], full_disk());
    assert_lost(&["show"], &unknown);
    let usage = rekindle(&env, &["--json", "show"], full_disk());
    assert_eq!(usage.code, Some(2), "worse than a failure: {usage}");
    assert!(usage.stderr.contains(LOST), "{usage}");
}

fn a_supervised_program_s_output_on_a_full_disk_is_a_failure() {
    let env = TestEnv::new();
    let echo = ["supervise", "--", "echo", "hello"];
    let lost = rekindle(&env, &echo, full_disk());
    assert_eq!(lost.code, Some(125), "{lost}");
    assert!(lost.stderr.contains(PROGRAMS_LOST), "{lost}");
    let ended_by_us =
        rekindle(&env, &["supervise", "--", "sh", "-c", "echo hello; exec sleep 1000"], full_disk());
    assert_eq!(ended_by_us.code, Some(125), "{ended_by_us}");
    let silent = rekindle(&env, &["supervise", "--", "true"], full_disk());
    assert_eq!((silent.code, silent.stderr.as_str()), (Some(0), ""), "nothing was lost");
    let worse = rekindle(&env, &["supervise", "--", "sh", "-c", "echo hello; exit 7"], full_disk());
    assert!(worse.stderr.contains(PROGRAMS_LOST), "{worse}");
    assert_ne!(worse.code, Some(0), "{worse}");
}

fn a_reader_that_left_is_no_failure() {
    let env = TestEnv::new();
    for args in [&["ls"][..], &["--json", "ls"], &["--help"]] {
        let (reader, writer) = std::io::pipe().expect("there can be a pipe");
        drop(reader);
        let reply = rekindle(&env, args, writer.into());
        assert_eq!((reply.code, reply.stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}

fn every_verb_says_more_when_asked_to() {
    let env = TestEnv::new();
    let told = |args: &[&str]| {
        let reply = rekindle(&env, &[&["-v"], args].concat(), Stdio::piped());
        assert_eq!(reply.code, Some(0), "{args:?}: {reply}");
        assert!(reply.stderr.contains("INFO"), "{args:?}: {reply}");
    };
    let is_help = |args: &[String]| args.iter().any(|arg| arg.ends_with("help") || arg == "--version");
    for args in verbs(&env).into_iter().filter(|args| !is_help(args)) {
        told(&args.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let session = paused(&env);
    for verb in verbs_of_a_session() {
        told(&[verb, vec![session.as_str()]].concat());
    }
    told(&["supervise", "--", "true"]);
    told(&["claim", "t", "--", "true"]);
    let socket = env.path("sock");
    let worker =
        env.launch([std::ffi::OsStr::new("-v"), "worker".as_ref(), "--socket".as_ref(), socket.as_ref()]);
    wait::until_there(&socket);
    worker.signal(Signal::SIGTERM);
    let reply = worker.finish();
    assert!(reply.stderr.contains("INFO"), "worker: {reply}");
}
