//! Text for people: the table, one session on a screen, a mistyped name, colors, times, and the pages of help.

use rekindle_smoke::{Reply, TestEnv, cli, procs, programs, tests, wait};
use serde_json::json;
use std::fs;
use std::process::{Command, Stdio};

tests![
    one_table_tells_every_state_and_end_apart,
    a_session_is_shown_on_one_screen_with_its_end_and_its_last_words,
    a_worker_that_nobody_saw_end_says_why_its_exit_is_unknown,
    a_mistyped_session_is_guessed_by_every_verb,
    a_mistyped_session_of_the_pool_is_guessed,
    colors_are_for_terminals,
    a_table_fits_a_narrow_terminal,
    times_are_written_as_people_write_them,
    a_first_call_gets_the_short_page,
];

/// Runs `rekindle` for people.
fn say(env: &TestEnv, args: &[&str]) -> Reply {
    let mut command = env.command(env.binary());
    command.arg("--dir").arg(env.state()).args(args).stdin(Stdio::null());
    Reply::to(command)
}

/// The time so many seconds ago, as a record has it.
fn ago(secs: u32) -> String {
    let date =
        Command::new("date").args(["-u", "-d", &format!("-{secs} seconds"), "+%Y-%m-%dT%H:%M:%SZ"]).output();
    String::from_utf8(date.expect("there is `date`").stdout).expect("it is ASCII").trim().to_owned()
}

/// A session whose worker was ready and was then ended by `exit`, an hour ago, as a watcher records the end.
fn ended_by_itself(env: &TestEnv, session: &str, exit: serde_json::Value) {
    env.up(session, &[&env.binary_arg(), "worker"]).expect_running("started");
    env.stop(session).expect(0, "stopped");
    env.edit(session, "session.json", |record| {
        record["exit"] = exit;
        record["ended_by"] = json!("worker");
        record["exited_at"] = json!(ago(3_700));
    });
}

fn row<'a>(said: &'a Reply, session: &str) -> &'a str {
    let begins = |line: &&str| line.split_whitespace().next() == Some(session);
    said.stdout.lines().find(begins).unwrap_or_else(|| panic!("`{session}` is not listed: {said}"))
}

fn one_table_tells_every_state_and_end_apart() {
    let env = TestEnv::new();
    let worker = [&env.binary_arg(), "worker"];
    env.up("live", &worker).expect_running("started");
    env.up("silent", &worker).expect_running("started");
    fs::remove_file(env.socket("silent")).expect("the socket is there");
    env.up_with("bot", &["--address", "none"], &["sleep", "1000"]).expect_running("started");
    env.up("failed", &["sh", "-c", "exit 3"]).expect(5, "child-exited");
    env.up("broken", &["sh", "-c", "kill -SEGV $$"]).expect(5, "child-exited");
    env.up_with("slow", &["--timeout", "300ms"], &["sleep", "1000"]).expect(5, "child-exited");
    env.up("stopped", &worker).expect_running("started");
    env.stop("stopped").expect(0, "stopped");
    ended_by_itself(&env, "crashed", json!({ "signal": 11 }));
    ended_by_itself(&env, "done", json!({ "code": 0 }));

    let said = say(&env, &["ls"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{said}");
    assert!(said.stdout.lines().all(|line| line.chars().count() <= 80), "{said}");
    assert!(!said.stdout.contains('\u{1b}'), "no color in a pipe: {said}");
    let expected = [
        ("live", "live", "sock"),
        ("silent", "unresponsive", "sock"),
        ("bot", "live", "none"),
        ("failed", "exited", "exited with 3 before ready, "),
        ("broken", "exited", "killed by SIGSEGV before ready, "),
        ("slow", "exited", "start timed out, "),
        ("stopped", "exited", "stopped, "),
        ("crashed", "exited", "killed by SIGSEGV, 1 h ago"),
        ("done", "exited", "exited with 0, 1 h ago"),
    ];
    for (session, state, end) in expected {
        let row = row(&said, session);
        assert_eq!(row.split_whitespace().nth(1), Some(state), "{said}");
        assert!(row.contains(end), "`{end}` is not in `{row}`");
    }
    // The path of a test's directory may be cut; --wide cuts nothing.
    let wide = say(&env, &["ls", "--wide"]);
    assert!(row(&wide, "live").ends_with(&env.socket("live").display().to_string()), "{wide}");
}

fn a_session_is_shown_on_one_screen_with_its_end_and_its_last_words() {
    let env = TestEnv::new();
    let script =
        "for i in 1 2 3 4 5 6 7 8 9; do echo line $i >&2; done; printf 'boom\\033[2J\\n' >&2; exit 3";
    env.up("failed", &["sh", "-c", script]).expect(5, "child-exited");
    let said = say(&env, &["show", "failed"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{said}");
    assert!(said.stdout.lines().count() < 24, "{said}");
    assert!(said.stdout.starts_with("failed: exited; exited with 3 before ready, "), "{said}");
    let log = env.of("failed", "stderr.log").display().to_string();
    for part in
        ["ended by   the worker itself", "    | line 9\n    | boom\\u{1b}[2J\n", &log, "logs failed", "sh -c"]
    {
        assert!(said.stdout.contains(part), "`{part}` is not shown: {said}");
    }
    assert!(!said.stdout.contains('\u{1b}') && !said.stdout.contains("line 1\n"), "{said}");

    let up = env.up_with(
        "web",
        &["--address", "tcp:0", "--ready", "http=/"],
        &[&programs::python(), "-m", "http.server", "{port}"],
    );
    let up = up.expect_running("started");
    let said = say(&env, &["show", "web"]);
    assert!(said.stdout.starts_with(&format!("web: live, pid {}\n", up.pid())), "{said}");
    assert!(said.stdout.contains(up.text("url")) && said.stdout.contains("http=/"), "{said}");
    env.stop("web").expect(0, "stopped");
    let said = say(&env, &["show", "web"]);
    assert!(said.stdout.contains("ended by   rekindle: a stop\n"), "{said}");
    // Programs still get the record.
    assert_eq!(env.rekindle(["show", "web"]).json["state"], "exited");
}

fn a_worker_that_nobody_saw_end_says_why_its_exit_is_unknown() {
    let env = TestEnv::new();
    let pid = env.up("s", &[&env.binary_arg(), "worker"]).expect_running("started").pid();
    procs::send(pid, nix::sys::signal::Signal::SIGKILL);
    wait::until("the worker is gone", || !procs::is_running(pid));
    let said = say(&env, &["show", "s"]);
    assert!(said.stdout.starts_with("s: exited; ended"), "{said}");
    assert!(said.stdout.contains("unknown: nobody watched the worker when it ended"), "{said}");
}

fn a_mistyped_session_is_guessed_by_every_verb() {
    let env = TestEnv::new();
    env.up("cache", &[&env.binary_arg(), "worker"]).expect_running("started");
    env.up("web", &[&env.binary_arg(), "worker"]).expect_running("started");
    let verbs: [&[&str]; 8] = [
        &["show", "@"],
        &["stop", "@"],
        &["doctor", "@"],
        &["unlock", "@"],
        &["unlock", "--forget", "@"],
        &["gc", "@"],
        &["call", "@", "{}"],
        &["up", "@", "--intent", "attach"],
    ];
    for verb in verbs {
        let typed = |name: &'static str| {
            verb.iter().map(|word| if *word == "@" { name } else { word }).collect::<Vec<_>>()
        };
        let reply = env.rekindle(typed("cahce"));
        assert!(matches!(reply.code, Some(1 | 3)), "{verb:?}: {reply}");
        assert_eq!(reply.text("hint"), "did you mean `cache`?", "{verb:?}: {reply}");
        assert!(reply.text("next").contains("ls"), "{verb:?}: {reply}");
        let said = say(&env, &typed("cahce"));
        assert!(said.stderr.contains("hint: did you mean `cache`?"), "{verb:?}: {said}");
        let other = env.rekindle(typed("database"));
        assert!(!other.text("hint").contains("did you mean"), "{verb:?}: {other}");
    }
}

/// A pool's session is guessed by either name.
fn a_mistyped_session_of_the_pool_is_guessed() {
    let env = TestEnv::new();
    let rekindle = cli::binary_arg();
    let run = ["pool", "run", "--speak", "1", "--code", "?", "--", &rekindle, "worker", "--protocol", "pool"];
    let ran = env.rekindle(run);
    let session = ran.text("session_id");
    let mistyped = format!("{}x", &session[..session.len() - 1]);
    let reply = env.rekindle(["pool", "status", &mistyped]);
    assert_eq!(reply.code, Some(1), "{reply}");
    assert_eq!(reply.text("hint"), format!("did you mean `{session}`?"), "{reply}");
    assert!(reply.text("next").contains("pool ls"), "{reply}");
    env.rekindle(["pool", "shutdown", session]).expect(0, "stopped");
}

/// Runs a command on a terminal of so many columns, with the environment of a terminal changed.
fn on_terminal(env: &TestEnv, columns: u16, variables: &[(&str, &str)], args: &[&str]) -> String {
    const SCRIPT: &str = "\
import fcntl, os, pty, struct, sys, termios
columns = int(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
    os.execv(sys.argv[2], sys.argv[2:])
said = b''
while True:
    try:
        part = os.read(terminal, 65536)
    except OSError:
        break
    if not part:
        break
    said += part
os.waitpid(pid, 0)
sys.stdout.buffer.write(said)
";
    let mut command = env.command(programs::python());
    command
        .args(["-c", SCRIPT, &columns.to_string(), &env.binary_arg(), "--dir"])
        .arg(env.state())
        .args(args);
    command.env("TERM", "xterm-256color").env_remove("NO_COLOR").envs(variables.iter().copied());
    let output = command.output().expect("python can be started");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn colors_are_for_terminals() {
    let env = TestEnv::new();
    env.up("s", &[&env.binary_arg(), "worker"]).expect_running("started");
    for verb in [&["ls"][..], &["show", "s"]] {
        assert!(on_terminal(&env, 80, &[], verb).contains("\u{1b}[32mlive\u{1b}[0m"), "{verb:?}");
        for plain in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let said = on_terminal(&env, 80, &[plain, ("CI", "true")], verb);
            assert!(said.contains("live") && !said.contains('\u{1b}'), "{plain:?}: {said}");
        }
    }
}

fn a_table_fits_a_narrow_terminal() {
    let env = TestEnv::new();
    env.up("s", &[&env.binary_arg(), "worker"]).expect_running("started");
    for columns in [45, 60, 80, 200] {
        let said = on_terminal(&env, columns, &[("NO_COLOR", "1")], &["ls"]);
        assert!(said.lines().count() == 2 && said.contains("live"), "{columns}: {said}");
        assert!(said.lines().all(|line| line.chars().count() <= usize::from(columns)), "{columns}: {said}");
    }
}

fn times_are_written_as_people_write_them() {
    let env = TestEnv::new();
    let binary = cli::binary_arg();
    for time in ["1h30m", "90.5s", "2 min", "120s"] {
        let session = format!("s{}", time.len());
        let options = ["--timeout", time, "--term-grace", "1.5s", "--kill-grace", "1m"];
        env.up_with(&session, &options, &[&binary, "worker"]).expect_running("started");
        env.rekindle(["stop", &session, "--term-grace", "1h"]).expect(0, "stopped");
    }
    assert_eq!(env.rekindle(["gc", "--older-than", "1d12h"]).code, Some(0));
    for wrong in ["soon", "5", "-1s", "2y", "9000h"] {
        env.up_with("s", &["--timeout", wrong], &["true"]).expect_error(2, "usage");
    }
}

fn a_first_call_gets_the_short_page() {
    let env = TestEnv::new();
    let run = |args: &[&str]| {
        let output = env.command(env.binary()).args(args).env("COLUMNS", "80").output();
        Reply::of(None, &output.expect("the command can be run"))
    };
    let (bare, short, long) = (run(&[]), run(&["-h"]), run(&["--help"]));
    assert_eq!((bare.code, short.code, long.code), (Some(2), Some(0), Some(0)));
    assert_eq!(bare.stderr, short.stdout, "the same page");
    assert!(short.stdout.lines().count() < 24, "{short}");
    assert!(long.stdout.contains("Exit codes:") && !short.stdout.contains("Exit codes:"), "{long}");
    let (short, long) = (run(&["up", "-h"]), run(&["up", "--help"]));
    assert!(long.stdout.contains("Examples:\n") && !short.stdout.contains("Examples:"), "{long}");
    assert!(run(&["help", "up"]).stdout.contains("Examples:\n"));
    assert_eq!(short.stdout.lines().filter(|line| line.contains("--timeout")).count(), 1, "{short}");
}
