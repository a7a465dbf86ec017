//! Secrets by file and by stdin: no argument of any process contains a secret.

use rekindle_smoke::{Launcher, Reply, TestEnv, procs, programs, tests, wait};
use serde_json::json;
use std::fs::{self, File};
use std::path::Path;

tests![
    a_prompt_by_file_is_in_no_argument,
    a_prompt_by_file_is_filled_in_where_it_is_asked_for,
    a_prompt_that_cannot_be_used_is_a_named_error,
    code_context_and_answer_come_by_file_and_stdin,
    a_text_that_begins_with_an_at_sign_is_written_with_two,
    what_cannot_be_read_is_named_and_nothing_is_started,
];

const SECRET: &str = "hunter2-and-more";

/// Runs a command with a file as standard input.
fn with_stdin(env: &TestEnv, stdin: &Path, args: &[&str]) -> Reply {
    let mut command = env.rekindle_command(args);
    command.stdin(File::open(stdin).expect("it was just written"));
    Launcher::start(command).finish()
}

/// A run of the scripted worker: a script shows whether code, context and answer arrived.
fn run(env: &TestEnv, stdin: Option<&Path>, options: &[&str]) -> Reply {
    let worker = programs::scripted_worker();
    let args = [&["pool", "run", "--speak", "1"], options, &["--", &worker]].concat();
    match stdin {
        Some(stdin) => with_stdin(env, stdin, &args),
        None => env.rekindle(args),
    }
}

fn at(path: &Path) -> String {
    format!("@{}", path.display())
}

/// No argument of the launcher, of its helpers or of the worker has the prompt, also before the worker's exec.
fn a_prompt_by_file_is_in_no_argument() {
    let env = TestEnv::new();
    let file = env.file("prompt", format!("{SECRET}\n"));
    let got = env.path("got");
    let script =
        format!("printf %s \"$REKINDLE_PROMPT\" > {0}.new; mv {0}.new {0}; sleep 1000; true", got.display());
    let prompt = file.to_str().expect("a test environment's paths are UTF-8");
    let launcher = env.launch_up("s", &["--prompt-file", prompt], &["sh", "-c", &script]);
    wait::until_there(&got);
    assert_eq!(fs::read_to_string(&got).expect("it is there"), SECRET, "without the newline");
    let there = env.processes();
    assert!(
        there.contains(&launcher.pid()) && there.len() > 1,
        "launcher and worker are looked at: {there:?}"
    );
    for pid in there {
        let line = procs::command_line(pid);
        assert!(!line.contains(SECRET), "{pid}: {line}");
    }
    let record =
        fs::read_to_string(env.of("s", "session.json")).expect("the record is written before the fork");
    assert!(!record.contains(SECRET), "{record}");
    let shown = env.rekindle(["show", "s"]);
    assert!(!shown.stdout.contains(SECRET), "{shown}");
    let withheld = json!(["prompt", { "variable": "REKINDLE_PROMPT" }]);
    assert_eq!(shown.json["plan"]["withheld"], withheld, "{shown}");
}

fn a_prompt_by_file_is_filled_in_where_it_is_asked_for() {
    let env = TestEnv::new();
    let file = env.file("prompt", "say hello");
    let prompt = file.to_str().expect("a test environment's paths are UTF-8");
    let plan = env.up_with("s", &["--dry-run", "--prompt-file", prompt], &["true", "a {prompt} b"]);
    assert_eq!(plan.json["plan"]["launch_args"][1], "a say hello b", "{plan}");
    let plan =
        with_stdin(&env, &file, &["up", "s", "--dry-run", "--prompt-file", "-", "--", "true", "{prompt}"]);
    assert_eq!(plan.json["plan"]["launch_args"][1], "say hello", "{plan}");
}

fn a_prompt_that_cannot_be_used_is_a_named_error() {
    let env = TestEnv::new();
    let up = |file: &Path| env.up_with("s", &["--prompt-file", &file.display().to_string()], &["true"]);
    let missing = up(&env.path("missing")).expect_error(1, "input-unreadable");
    assert!(missing.text("message").contains("missing"), "{missing}");
    for (name, content) in [("long", vec![b'x'; 128 << 10]), ("bytes", vec![0xff]), ("nul", vec![b'a', 0])] {
        let reply = up(&env.file(name, content)).expect_error(2, "usage");
        assert!(reply.stdout.len() < 1000, "the prompt itself is not shown: {name}");
    }
    assert!(!env.state().join("s").exists(), "nothing was begun");
}

fn code_context_and_answer_come_by_file_and_stdin() {
    let env = TestEnv::new();
    let code = env.file("code", "name = ask(\"{ctx.q}?\")\ndone(\"{name}!\")\n");
    let ctx = env.file("ctx", "{\"q\":\"who\"}\n");
    let answer = env.file("answer", format!("{SECRET}\n"));
    for (stdin, code_from, ctx_from) in [
        (None, at(&code), at(&ctx)),
        (Some(&code), "-".to_owned(), at(&ctx)),
        (Some(&ctx), at(&code), "-".to_owned()),
    ] {
        let stdin = stdin.map(std::path::PathBuf::as_path);
        let paused = run(&env, stdin, &["--code", &code_from, "--ctx", &ctx_from]);
        assert_eq!(paused.text("prompt"), "who?", "{paused}");
        let sid = paused.text("session_id");
        let args = ["pool", "continue", sid, "--speak", "1", "--response"];
        let done = match stdin {
            None => env.rekindle([&args[..], &[&at(&answer)]].concat()),
            Some(_) => with_stdin(&env, &answer, &[&args[..], &["-"]].concat()),
        };
        assert_eq!(done.text("result"), format!("{SECRET}!"), "{done}");
    }
}

fn a_text_that_begins_with_an_at_sign_is_written_with_two() {
    let env = TestEnv::new();
    let paused = run(&env, None, &["--code", "name = ask(\"?\")\ndone(\"{name}\")"]);
    let sid = paused.text("session_id");
    let done = env.rekindle(["pool", "continue", sid, "--speak", "1", "--response", "@@home"]);
    assert_eq!(done.text("result"), "@home", "{done}");
    let help = env.rekindle(["pool", "continue", "--help"]);
    assert!(help.stdout.contains("@@"), "the help says so: {help}");
}

fn what_cannot_be_read_is_named_and_nothing_is_started() {
    let env = TestEnv::new();
    let both = run(&env, None, &["--code", "-", "--ctx", "-"]).expect_error(2, "usage");
    assert!(both.text("message").contains("only one of --code and --ctx"), "{both}");
    let missing = run(&env, None, &["--code", &at(&env.path("missing"))]).expect_error(1, "input-unreadable");
    assert!(missing.text("message").contains("missing"), "{missing}");
    let directory = run(&env, None, &["--code", &at(env.dir())]).expect_error(1, "input-unreadable");
    assert!(directory.text("message").contains(&env.dir().display().to_string()), "{directory}");
    let long = env.path("long");
    File::create(&long)
        .and_then(|file| file.set_len((16 << 20) + 2))
        .expect("a test environment can hold a file");
    let long = run(&env, None, &["--code", &at(&long)]).expect_error(2, "usage");
    assert!(long.text("message").contains("holds more than 16777216 bytes"), "{long}");
    let ctx = env.file("ctx", SECRET);
    let ctx = run(&env, None, &["--code", "x", "--ctx", &at(&ctx)]).expect_error(2, "usage");
    assert!(ctx.text("message").contains("not JSON") && !ctx.stdout.contains(SECRET), "{ctx}");
    assert_eq!(env.rekindle(["pool", "ls"]).json["sessions"], serde_json::json!([]));
}
