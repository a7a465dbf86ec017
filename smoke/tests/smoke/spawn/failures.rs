//! Failing starts; each names the missing resource, and leaves nothing.

use rekindle_core::{Lifeline, SpawnError};
use rekindle_smoke::{Launcher, Reply, Starts, TestEnv, cli, programs, tests};
use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

tests![
    what_is_missing_is_named,
    a_program_that_is_being_written_is_named,
    every_limit_on_descriptors_ends_in_a_typed_outcome,
    a_clone_that_is_refused_is_a_typed_outcome,
];

fn script(starts: &Starts, name: &str, content: &str, mode: u32) -> String {
    let path = starts.env.file(name, content);
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("its mode can be set");
    path.display().to_string()
}

fn expect_failure(starts: &Starts, session: &str, command: &[&str], cwd: Option<PathBuf>) -> SpawnError {
    let mut plan = starts.plan(session, command);
    plan.cwd = cwd.unwrap_or(plan.cwd);
    let claim = starts.claim(session);
    let error = starts.spawn(&plan, &claim).expect_err("it cannot start");
    claim.release().expect("our claim can be released");
    assert_eq!(starts.env.lifeline(session), Lifeline::Free, "{error}");
    starts.env.assert_no_process();
    error
}

/// T18, P1.
fn what_is_missing_is_named() {
    let starts = Starts::new();
    let path = |name: &str| starts.env.path(name);
    let no_interpreter = script(&starts, "no-interpreter", "#!/no/such/interpreter -x\n", 0o755);
    let not_executable = script(&starts, "not-executable", "#!/bin/sh\n", 0o644);
    let text = script(&starts, "text", "neither program nor script\n", 0o755);
    let dir = starts.env.dir().display().to_string();
    symlink(path("nowhere"), path("dangling")).expect("a test environment can hold a link");
    symlink(path("loop"), path("loop")).expect("a test environment can hold a link");
    let (dangling, looping) = (path("dangling").display().to_string(), path("loop").display().to_string());
    let huge = "x".repeat(4 << 20);
    let cases: [(&str, &[&str], &str, &str); 9] = [
        ("absolute", &["/no/such/program"], "/no/such/program", "not found"),
        ("searched", &["no-such-program-anywhere"], "no-such-program-anywhere", "PATH"),
        ("interpreter", &[&no_interpreter], "/no/such/interpreter", "interpreter"),
        ("mode", &[&not_executable], &not_executable, "chmod +x"),
        ("directory", &[&dir], &dir, "directory"),
        ("text", &[&text], &text, "#!"),
        ("dangling", &[&dangling], &dangling, "not found"),
        ("loop", &[&looping], &looping, ""),
        ("huge", &["sh", "-c", "exit 0", &huge], "/sh", "longer than the system allows"),
    ];
    for (session, command, named, why) in cases {
        let error = expect_failure(&starts, session, command, None).to_string();
        assert!(error.contains(named) && error.contains(why), "{session}: {error}");
    }
    for (session, cwd) in [("no-cwd", path("absent")), ("file-cwd", path("text"))] {
        let error = expect_failure(&starts, session, &["true"], Some(cwd.clone()));
        assert!(matches!(&error, SpawnError::Directory { cwd: named, .. } if *named == cwd), "{error}");
    }
}

/// P2.
fn a_program_that_is_being_written_is_named() {
    let starts = Starts::new();
    let program = starts.env.path("program");
    fs::copy(programs::find("true", "coreutils"), &program).expect("a program can be copied");
    let writer = OpenOptions::new().append(true).open(&program).expect("it can be written to");
    let named = program.display().to_string();
    let error = expect_failure(&starts, "s", &[&named], None).to_string();
    assert!(error.contains(&named) && error.contains("text file busy"), "{error}");
    drop(writer);
    starts.start("s", &[&named]);
}

/// `up` from a shell with this limit of descriptors.
fn up_within(env: &TestEnv, limit: u32, session: &str) -> Reply {
    let mut command = env.command("sh");
    command.args(["-c", "ulimit -n $0 && exec \"$@\"", &limit.to_string()]).arg(cli::binary());
    command.args(["--json", "--dir"]).arg(env.state());
    command.args(["up", session, "--timeout", "20s", "--"]).arg(cli::binary()).arg("worker");
    Launcher::start(command).finish()
}

/// T31, P16.
fn every_limit_on_descriptors_ends_in_a_typed_outcome() {
    let env = TestEnv::new();
    let (mut started, mut refused, mut panicked) = (0, 0, Vec::new());
    for limit in 3..=40 {
        let session = format!("limit-{limit}");
        let reply = up_within(&env, limit, &session);
        match reply.code {
            _ if reply.stderr.contains("panicked") => panicked.push(format!("limit {limit}: {reply}")),
            Some(0) => {
                started += 1;
                env.stop(&session).expect(0, "stopped");
            }
            // 127: with so few descriptors the loader finds no libraries.
            Some(127) if reply.stdout.is_empty() => refused += 1,
            Some(1 | 3 | 4 | 5) => {
                refused += 1;
                assert!(reply.json["outcome"].is_string(), "limit {limit}: {reply}");
            }
            _ => panic!("limit {limit}: {reply}"),
        }
        env.assert_no_process();
        let claim = env.of(&session, "claim");
        assert!(!claim.exists() || reply.code != Some(0), "limit {limit}: the claim is left");
        // After any failure, the next start repairs the session.
        env.up(&session, &[&cli::binary_arg(), "worker"]).expect_running("started");
        env.stop(&session).expect(0, "stopped");
        env.assert_nothing_left(&session);
    }
    assert!(panicked.is_empty(), "{panicked:#?}");
    assert!(started > 0 && refused > 0, "the sweep crosses the limit: {started} started, {refused} refused");
}

/// T31, P16.
fn a_clone_that_is_refused_is_a_typed_outcome() {
    let env = TestEnv::new();
    let mut command = env.command(programs::find("strace", "strace"));
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "inject=clone,clone3,fork,vfork:error=EAGAIN"]);
    command.arg(cli::binary()).args(["--json", "--dir"]).arg(env.state());
    command.args(["up", "s", "--", "sleep", "1000"]);
    let reply = Launcher::start(command).finish().expect(4, "spawn-start-failed");
    assert!(reply.text("message").contains("create a process"), "{reply}");
    assert!(!reply.stderr.contains("panicked"), "{reply}");
    env.assert_nothing_left("s");
    env.up("s", &[&cli::binary_arg(), "worker"]).expect_running("started");
}
