//! From the worker's `listen()` to our connected socket, and the processor time of the wait.

use crate::floor::{self, thread_cpu};
use crate::harness::{Goal, Role, Row, Sample, Table, Unit, micros};
use crate::home::{Bench, runtime};
use rekindle_adapters::seams::PollingSocketWatcher;
use rekindle_core::Endpoint;
use rekindle_core::seams::SocketWatcher;
use std::ops::Range;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Time from the start of a slow worker to `listen()`, in microseconds. A random time for each round keeps pollers out of
/// step. After so long a pause the processor sleeps, and the caches are cold.
const SLOW_US: Range<u64> = 40_000..200_000;
/// The same for a quick worker. Most compiled programs are quick.
const QUICK_US: Range<u64> = 1_000..3_000;

/// Polling intervals found in other projects, and some more for the plot.
pub(crate) const INTERVALS_MS: [u64; 6] = [5, 10, 20, 50, 100, 150];

pub(crate) fn run(bench: &Bench) -> Vec<Table> {
    let mut tables = row(bench, "readiness", &SLOW_US, &INTERVALS_MS);
    tables.extend(row(bench, "readiness of a quick worker", &QUICK_US, &[1, 50]));
    tables
}

fn row(bench: &Bench, name: &str, startup: &'static Range<u64>, intervals_ms: &[u64]) -> Vec<Table> {
    let runtime = runtime();
    let ours = |path: &Path| {
        let connected =
            runtime.block_on(PollingSocketWatcher.await_socket_alive(&Endpoint::Unix(path.to_owned())));
        connected.expect("the worker listens in the end")
    };
    let mut row = Row::new(name, 12)
        .measure("from listen() to a connected socket", Unit::Microseconds)
        .measure("processor time of the waiting thread", Unit::Microseconds);
    // A directory for each contender: a watch wakes up for the contender's own worker only.
    let socket = |name: &str| bench.in_memory(&format!("readiness-{name}")).join("sock");
    let path = socket("spin");
    row = row.contender(Role::Floor, "connect in a loop", move || wait(&path, startup, floor::spin_connect));
    let path = socket("ours");
    row = row.contender(Role::Ours, "rekindle", move || wait(&path, startup, ours));
    let path = socket("by-hand");
    row = row.contender(Role::Peer, "inotify by hand", move || wait(&path, startup, floor::inotify_connect));
    for &interval in intervals_ms {
        let path = socket(&format!("poll{interval}"));
        let every = Duration::from_millis(interval);
        row = row.contender(Role::Peer, poller(interval), move || {
            wait(&path, startup, |path| poll_connect(path, every))
        });
    }
    row.goal(0, "rekindle", Goal::AtMost { times: 2.5, than: "connect in a loop".into() })
        .goal(0, "rekindle", Goal::Below { times: 1000.0, than: poller(50) })
        .goal(1, "rekindle", Goal::AtMost { times: 1.0, than: poller(50) })
        .run(bench.effort)
}

/// The name of the contender with this polling interval.
pub(crate) fn poller(interval_ms: u64) -> String {
    format!("poll every {interval_ms} ms")
}

/// Connects in a loop, with a fixed pause after each refusal.
pub(crate) fn poll_connect(path: &Path, every: Duration) -> UnixStream {
    loop {
        match UnixStream::connect(path) {
            Ok(connected) => return connected,
            Err(_) => thread::sleep(every),
        }
    }
}

/// One wait for a worker; another thread plays the worker.
fn wait<T>(path: &Path, startup: &Range<u64>, until_connected: impl Fn(&Path) -> T) -> Sample {
    let _ = std::fs::remove_file(path);
    let (listen_at, startup) = (path.to_owned(), Duration::from_micros(fastrand::u64(startup.clone())));
    let worker = thread::spawn(move || {
        thread::sleep(startup);
        let listener = UnixListener::bind(listen_at).expect("the name is free");
        let listened = Instant::now();
        drop(listener.accept());
        listened
    });
    let cpu = thread_cpu();
    let connection = until_connected(path);
    let (connected, cpu) = (Instant::now(), thread_cpu().saturating_sub(cpu));
    drop(connection);
    let listened = worker.join().expect("the worker does not panic");
    vec![micros(connected.saturating_duration_since(listened)), micros(cpu)]
}
