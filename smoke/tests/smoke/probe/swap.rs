//! A name swapped during a probe never leads to an uninspected peer.

use rekindle_adapters::probe::{Probed, probe_once};
use rekindle_smoke::{TestEnv, tests, wait};
use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

tests![a_name_that_is_swapped_never_leads_to_another_peer];

/// How many probes have to find each of the two before the race counts as run.
const SEEN_MIN: u32 = 2_000;

/// Puts a link to `evil` and the real socket under one name, in turns.
fn swap(env: &TestEnv, done: &AtomicBool) {
    let (name, link, hard) = (env.path("name"), env.path("link"), env.path("hard"));
    while !done.load(Ordering::Relaxed) {
        symlink(env.path("evil"), &link).expect("a test environment can hold a link");
        fs::rename(&link, &name).expect("a name can be replaced");
        fs::hard_link(env.path("real"), &hard).expect("a socket can have two names");
        fs::rename(&hard, &name).expect("a name can be replaced");
    }
}

/// Accepts and drops, so the backlog never fills.
fn serve(path: &Path) -> thread::JoinHandle<()> {
    let listener = UnixListener::bind(path).expect("a test environment can hold a socket");
    thread::spawn(move || {
        while let Ok((mut client, _)) = listener.accept() {
            // One byte ends the server; a probe sends none.
            if client.read(&mut [0]).is_ok_and(|len| len > 0) {
                break;
            }
        }
    })
}

/// T15, S6.
fn a_name_that_is_swapped_never_leads_to_another_peer() {
    let env = TestEnv::new();
    let server = serve(&env.path("real"));
    fs::hard_link(env.path("real"), env.path("name")).expect("a socket can have two names");
    let evil = UnixListener::bind(env.path("evil")).expect("a test environment can hold a socket");
    let done = AtomicBool::new(false);
    let name = env.path("name");
    thread::scope(|scope| {
        scope.spawn(|| swap(&env, &done));
        let (mut live, mut forged) = (0, 0);
        wait::until("both were found often enough", || {
            for _ in 0..100 {
                match probe_once(&name) {
                    Probed::Live(_) => live += 1,
                    Probed::Forged { .. } | Probed::Foreign { .. } => forged += 1,
                    // The server is slow to accept; an indeterminate result names no peer.
                    Probed::Indeterminate { .. } => {}
                    Probed::Dormant { why } => panic!("a name that is always there is dormant: {why}"),
                }
            }
            live >= SEEN_MIN && forged >= SEEN_MIN
        });
        done.store(true, Ordering::Relaxed);
    });
    evil.set_nonblocking(true).expect("a listener can be non-blocking");
    let visited = evil.accept();
    assert!(visited.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "the link was followed");
    let Probed::Live(connection) = probe_once(&env.path("real")) else { panic!("the server is alive") };
    let mut last = connection.into_std().expect("the connection can be used");
    std::io::Write::write_all(&mut last, b"x").expect("the server takes a byte");
    server.join().expect("the server ends");
}
