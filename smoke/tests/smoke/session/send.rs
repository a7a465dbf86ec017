//! `rekindle claim`: a program runs under the claim of a session, and no worker is started or replaced meanwhile.

use nix::sys::signal::Signal;
use rekindle_smoke::{Launcher, TestEnv, cli, procs, tests, wait};
use serde_json::Value;
use std::fs;
use std::path::Path;

tests![
    the_program_knows_the_worker_and_has_its_own_exit_code,
    a_launcher_waits_for_the_program,
    a_second_claimer_is_refused_with_the_holder,
    a_claimer_may_wait,
    a_killed_rekindle_leaves_the_claim_to_the_program,
    a_killed_program_releases,
    what_the_program_leaves_behind_keeps_nothing,
    our_own_exit_codes_are_those_of_wrappers,
];

fn serve(env: &TestEnv) -> procs::Pid {
    env.up("s", &[&cli::binary_arg(), "worker"]).expect_running("started").pid()
}

/// A claimer whose program writes its pid to `file`, and then sleeps.
fn sleeping(env: &TestEnv, file: &Path) -> (Launcher, procs::Pid) {
    let script = format!("echo $$ >{0}.new && mv {0}.new {0} && exec sleep 1000", file.display());
    let claimer = env.launch(["claim", "s", "--", "sh", "-c", &script]);
    wait::until_there(file);
    let pid = fs::read_to_string(file).expect("it is there").trim().parse().expect("it is a pid");
    (claimer, pid)
}

/// The last line of stderr as JSON.
fn said(stderr: &str) -> Value {
    stderr.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default()
}

fn is_claimed(env: &TestEnv) -> bool {
    env.rekindle(["show", "s"]).json["claim"]["locked"] == true
}

fn the_program_knows_the_worker_and_has_its_own_exit_code() {
    let env = TestEnv::new();
    serve(&env);
    let script = "echo $REKINDLE_SESSION $REKINDLE_STATE $REKINDLE_GENERATION $REKINDLE_LIVENESS; \
        test \"unix:$REKINDLE_SOCKET\" = \"$REKINDLE_ADDRESS\" && test -S \"$REKINDLE_SOCKET\" && exit 7";
    let reply = env.rekindle(["claim", "s", "--probe", "--", "sh", "-c", script]);
    assert_eq!((reply.code, reply.stdout.as_str()), (Some(7), "s live 1 alive\n"), "{reply}");
    let event = said(&reply.stderr);
    assert_eq!((&event["outcome"], &event["liveness"]), (&"claimed".into(), &"alive".into()), "{reply}");
    assert!(!env.of("s", "claim").exists(), "a failed send releases too");
    let killed = env.rekindle(["claim", "s", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(killed.code, Some(128 + 9), "{killed}");
    env.stop("s").expect(0, "stopped");
    let dead =
        env.rekindle(["claim", "s", "--probe", "--", "sh", "-c", "echo $REKINDLE_STATE $REKINDLE_LIVENESS"]);
    assert_eq!((dead.code, dead.stdout.as_str()), (Some(0), "exited dead\n"), "{dead}");
}

fn a_launcher_waits_for_the_program() {
    let env = TestEnv::new();
    serve(&env);
    env.stop("s").expect(0, "stopped");
    let (claimer, program) = sleeping(&env, &env.path("pid"));
    let refused = env.up_with("s", &["--timeout", "200ms"], &[&cli::binary_arg(), "worker"]);
    refused.expect_rejected("target-locked");
    let launcher = env.launch_up("s", &["--timeout", "30s"], &[&cli::binary_arg(), "worker"]);
    procs::send(program, Signal::SIGTERM);
    launcher.finish().expect_running("started");
    assert_eq!(claimer.finish().code, Some(128 + 15));
}

fn a_second_claimer_is_refused_with_the_holder() {
    let env = TestEnv::new();
    serve(&env);
    let (claimer, _) = sleeping(&env, &env.path("pid"));
    let second = env.rekindle(["claim", "s", "--", "touch", "sent"]);
    assert_eq!((second.code, second.stdout.as_str()), (Some(125), ""), "{second}");
    let refusal = said(&second.stderr);
    assert_eq!(refusal["reason"], "target-locked", "{second}");
    assert_eq!(refusal["holder"]["pid"], claimer.pid(), "{second}");
    assert_eq!(refusal["holder"]["nonce"], Value::Null, "{second}");
    assert_ne!(refusal["next"], "", "{second}");
    let late = env.rekindle(["claim", "s", "--wait", "200ms", "--", "touch", "sent"]);
    assert_eq!((late.code, &said(&late.stderr)["reason"]), (Some(124), &"timeout".into()), "{late}");
    assert!(!env.path("sent").exists(), "nothing was sent");
}

fn a_claimer_may_wait() {
    let env = TestEnv::new();
    serve(&env);
    let (claimer, program) = sleeping(&env, &env.path("pid"));
    let waiting = env.launch(["claim", "s", "--wait", "60s", "--", "touch", "sent"]);
    procs::send(program, Signal::SIGTERM);
    let reply = waiting.finish();
    assert_eq!(reply.code, Some(0), "{reply}");
    assert!(env.path("sent").exists(), "{reply}");
    claimer.finish();
}

/// As in a start: the right to decide lasts as long as the process that uses it.
fn a_killed_rekindle_leaves_the_claim_to_the_program() {
    let env = TestEnv::new();
    serve(&env);
    env.stop("s").expect(0, "stopped");
    let (claimer, program) = sleeping(&env, &env.path("pid"));
    claimer.signal(Signal::SIGKILL);
    wait::until("rekindle is gone", || !procs::is_running(claimer.pid()));
    assert!(procs::is_running(program), "the program goes on");
    assert!(is_claimed(&env), "and keeps the claim");
    let refused = env.up_with("s", &["--timeout", "200ms"], &[&cli::binary_arg(), "worker"]);
    refused.expect_rejected("target-locked");
    procs::send(program, Signal::SIGKILL);
    env.up("s", &[&cli::binary_arg(), "worker"]).expect_running("started");
    assert!(!env.of("s", "claim").exists(), "the claim of the dead claimer was taken over and released");
}

fn a_killed_program_releases() {
    let env = TestEnv::new();
    serve(&env);
    let (claimer, program) = sleeping(&env, &env.path("pid"));
    procs::send(program, Signal::SIGKILL);
    assert_eq!(claimer.finish().code, Some(128 + 9));
    assert!(!env.of("s", "claim").exists() && !is_claimed(&env), "the claim is released");
}

/// The release unlocks every copy of the descriptor.
fn what_the_program_leaves_behind_keeps_nothing() {
    let env = TestEnv::new();
    serve(&env);
    let script = "sleep 1000 >/dev/null 2>&1 </dev/null &";
    let reply = env.rekindle(["claim", "s", "--", "sh", "-c", script]);
    assert_eq!(reply.code, Some(0), "{reply}");
    assert!(!is_claimed(&env), "the claim is released");
}

fn our_own_exit_codes_are_those_of_wrappers() {
    let env = TestEnv::new();
    serve(&env);
    let text = env.path("text");
    fs::write(&text, "no program").expect("a test environment can hold a file");
    let text = text.to_str().expect("a test environment's paths are UTF-8");
    for (session, program, code, reason) in [
        ("s", "no-such-program", 127, "spawn-start-failed"),
        ("s", text, 126, "spawn-start-failed"),
        ("typo", "true", 125, "unknown-session"),
    ] {
        let reply = env.rekindle(["claim", session, "--", program]);
        assert_eq!((reply.code, reply.stdout.as_str()), (Some(code), ""), "{reply}");
        assert_eq!(said(&reply.stderr)["reason"], reason, "{reply}");
    }
    assert!(!env.of("typo", "").exists(), "a mistyped name leaves nothing");
    assert!(!is_claimed(&env));
}
