//! From the kill of a process to the notification: a child of ours, and a process of another parent.

use super::readiness::poller;
use crate::floor::{self, Program};
use crate::harness::{Goal, Role, Row, Table, Unit};
use crate::home::{Bench, CHILD, Home, runtime, session, start};
use rekindle::SessionId;
use rekindle_adapters::worker::await_exit;
use rekindle_adapters::{HeldClaim, Worker, lifeline};
use std::thread;
use std::time::{Duration, Instant};

/// Run time before the kill, in microseconds. A random time for each round keeps pollers out of step.
const LIFE_US: std::ops::Range<u64> = 2_000..60_000;

pub(crate) fn run(bench: &Bench) -> Vec<Table> {
    let mut tables = of_a_child(bench);
    tables.extend(of_a_foreign_process(bench));
    tables
}

/// A claimed session for workers without an exit of their own.
struct ClaimedSession {
    home: Home,
    session: SessionId,
    claim: Option<HeldClaim>,
}

impl ClaimedSession {
    fn new(bench: &Bench) -> Self {
        let (home, session) = (Home::new(&bench.in_memory("exit")), session(0));
        let claim = Some(home.claim(&session));
        Self { home, session, claim }
    }

    fn claim(&self) -> &HeldClaim {
        self.claim.as_ref().expect("the claim is held until drop")
    }

    fn worker(&self) -> Worker {
        let plan = self.home.plan(&self.session, &["-"]);
        start(self.home.prepare(&plan, self.claim()))
    }

    /// Adopts the same worker, like a launcher that found the worker running.
    fn adopted(&self, worker: &Worker) -> Worker {
        let lifeline = lifeline::open(self.claim().dir()).expect("the lifeline is ours");
        Worker::adopt(worker.identity().cloned(), None, lifeline, &self.home.here).expect("the worker runs")
    }
}

impl Drop for ClaimedSession {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            claim.release().expect("the claim is ours");
        }
    }
}

fn of_a_child(bench: &Bench) -> Vec<Table> {
    let (claimed, runtime) = (ClaimedSession::new(bench), runtime());
    let child = Program::new(&[CHILD, "-"]);
    Row::new("exit of a child", 20)
        .measure("from the kill to the notification", Unit::Microseconds)
        .timed(Role::Floor, "waitpid", || {
            let pid = child.start();
            killed(pid, || floor::reap(pid))
        })
        .timed(Role::Ours, "rekindle", || {
            let worker = claimed.worker();
            killed(pid(&worker), || drop(runtime.block_on(await_exit(&worker))))
        })
        .timed(Role::Peer, "tokio", || {
            runtime.block_on(async {
                let mut child = tokio::process::Command::new(CHILD)
                    .arg("-")
                    .spawn()
                    .expect("the smallest program starts");
                let killer = kill_later(child.id().expect("the child runs").cast_signed());
                drop(child.wait().await);
                let noticed = Instant::now();
                noticed.saturating_duration_since(killer.join().expect("the killer does not panic"))
            })
        })
        .run(bench.effort)
}

/// Another thread is the parent and reaps at once; the watcher knows the pid only.
fn of_a_foreign_process(bench: &Bench) -> Vec<Table> {
    const FLOOR: &str = "poll on a pidfd";
    let (claimed, runtime) = (ClaimedSession::new(bench), runtime());
    let child = Program::new(&[CHILD, "-"]);
    let mut row = Row::new("exit of a foreign process", 15)
        .measure("from the kill to the notification", Unit::Microseconds)
        .timed(Role::Floor, FLOOR, || {
            let pid = child.start();
            let pidfd = floor::pidfd(pid);
            let noticed = killed(pid, || floor::poll(&pidfd));
            floor::reap(pid);
            noticed
        })
        .timed(Role::Ours, "rekindle", || {
            let worker = claimed.worker();
            let adopted = claimed.adopted(&worker);
            killed(pid(&worker), || drop(runtime.block_on(await_exit(&adopted))))
        });
    for interval in [50, 150] {
        let (child, every) = (&child, Duration::from_millis(interval));
        row = row.timed(Role::Peer, format!("kill(0), {}", poller(interval)), move || {
            let pid = child.start();
            let parent = thread::spawn(move || floor::reap(pid));
            let noticed = killed(pid, || {
                while floor::exists(pid) {
                    thread::sleep(every);
                }
            });
            parent.join().expect("the parent does not panic");
            noticed
        });
    }
    row.goal(0, "rekindle", Goal::AtMost { times: 1.4, than: FLOOR.into() }).run(bench.effort)
}

fn pid(worker: &Worker) -> libc::pid_t {
    worker.pid().expect("a started worker has a pid").as_raw()
}

/// Kills a process from another thread, after a random time, and returns the time of the kill.
fn kill_later(pid: libc::pid_t) -> thread::JoinHandle<Instant> {
    let life = Duration::from_micros(fastrand::u64(LIFE_US));
    thread::spawn(move || {
        thread::sleep(life);
        let killed = Instant::now();
        floor::signal(pid, libc::SIGKILL);
        killed
    })
}

/// The time from the kill of a process to the return of `notice`.
fn killed(pid: libc::pid_t, notice: impl FnOnce()) -> Duration {
    let killer = kill_later(pid);
    notice();
    let noticed = Instant::now();
    noticed.saturating_duration_since(killer.join().expect("the killer does not panic"))
}
