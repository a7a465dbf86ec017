//! `rekindle signal`: to the started process, to all processes, and to nobody who is not proved.

use super::{end, up_sleeper};
use nix::sys::signal::Signal;
use rekindle_smoke::{TestEnv, procs, programs, tests, wait};
use serde_json::json;
use std::fs;

tests![
    a_signal_reaches_the_leader_alone_or_everybody,
    a_worker_that_does_not_run_is_not_signalled,
    an_unjudged_worker_is_not_signalled,
    a_daemon_is_signalled_as_a_group,
];

/// Writes a line for each SIGUSR1, in two processes of two process sessions.
const COUNTS: &str = "
import os, signal, sys
def count(*_):
    with open(name, 'a') as file:
        file.write('x')
name = 'leader'
child = os.fork()
if child == 0:
    os.setsid()
    name = 'child'
signal.signal(signal.SIGUSR1, count)
open(name, 'w').close()
while True:
    signal.pause()
";

fn a_signal_reaches_the_leader_alone_or_everybody() {
    let env = TestEnv::new();
    let up = ["--address", "none", "--settle", "1ms"];
    env.up_with("s", &up, &[&programs::python(), "-c", COUNTS]).expect_running("started");
    let count = |name: &str| fs::read_to_string(env.path(name)).map_or(0, |text| text.len());
    for name in ["leader", "child"] {
        wait::until_there(&env.path(name));
    }
    let reply = env.rekindle(["signal", "s", "USR1"]).expect(0, "signalled");
    assert_eq!((reply.text("signal"), &reply.json["generation"]), ("USR1", &json!(1)), "{reply}");
    assert_eq!(reply.json["pids"].as_array().map(Vec::len), Some(1), "{reply}");
    wait::until("the leader got it", || count("leader") == 1);
    let reply = env.rekindle(["signal", "s", "sigusr1", "--group"]).expect(0, "signalled");
    assert_eq!(reply.json["pids"].as_array().map(Vec::len), Some(2), "{reply}");
    wait::until("both got it", || count("leader") == 2 && count("child") == 1);
    assert_eq!(env.rekindle(["signal", "s", "TREM"]).code, Some(2));
    assert_eq!((count("leader"), count("child")), (2, 1), "each got each signal once");
    env.stop("s").expect(0, "stopped");
}

fn a_worker_that_does_not_run_is_not_signalled() {
    let env = TestEnv::new();
    end(up_sleeper(&env, "s"), Signal::SIGKILL);
    env.rekindle(["signal", "s", "TERM"]).expect_error(3, "not-running");
    env.rekindle(["signal", "nobody", "TERM"]).expect_error(1, "unknown-session");
}

/// A record that names a process of another pid namespace proves nothing here.
fn an_unjudged_worker_is_not_signalled() {
    let env = TestEnv::new();
    let pid = up_sleeper(&env, "s");
    for file in ["session.json", "lifeline"] {
        env.edit("s", file, |content| {
            for place in ["worker", "peer"] {
                if content[place].is_object() {
                    content[place]["pid_namespace"] = json!(1);
                }
            }
        });
    }
    for group in [&[][..], &["--group"]] {
        env.rekindle([&["signal", "s", "TERM"], group].concat()).expect_error(3, "worker-unknown");
    }
    env.rekindle(["wait", "s"]).expect_error(125, "worker-unknown");
    env.rekindle(["wait", "s", "--for", "ready"]).expect_error(125, "worker-unknown");
    for force in [&[][..], &["--force"]] {
        let reply = env.rekindle([&["rm", "s"], force].concat()).expect(3, "kept");
        assert_eq!(reply.text("because"), "running", "it may run: {reply}");
    }
    assert!(procs::is_running(pid), "nobody touched it");
    procs::send(pid, Signal::SIGKILL);
}

fn a_daemon_is_signalled_as_a_group() {
    let env = TestEnv::new();
    let script = programs::daemonising_echo_server();
    env.up("s", &[&programs::python(), "-c", &script, "{socket}"]).expect(0, "started");
    env.rekindle(["signal", "s", "TERM"]).expect_error(3, "leader-ended");
    env.rekindle(["signal", "s", "TERM", "--group"]).expect(0, "signalled");
    wait::until("the daemon has ended", || env.processes().is_empty());
}
