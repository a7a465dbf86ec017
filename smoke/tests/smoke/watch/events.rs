//! `rekindle events`: a whole life, sessions that appear later, lost kernel events, and the end of the watch.

use super::{assert_it_sleeps, end, live_elsewhere, look_around, until_it_watches, up_sleeper};
use nix::sys::signal::Signal;
use rekindle_smoke::procs::{self, Pid};
use rekindle_smoke::wait::{self, FACT_TIMEOUT};
use rekindle_smoke::{TestEnv, tests};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

tests![
    a_whole_life_is_told,
    a_start_that_is_given_up_is_told_with_its_cause,
    the_present_state_comes_first,
    only_the_named_sessions_are_told,
    a_session_that_goes_on_is_followed_over_its_starts,
    an_exit_is_told_although_the_files_are_gone,
    events_that_the_kernel_lost_are_found_by_a_look,
    a_watch_sleeps_while_nothing_happens,
    a_watch_ends_when_its_reader_leaves,
];

/// A running `rekindle events`, killed and reaped when dropped.
struct Watch {
    child: Child,
    lines: Option<Receiver<String>>,
}

impl Watch {
    fn start(env: &TestEnv, args: &[&str]) -> Self {
        let mut command = env.rekindle_command([&["events"], args].concat());
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it can be started");
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let watch = Self { child, lines: Some(lines) };
        wait::until("it watches the directories", || {
            let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", watch.pid())) else { return false };
            let mut targets = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
            targets.any(|target| target.to_string_lossy().contains("inotify"))
                && procs::state(watch.pid()) == Some('S')
        });
        watch
    }

    fn pid(&self) -> Pid {
        self.child.id().try_into().expect("a pid is an i32")
    }

    fn next(&self) -> Value {
        let lines = self.lines.as_ref().expect("its reader is there");
        let line = lines.recv_timeout(FACT_TIMEOUT).expect("an event comes");
        let event: Value = serde_json::from_str(&line).expect("an event is JSON");
        assert_eq!(event["schema_version"], 1, "{event}");
        event
    }

    /// Asserts the next event; returns the event.
    #[track_caller]
    fn expect(&self, event: &str, session: &str, generation: u64) -> Value {
        let next = self.next();
        let told = (&next["event"], &next["session"], &next["generation"]);
        assert_eq!(told, (&json!(event), &json!(session), &json!(generation)), "{next}");
        next
    }

    #[track_caller]
    fn expect_started(&self, session: &str, generation: u64) {
        self.expect(if generation == 1 { "starting" } else { "restarting" }, session, generation);
        self.expect("ready", session, generation);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The watch begins before there is a state directory.
fn a_whole_life_is_told() {
    let env = TestEnv::new();
    let watch = Watch::start(&env, &[]);
    let pid = up_sleeper(&env, "s");
    watch.expect("starting", "s", 1);
    let ready = watch.expect("ready", "s", 1);
    assert_eq!(
        (&ready["pid"], &ready["present"], &ready["exit"]),
        (&json!(pid), &json!(false), &Value::Null)
    );
    procs::send(pid, Signal::SIGSEGV);
    let crashed = watch.expect("exited", "s", 1);
    assert_eq!(
        (&crashed["exit"]["signal"], &crashed["ended_by"]),
        (&json!("SEGV"), &json!("worker")),
        "{crashed}"
    );
    // The watcher wrote down what it learned.
    assert_eq!(env.rekindle(["show", "s"]).json["exit"], crashed["exit"]);
    up_sleeper(&env, "s");
    watch.expect_started("s", 2);
    env.stop("s").expect(0, "stopped");
    let stopped = watch.expect("stopped", "s", 2);
    assert_eq!(
        (&stopped["exit"]["signal"], &stopped["ended_by"]),
        (&json!("TERM"), &json!("stop")),
        "{stopped}"
    );
    env.rekindle(["rm", "s"]).expect(0, "removed");
    watch.expect("removed", "s", 2);
}

fn a_start_that_is_given_up_is_told_with_its_cause() {
    let env = TestEnv::new();
    let watch = Watch::start(&env, &[]);
    let options = ["--address", "none", "--ready", "exec=false", "--timeout", "300ms"];
    env.up_with("s", &options, &["sleep", "1000"]).expect(5, "child-exited");
    watch.expect("starting", "s", 1);
    let exited = watch.expect("exited", "s", 1);
    assert_eq!(exited["ended_by"], "timeout", "{exited}");
    let shown = env.rekindle(["show", "s"]);
    assert_eq!((shown.text("ended_by"), &shown.json["exit"]), ("timeout", &exited["exit"]), "{shown}");
    assert!(env.record("s").get("ended_by").is_none(), "an older version knows no such cause");
    // An end before readiness is the worker's own.
    env.up_with("t", &options, &["sh", "-c", "exit 4"]).expect(5, "child-exited");
    watch.expect("starting", "t", 1);
    let exited = watch.expect("exited", "t", 1);
    assert_eq!((&exited["ended_by"], &exited["exit"]), (&json!("worker"), &json!({ "code": 4 })), "{exited}");
}

fn the_present_state_comes_first() {
    let env = TestEnv::new();
    up_sleeper(&env, "live");
    let gone = up_sleeper(&env, "gone");
    up_sleeper(&env, "stopped");
    env.stop("stopped").expect(0, "stopped");
    end(gone, Signal::SIGKILL);
    let watch = Watch::start(&env, &[]);
    let since_now = Watch::start(&env, &["--since-now"]);
    let unwatched = watch.expect("exited", "gone", 1);
    assert!(unwatched["exit"].is_null() && unwatched["exit_why"].is_string(), "{unwatched}");
    watch.expect("ready", "live", 1);
    let stopped = watch.expect("stopped", "stopped", 1);
    for event in [&unwatched, &stopped] {
        assert_eq!(event["present"], true, "{event}");
    }
    up_sleeper(&env, "gone");
    watch.expect_started("gone", 2);
    since_now.expect_started("gone", 2);
}

fn only_the_named_sessions_are_told() {
    let env = TestEnv::new();
    let watch = Watch::start(&env, &["later"]);
    up_sleeper(&env, "other");
    up_sleeper(&env, "later");
    watch.expect_started("later", 1);
    env.stop("other").expect(0, "stopped");
    env.stop("later").expect(0, "stopped");
    watch.expect("stopped", "later", 1);
}

/// Also while the watcher cannot run, no end and no start is lost.
fn a_session_that_goes_on_is_followed_over_its_starts() {
    let env = TestEnv::new();
    let first = up_sleeper(&env, "s");
    let watch = Watch::start(&env, &["--since-now"]);
    until_it_watches(watch.pid());
    procs::send(watch.pid(), Signal::SIGSTOP);
    end(first, Signal::SIGKILL);
    up_sleeper(&env, "s");
    procs::send(watch.pid(), Signal::SIGCONT);
    let exited = watch.expect("exited", "s", 1);
    assert_eq!(exited["exit"], json!({ "signal": "KILL", "core": false }), "{exited}");
    watch.expect_started("s", 2);
}

fn an_exit_is_told_although_the_files_are_gone() {
    let env = TestEnv::new();
    let pid = up_sleeper(&env, "s");
    let watch = Watch::start(&env, &["--since-now"]);
    until_it_watches(watch.pid());
    fs::remove_dir_all(env.state().join("s")).expect("the directory can be removed");
    procs::send(pid, Signal::SIGKILL);
    let exited = watch.expect("exited", "s", 1);
    assert_eq!(exited["exit"], json!({ "signal": "KILL", "core": false }), "{exited}");
    watch.expect("removed", "s", 1);
}

/// More changes than the kernel keeps for a watcher that does not run.
fn events_that_the_kernel_lost_are_found_by_a_look() {
    let queue = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("the kernel has inotify");
    let queue: usize = queue.trim().parse().expect("it is a number");
    let env = TestEnv::new();
    up_sleeper(&env, "first");
    let watch = Watch::start(&env, &["--since-now"]);
    until_it_watches(watch.pid());
    procs::send(watch.pid(), Signal::SIGSTOP);
    let noise = env.state().join("noise");
    for _ in 0..queue {
        // Two events for each: the kernel joins equal events, and these differ.
        File::create(&noise).expect("the directory is writable");
        fs::remove_file(&noise).expect("the file is ours");
    }
    up_sleeper(&env, "later");
    env.stop("first").expect(0, "stopped");
    procs::send(watch.pid(), Signal::SIGCONT);
    let mut told =
        [0; 3].map(|_| watch.next()).map(|event| format!("{} {}", event["event"], event["session"]));
    told.sort();
    assert_eq!(told, [r#""ready" "later""#, r#""starting" "later""#, r#""stopped" "first""#]);
    env.stop("later").expect(0, "stopped");
    watch.expect("stopped", "later", 1);
}

fn a_watch_sleeps_while_nothing_happens() {
    let env = TestEnv::new();
    let pids = ["s", "t", "u"].map(|session| up_sleeper(&env, session));
    let watch = Watch::start(&env, &["--since-now"]);
    until_it_watches(watch.pid());
    assert_it_sleeps(watch.pid(), || {
        look_around(&env);
        live_elsewhere();
    });
    procs::send(pids[1], Signal::SIGKILL);
    watch.expect("exited", "t", 1);
}

fn a_watch_ends_when_its_reader_leaves() {
    let env = TestEnv::new();
    up_sleeper(&env, "s");
    let mut command = env.rekindle_command(["events"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it can be started");
    let stdout = child.stdout.take().expect("stdout is a pipe");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("an event comes");
    assert!(line.contains("ready"), "{line}");
    let ended = wait::for_some("the watch ends", || child.try_wait().expect("it is our child"));
    assert_eq!(ended.code(), Some(0));
}
