//! Watches a missing socket, with the production watcher and timer.

use crate::probe::paths::{busy_listener, unix_socket};
use nix::sys::socket::{Backlog, SockFlag, UnixAddr, bind, listen};
use rekindle_adapters::probe::{Connection, probe_once};
use rekindle_adapters::seams::{PollingSocketWatcher, TokioTimer};
use rekindle_core::seams::{SocketWatcher, Timer};
use rekindle_core::{Endpoint, Liveness, WatchError};
use rekindle_smoke::{TestEnv, procs, tests, wait};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

tests![
    an_absent_path_waits_until_somebody_listens,
    an_aborted_watch_settles_and_leaves_no_descriptor,
    an_aborted_timer_settles_and_leaves_no_descriptor,
    a_bound_socket_waits_until_it_listens,
    a_full_backlog_becomes_alive_when_it_is_accepted,
    a_forged_path_fails_a_watch_at_once,
    a_path_that_becomes_forged_fails_a_watch,
];

/// The number of watches aborted, one after the other.
const ABORTED: usize = 300;
/// How often a watch is polled before it counts as waiting.
const POLLS: usize = 50;

async fn watch(path: &Path) -> Result<Connection, WatchError> {
    PollingSocketWatcher.await_socket_alive(&Endpoint::Unix(path.to_owned())).await
}

/// Lets a watch look several times; then `ready` makes the watch resolve.
async fn resolves_only_after(path: &Path, ready: impl FnOnce()) -> Connection {
    let mut watching = pin!(watch(path));
    for _ in 0..POLLS {
        assert!(wait::is_pending(watching.as_mut()).await, "it resolved too early");
        tokio::task::yield_now().await;
    }
    ready();
    wait::soon("the watch resolves", watching).await.expect("somebody listens now")
}

fn expect_byte(connection: Connection, mut peer: UnixStream) {
    let mut ours = connection.into_std().expect("the connection can be used");
    ours.write_all(b"x").expect("what is alive takes a byte, never ENOTCONN");
    peer.read_exact(&mut [0]).expect("the byte arrives");
}

fn an_absent_path_waits_until_somebody_listens() {
    let env = TestEnv::new();
    let path = env.path("sock");
    let mut listener = None;
    let connection = wait::run(resolves_only_after(&path, || {
        listener = Some(UnixListener::bind(&path).expect("a test environment can hold a socket"));
    }));
    let (peer, _) = listener.expect("it was bound").accept().expect("the connection has arrived");
    expect_byte(connection, peer);
}

async fn abort_many<T: Send + 'static>(start: impl Fn() -> tokio::task::JoinHandle<T>) {
    for _ in 0..ABORTED {
        let task = start();
        tokio::task::yield_now().await;
        task.abort();
        let settled = wait::soon("the aborted task settles", task).await;
        assert!(settled.is_err_and(|error| error.is_cancelled()), "an abort is no result");
    }
}

/// P16: an aborted watch leaves nothing.
fn an_aborted_watch_settles_and_leaves_no_descriptor() {
    let env = TestEnv::new();
    let path = env.path("sock");
    let _busy = busy_listener(&env.path("busy"));
    wait::run(async {
        let before = procs::descriptors_of_ours();
        for path in [path, env.path("busy")] {
            abort_many(|| {
                let path = path.clone();
                tokio::spawn(async move { watch(&path).await.is_ok() })
            })
            .await;
        }
        assert_eq!(procs::descriptors_of_ours(), before);
    });
}

fn an_aborted_timer_settles_and_leaves_no_descriptor() {
    wait::run(async {
        let before = procs::descriptors_of_ours();
        abort_many(|| tokio::spawn(TokioTimer.await_timeout(Duration::from_secs(1_000)))).await;
        assert_eq!(procs::descriptors_of_ours(), before);
    });
}

/// T08, S3.
fn a_bound_socket_waits_until_it_listens() {
    let env = TestEnv::new();
    let path = env.path("sock");
    let fd = unix_socket(SockFlag::empty());
    bind(fd.as_raw_fd(), &UnixAddr::new(&path).expect("the path fits"))
        .expect("a test environment can hold a socket");
    assert_eq!(probe_once(&path).liveness(), Liveness::Dormant);
    let connection = wait::run(resolves_only_after(&path, || {
        listen(&fd, Backlog::MAXCONN).expect("it can listen");
    }));
    let (peer, _) = UnixListener::from(fd).accept().expect("the connection has arrived");
    expect_byte(connection, peer);
}

/// T25, S4: a connection to a full backlog is no connection.
fn a_full_backlog_becomes_alive_when_it_is_accepted() {
    let env = TestEnv::new();
    let path = env.path("sock");
    let (listener, parked) = busy_listener(&path);
    let mut accepted = Vec::new();
    let connection = wait::run(resolves_only_after(&path, || {
        // All except the last client, which found the backlog full.
        for _ in 1..parked.len() {
            accepted.push(listener.accept().expect("a parked client is there"));
        }
    }));
    let (peer, _) = listener.accept().expect("the connection has arrived");
    expect_byte(connection, peer);
}

/// T14: waiting cannot help.
fn a_forged_path_fails_a_watch_at_once() {
    let env = TestEnv::new();
    let path = env.file("sock", "no socket");
    let error = wait::run(watch(&path)).expect_err("a regular file is no socket");
    assert!(matches!(error, WatchError::Forged { .. }), "{error}");
}

/// T15, S7.
fn a_path_that_becomes_forged_fails_a_watch() {
    let env = TestEnv::new();
    let path = env.path("sock");
    let _real = UnixListener::bind(env.path("real")).expect("a test environment can hold a socket");
    wait::run(async {
        let mut watching = pin!(watch(&path));
        assert!(wait::is_pending(watching.as_mut()).await);
        symlink(env.path("real"), &path).expect("a test environment can hold a link");
        let error = wait::soon("the watch fails", watching).await.expect_err("a link is no socket");
        assert!(matches!(error, WatchError::Forged { .. }), "{error}");
    });
}
