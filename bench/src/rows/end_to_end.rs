//! "Run this in a fresh worker": from nothing to a connected socket.

use super::readiness::{poll_connect, poller};
use super::spawn::timed;
use crate::floor::{self, Program};
use crate::harness::{Goal, Role, Row, Table, Unit};
use crate::home::{Bench, CHILD, Home, kill_and_wait, runtime, session};
use rekindle::{Ensured, Launch};
use std::cell::Cell;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const OURS: &str = "rekindle, reference worker";

pub(crate) fn run(bench: &Bench) -> Vec<Table> {
    let (home, runtime, dir) =
        (Home::new(&bench.in_memory("end-to-end")), runtime(), bench.in_memory("by-hand"));
    let (sessions, started) = (home.sessions(), Cell::new(0));
    let ensure = |launch: Launch| {
        let session = session(started.replace(started.get() + 1));
        let began = Instant::now();
        let ensured = runtime.block_on(sessions.ensure(&session, launch));
        let took = began.elapsed();
        match ensured {
            Ok(Ensured::Running(running)) => kill_and_wait(running.pid.expect("a started worker has a pid")),
            other => panic!("the worker starts: {other:?}"),
        }
        took
    };
    let reference = bench.rekindle.to_str().expect("the command's path is UTF-8");
    let socket = dir.join("sock");
    let path = socket.to_str().expect("the directory's path is UTF-8");
    let (smallest, by_vfork) =
        (Program::new(&[CHILD, path]), Program::new(&[reference, "worker", "--socket", path]));
    let by_loop = |program: &Program| {
        let mut pid = 0;
        let took = timed(|| {
            pid = program.start();
            drop(floor::spin_connect(&socket));
        });
        clean_up(pid, &socket);
        took
    };
    let mut row = Row::new("end to end", 12)
        .measure("from nothing to a connected socket", Unit::Microseconds)
        .timed(Role::Floor, "vfork and connect in a loop, smallest worker", || by_loop(&smallest))
        .timed(Role::Ours, "rekindle, smallest worker", || ensure(Launch::new(CHILD).args(["{socket}"])))
        .timed(Role::Peer, "vfork and connect in a loop, reference worker", || by_loop(&by_vfork))
        .timed(Role::Ours, OURS, || ensure(Launch::new(reference).args(["worker"])));
    for interval in [50, 150] {
        let (socket, every) = (&socket, Duration::from_millis(interval));
        row = row.timed(Role::Peer, by_hand(interval), move || {
            let mut worker = None;
            let took = timed(|| {
                let mut command = Command::new(reference);
                command.args(["worker", "--socket"]).arg(socket).stdin(Stdio::null());
                worker = command.spawn().ok();
                drop(poll_connect(socket, every));
            });
            let mut worker = worker.expect("the reference worker starts");
            drop(worker.kill().and_then(|()| worker.wait()));
            drop(std::fs::remove_file(socket));
            took
        });
    }
    row.goal(0, OURS, Goal::Below { times: 30.0, than: by_hand(50) }).run(bench.effort)
}

fn by_hand(interval_ms: u64) -> String {
    format!("std and {}, reference worker", poller(interval_ms))
}

/// Kills and reaps a worker, and removes the socket.
fn clean_up(pid: libc::pid_t, socket: &std::path::Path) {
    floor::signal(pid, libc::SIGKILL);
    floor::reap(pid);
    std::fs::remove_file(socket).expect("the worker created the socket");
}
