//! A thousand workers of one launcher: the time to start and stop all, and the resources in between.

use crate::floor::{self, Program};
use crate::harness::{Goal, Role, Row, Sample, Table, Unit, micros};
use crate::home::{Bench, CHILD, Home, own_resources, runtime, session, start};
use rekindle::{Ensured, Launch, Sessions, StopPolicy};
use rekindle_adapters::Worker;
use rekindle_adapters::worker::{await_exit, signal};
use rekindle_core::KillSignal;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Number of workers.
const WORKERS: usize = 1_000;

const FLOOR: &str = "vfork, kill, waitpid";
const PROCESSES: &str = "rekindle, processes only";
const SESSIONS: &str = "rekindle, ensure and stop";
const FIRST: &str = "rekindle, ensure and stop, first time";

pub(crate) fn run(bench: &Bench) -> Vec<Table> {
    let (home, runtime) = (Home::new(&bench.in_memory("thousand")), runtime());
    let child = Program::new(&[CHILD, "-"]);
    // One claim serves all starts, since each worker gets a fresh lifeline.
    let (claim, plan) = (home.claim(&session(0)), home.plan(&session(0), &["-"]));
    let processes = || {
        measured(
            || (0..WORKERS).map(|_| start(home.prepare(&plan, &claim))).collect::<Vec<Worker>>(),
            |workers| {
                for worker in &workers {
                    signal(worker, KillSignal::Term).expect("our worker can be signalled");
                }
                for worker in &workers {
                    runtime.block_on(await_exit(worker)).expect("our worker can be watched");
                }
            },
        )
    };
    let ensured = |served: &Sessions| {
        measured(
            || {
                for number in 0..WORKERS {
                    let launch = Launch::new(CHILD).args(["{socket}"]);
                    let ensured = runtime.block_on(served.ensure(&session(number), launch));
                    assert!(
                        matches!(ensured, Ok(Ensured::Running(_))),
                        "the smallest worker starts: {ensured:?}"
                    );
                }
            },
            |()| {
                for number in 0..WORKERS {
                    let stopped = runtime.block_on(served.stop(&session(number), &StopPolicy::default()));
                    stopped.expect("our worker can be stopped");
                }
            },
        )
    };
    let served = Home::new(&bench.in_memory("thousand-sessions")).sessions();
    ensured(&served);
    let tables = Row::new(format!("{WORKERS} workers"), 1)
        .measure("start and stop, for each worker", Unit::Microseconds)
        .measure("descriptors, for each worker", Unit::Count)
        .measure("memory of the launcher, for each worker", Unit::Bytes)
        .measure("additional threads, for all workers together", Unit::Count)
        .contender(Role::Floor, FLOOR, || {
            measured(
                || (0..WORKERS).map(|_| child.start()).collect::<Vec<_>>(),
                |pids| {
                    pids.iter().for_each(|pid| floor::signal(*pid, libc::SIGTERM));
                    pids.into_iter().for_each(floor::reap);
                },
            )
        })
        .contender(Role::Ours, PROCESSES, processes)
        .contender(Role::Ours, SESSIONS, || ensured(&served))
        .contender(Role::Ours, FIRST, || {
            ensured(&Home::new(&bench.in_memory("thousand-first-sessions")).sessions())
        })
        .contender(Role::Peer, "std", by_std)
        .contender(Role::Peer, "tokio", || runtime.block_on(by_tokio()))
        .goal(0, PROCESSES, Goal::AtMost { times: 1.3, than: FLOOR.into() })
        .goal(1, SESSIONS, Goal::Within { value: 1.0 })
        .goal(2, SESSIONS, Goal::Within { value: 1024.0 })
        .goal(3, SESSIONS, Goal::Within { value: 1.0 })
        .run(bench.effort);
    claim.release().expect("the claim is ours");
    tables
}

/// Measures the time of `start` and `stop`, and the resources in between.
fn measured<W>(start: impl FnOnce() -> W, stop: impl FnOnce(W)) -> Sample {
    let before = own_resources();
    let began = Instant::now();
    let workers = start();
    let starting = began.elapsed();
    let running = own_resources();
    let began = Instant::now();
    stop(workers);
    sample(starting + began.elapsed(), before, running)
}

fn sample(took: Duration, before: (f64, f64, f64), running: (f64, f64, f64)) -> Sample {
    let each = |before: f64, running: f64| (running - before).max(0.0) / WORKERS as f64;
    vec![
        micros(took) / WORKERS as f64,
        each(before.1, running.1),
        each(before.0, running.0),
        (running.2 - before.2).max(0.0),
    ]
}

fn by_std() -> Sample {
    let start = || -> Vec<Child> {
        let command = || Command::new(CHILD).arg("-").stdin(Stdio::null()).spawn();
        (0..WORKERS).map(|_| command().expect("the smallest program can be started")).collect()
    };
    measured(start, |mut children| {
        children.iter_mut().for_each(|child| drop(child.kill()));
        children.iter_mut().for_each(|child| drop(child.wait()));
    })
}

async fn by_tokio() -> Sample {
    let before = own_resources();
    let began = Instant::now();
    let command = || tokio::process::Command::new(CHILD).arg("-").spawn();
    let mut children: Vec<_> =
        (0..WORKERS).map(|_| command().expect("the smallest program can be started")).collect();
    let starting = began.elapsed();
    let running = own_resources();
    let began = Instant::now();
    children.iter_mut().for_each(|child| drop(child.start_kill()));
    for child in &mut children {
        drop(child.wait().await);
    }
    sample(starting + began.elapsed(), before, running)
}
