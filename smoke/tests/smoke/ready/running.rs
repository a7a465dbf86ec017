//! Workers that are ready once they have run for a while (`--ready running`).

use super::until_the_port_is_a_strangers;
use nix::sys::signal::Signal;
use rekindle_smoke::{Launcher, TestEnv, procs, programs, tests, wait};

tests![
    a_bot_without_an_address_is_started_once,
    a_program_that_dies_at_once_is_not_ready,
    a_program_that_daemonises_is_ready,
    a_time_that_is_longer_than_the_limit_is_named,
    a_worker_whose_launcher_was_killed_is_adopted,
    a_listener_is_not_needed_and_a_stranger_is_an_error,
];

const BOT: [&str; 2] = ["sleep", "1000"];

fn launch(env: &TestEnv, options: &[&str], command: &[&str]) -> Launcher {
    env.launch_up("s", &[&["--address", "none"], options].concat(), command)
}

fn stop(env: &TestEnv) {
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

fn a_bot_without_an_address_is_started_once() {
    let env = TestEnv::new();
    let reply = launch(&env, &[], &BOT).finish().expect_running("started");
    assert_eq!(reply.text("address"), "none", "{reply}");
    let record = env.record("s");
    assert_eq!((&record["state"], &record["plan"]["ready"]), (&"ready".into(), &"running".into()));
    assert_eq!(launch(&env, &[], &BOT).finish().expect_running("attached").pid(), reply.pid());
    assert_eq!(env.rekindle(["ls"]).json["sessions"][0]["state"], "live");
    stop(&env);
    assert_eq!(launch(&env, &[], &BOT).finish().expect_running("started").json["generation"], 2);
    stop(&env);
}

fn a_program_that_dies_at_once_is_not_ready() {
    let env = TestEnv::new();
    let reply = launch(&env, &["--settle", "1m", "--timeout", "2m"], &["sh", "-c", "exit 3"]).finish();
    let reply = reply.expect(5, "child-exited");
    assert_eq!((&reply.json["exit_code"], &reply.json["cause"]), (&3.into(), &().into()), "{reply}");
    env.assert_nothing_left("s");
}

/// The leader exits within the time, and a process holds the lifeline.
fn a_program_that_daemonises_is_ready() {
    let env = TestEnv::new();
    let daemon = "
import os, time
if os.fork():
    os._exit(0)
os.setsid()
time.sleep(1000)
";
    let command = [&programs::python(), "-c", daemon];
    launch(&env, &["--settle", "1s"], &command).finish().expect(0, "started");
    let leader = env.worker_pid("s");
    wait::until("the process that was started has left", || !procs::is_running(leader));
    let daemon = env.processes();
    assert_eq!(daemon.len(), 1, "{daemon:?}");
    assert_eq!(vec![launch(&env, &[], &command).finish().expect_running("attached").pid()], daemon);
    stop(&env);
}

fn a_time_that_is_longer_than_the_limit_is_named() {
    let env = TestEnv::new();
    let reply = launch(&env, &["--settle", "1m", "--timeout", "300ms"], &BOT).finish();
    let reply = reply.expect(5, "child-exited");
    assert_eq!(reply.text("last_seen"), "the program ran, and `--settle` asks for 60000 ms", "{reply}");
    env.assert_nothing_left("s");
}

fn a_worker_whose_launcher_was_killed_is_adopted() {
    for address in ["none", "unix", "tcp:0"] {
        let env = TestEnv::new();
        let options = ["--address", address, "--ready", "running", "--settle", "2s"];
        let launcher = env.launch_up("s", &options, &BOT);
        let worker = env.worker_pid("s");
        launcher.signal(Signal::SIGKILL);
        assert_eq!(launcher.finish().signal, Some(9), "it waits for two seconds");
        assert_eq!(env.up_with("s", &options, &BOT).expect_running("adopted").pid(), worker);
        assert_eq!(env.up_with("s", &options, &BOT).expect_running("attached").pid(), worker);
        stop(&env);
    }
}

fn a_listener_is_not_needed_and_a_stranger_is_an_error() {
    let env = TestEnv::new();
    let options = ["--address", "tcp:0", "--ready", "running"];
    let reply = env.up_with("s", &options, &BOT).expect_running("started");
    assert!(reply.text("address").starts_with("tcp:127.0.0.1:"), "{reply}");
    assert_eq!(env.rekindle(["ls"]).json["sessions"][0]["state"], "live");
    stop(&env);
    until_the_port_is_a_strangers(&env, "running", "true");
}
