//! Workers with more processes than the leader.

use nix::sys::signal::Signal;
use rekindle_smoke::{TestEnv, cli, procs, programs, tests, wait};
use std::fs;

tests![
    a_daemonised_worker_is_found_and_stopped,
    a_worker_that_daemonises_after_it_answered_is_still_the_worker,
    a_leader_that_was_killed_leaves_a_worker_that_is_stopped,
    a_leftover_is_ended_by_stop,
    a_leftover_is_no_reason_to_refuse,
];

/// T19, P4.
fn a_daemonised_worker_is_found_and_stopped() {
    let env = TestEnv::new();
    let server = programs::daemonising_echo_server();
    let command = [&programs::python(), "-c", &server, "{socket}"];
    let pid = env.up("s", &command).expect_running("started").pid();
    assert_eq!(env.up("s", &command).expect_running("attached").pid(), pid);
    assert_eq!(env.processes(), [pid], "its leader has exited");
    let list = env.rekindle(["ls"]);
    assert_eq!(
        (&list.json["sessions"][0]["state"], &list.json["sessions"][0]["pid"]),
        (&"live".into(), &pid.into()),
        "{list}"
    );
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

/// P22: children that outlive their leader belong to the worker as much as the leader did.
fn a_leader_that_was_killed_leaves_a_worker_that_is_stopped() {
    let env = TestEnv::new();
    let both = format!("sleep 1000 & '{}' worker & wait", cli::binary_arg());
    let pid = env.up("s", &["sh", "-c", &both]).expect_running("started").pid();
    procs::send(pid, Signal::SIGKILL);
    wait::until("the leader is gone", || !procs::is_running(pid));
    env.up("s", &["sh", "-c", &both]).expect(0, "attached");
    programs::expect_echo(&env.socket("s"));
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

/// Listens, and daemonises once its second argument, a file, exists: SO_PEERCRED still names the leader.
const LISTEN_THEN_DAEMONISE: &str = "
import os, socketserver, sys, threading, time
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
server = socketserver.ThreadingUnixStreamServer(sys.argv[1], Echo)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.005)
if os.fork():
    os._exit(0)
os.setsid()
server.serve_forever()
";

/// T19, T26, P4: both recorded processes are dead, but the worker lives.
fn a_worker_that_daemonises_after_it_answered_is_still_the_worker() {
    let env = TestEnv::new();
    let go = env.path("go").display().to_string();
    let command = [&programs::python(), "-c", LISTEN_THEN_DAEMONISE, "{socket}", &go];
    let leader = env.up("s", &command).expect_running("started").pid();
    assert_eq!(env.record("s")["peer"]["pid"], leader);
    env.file("go", "");
    wait::until("the leader has exited", || !procs::is_running(leader));
    let daemon = env.processes();
    programs::expect_echo(&env.socket("s"));
    let reply = env.up("s", &command).expect(0, "attached");
    assert_eq!((&reply.json["managed"], &reply.json["generation"]), (&true.into(), &1.into()), "{reply}");
    assert_eq!([reply.pid()], *daemon, "{reply}");
    let list = env.rekindle(["ls"]);
    assert_eq!(list.json["sessions"][0]["state"], "live", "{list}");
    fs::remove_file(env.socket("s")).expect("the socket can be removed");
    env.up_with("s", &["--timeout", "300ms"], &command).expect_rejected("worker-unresponsive");
    assert_eq!(env.processes(), daemon, "no second worker was started");
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

/// A crashed worker with a living child that holds the lifeline but serves no client.
fn leave_a_grandchild(env: &TestEnv) -> procs::Pid {
    let both = format!("sleep 1000 & exec '{}' worker", cli::binary_arg());
    let pid = env.up("s", &["sh", "-c", &both]).expect_running("started").pid();
    procs::send(pid, Signal::SIGKILL);
    wait::until("the worker is gone", || !procs::is_running(pid));
    let left = env.processes();
    assert_eq!(left.len(), 1, "the grandchild is left");
    left[0]
}

/// P22.
fn a_leftover_is_ended_by_stop() {
    let env = TestEnv::new();
    let leftover = leave_a_grandchild(&env);
    assert_eq!(env.stop("s").expect(0, "stopped").pid(), leftover);
    env.assert_nothing_left("s");
}

/// The sole exception of the design (3.2).
fn a_leftover_is_no_reason_to_refuse() {
    let env = TestEnv::new();
    let leftover = leave_a_grandchild(&env);
    let reply = env.up("s", &[&cli::binary_arg(), "worker"]).expect_running("started");
    assert_eq!(reply.json["generation"], 2, "{reply}");
    assert!(procs::is_running(leftover), "it is nobody's business but its own");
    programs::expect_echo(&env.socket("s"));
    env.stop("s").expect(0, "stopped");
}
