//! `rekindle logs -f`: across starts, to the removal of the session, and for a reader that left.

use super::read::start;
use rekindle_smoke::{Launcher, TestEnv, procs, tests, wait};
use std::fs::{self, File};
use std::process::Stdio;

tests![
    a_follower_sees_every_start_to_the_removal,
    a_reader_that_left_ends_a_silent_follower,
    ctrl_c_ends_a_follower,
];

/// A follower of `s` that writes to the file `seen`.
fn follow(env: &TestEnv) -> Launcher {
    let seen = File::create(env.path("seen")).expect("a test environment's directory is writable");
    let errors = File::create(env.path("errors")).expect("a test environment's directory is writable");
    let script = "exec \"$0\" --dir \"$1\" logs s -f >&3 2>&4";
    let mut command = env.command("bash");
    let script =
        format!("exec 3>{} 4>{}; {script}", env.path("seen").display(), env.path("errors").display());
    command.args(["-c", &script]).arg(env.binary()).arg(env.state());
    drop((seen, errors));
    Launcher::start(command)
}

fn seen(env: &TestEnv, name: &str) -> String {
    fs::read_to_string(env.path(name)).unwrap_or_default()
}

fn a_follower_sees_every_start_to_the_removal() {
    let env = TestEnv::new();
    start(&env, "echo one; printf 'no newline'");
    let follower = follow(&env);
    wait::until("the first lines are shown", || seen(&env, "seen").ends_with("stderr: end\n"));
    fs::OpenOptions::new()
        .append(true)
        .open(env.of("s", "stdout.log"))
        .map(|mut log| std::io::Write::write_all(&mut log, b" until now\n"))
        .expect("the log is there")
        .expect("it can be written");
    wait::until("the line is shown whole", || seen(&env, "seen").contains("\nno newline until now\n"));
    for run in ["two", "three"] {
        env.stop("s").expect(0, "stopped");
        start(&env, &format!("echo {run}"));
        wait::until("the next run is shown", || seen(&env, "seen").contains(&format!("\n{run}\n")));
    }
    env.stop("s").expect(0, "stopped");
    let reply = env.rekindle(["gc"]);
    assert_eq!(reply.json["removed"], serde_json::json!(["s"]), "{reply}");
    let reply = follower.finish();
    assert_eq!(reply.code, Some(0), "{reply}");
    let mut lines: Vec<String> = seen(&env, "seen").lines().map(str::to_owned).collect();
    lines.sort();
    let end = "stderr: end";
    assert_eq!(lines, ["no newline until now", "one", end, end, end, "three", "two"]);
    let errors = seen(&env, "errors");
    assert!(errors.contains("generation 2") && errors.contains("generation 3"), "{errors}");
}

fn a_reader_that_left_ends_a_silent_follower() {
    let env = TestEnv::new();
    start(&env, "echo one");
    let mut command = env.command(env.binary());
    command.arg("--dir").arg(env.state()).args(["logs", "s", "-f"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be started");
    drop(child.stdout.take());
    let mut status = None;
    wait::until("it has ended", || {
        status = child.try_wait().expect("a child can be asked");
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(0));
}

fn ctrl_c_ends_a_follower() {
    let env = TestEnv::new();
    start(&env, "echo one");
    let follower = follow(&env);
    wait::until("it follows", || seen(&env, "seen").contains("one"));
    wait::until("it waits", || procs::catches(follower.pid(), nix::sys::signal::Signal::SIGINT));
    follower.signal(nix::sys::signal::Signal::SIGINT);
    let reply = follower.finish();
    assert_eq!(reply.code, Some(130), "{reply}");
}
