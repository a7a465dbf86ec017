//! Starting and reaping the smallest program, from a small parent and from a parent of 1 GiB.

use crate::floor::{self, Program};
use crate::harness::{Goal, Role, Row, Table, Unit};
use crate::home::{Bench, CHILD, Home, runtime, session, start};
use process_wrap::std::{CommandWrap, ProcessSession};
use rekindle_adapters::worker::await_exit;
use std::fs::{self, File};
use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

/// Memory of a parent after long work, in bytes.
const GROWN: usize = 1 << 30;

/// Name of the floor.
const VFORK: &str = "vfork, exec, waitpid";

pub(crate) fn run(bench: &Bench) -> Vec<Table> {
    let mut tables = row(bench, "spawn", 200);
    let memory = floor::touched(GROWN);
    tables.extend(row(bench, "spawn with 1 GiB in the parent", 15));
    drop(black_box(memory));
    tables
}

fn row(bench: &Bench, name: &str, rounds: usize) -> Vec<Table> {
    let home = Home::new(&bench.in_memory("spawn"));
    let session = session(0);
    let claim = home.claim(&session);
    let plan = home.plan(&session, &[]);
    let runtime = runtime();
    let child = Program::new(&[CHILD]);
    let dir = bench.in_memory("spawn-by-hand");
    let (opened, lifeline) =
        (File::open(&dir).expect("a directory of ours can be opened"), dir.join("lifeline"));
    let tables = Row::new(name, rounds)
        .warm_up()
        .measure("start and reap", Unit::Microseconds)
        .timed(Role::Floor, VFORK, || timed(|| child.run()))
        .timed(Role::Ours, "rekindle", || {
            let request = home.prepare(&plan, &claim);
            timed(|| drop(runtime.block_on(await_exit(&start(request)))))
        })
        .timed(Role::Peer, "the same steps by vfork in C", || {
            drop(fs::remove_file(&lifeline));
            fs::write(&lifeline, "").expect("a file of ours can be written");
            timed(|| child.run_as_worker(&opened))
        })
        .timed(Role::Peer, "std", || timed(|| drop(Command::new(CHILD).status())))
        .timed(Role::Peer, "std with pre_exec (setsid)", || {
            timed(|| {
                let mut command = Command::new(CHILD);
                floor::with_pre_exec(&mut command);
                drop(command.status());
            })
        })
        .timed(Role::Peer, "process-wrap (session)", || {
            timed(|| {
                let mut command = CommandWrap::from(Command::new(CHILD));
                let child = command.wrap(ProcessSession).spawn();
                drop(child.and_then(|mut child| child.wait()));
            })
        })
        .timed(Role::Peer, "tokio", || {
            timed(|| drop(runtime.block_on(async { tokio::process::Command::new(CHILD).status().await })))
        })
        .goal(0, "rekindle", Goal::AtMost { times: 1.4, than: VFORK.into() })
        .run(bench.effort);
    claim.release().expect("the claim is ours");
    tables
}

/// The duration of `action`.
pub(crate) fn timed(action: impl FnOnce()) -> Duration {
    let began = Instant::now();
    action();
    began.elapsed()
}
