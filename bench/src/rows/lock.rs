//! Acquiring and releasing a claim.

use super::spawn::timed;
use crate::floor::{self, c_path};
use crate::harness::{Goal, Role, Row, Table, Unit};
use crate::home::{Bench, Home, session};
use fs4::fs_std::FileExt;
use std::fs::{self, File, OpenOptions};
use std::path::Path;

const BY_HAND: &str = "create, write, link, unlink";
const WITH_FSYNC: &str = "JSON lock file with fsync and rename";

pub(crate) fn run(bench: &Bench) -> Vec<Table> {
    let home = Home::new(&bench.on_disk("lock"));
    let (session, dir) = (session(0), bench.on_disk("locks"));
    let (private, name, bare) =
        (c_path(dir.join("private")), c_path(dir.join("name")), c_path(dir.join("bare")));
    // All lock files hold the same evidence as our claim.
    let claim = home.claim(&session);
    let evidence = serde_json::to_vec(claim.claim()).expect("a claim is JSON");
    claim.release().expect("the claim is ours");
    let lock_file = open(&dir.join("locked"));
    let mut fd_lock = fd_lock::RwLock::new(open(&dir.join("fd-lock")));
    let database = rusqlite::Connection::open(dir.join("lock.db")).expect("a database can be created");
    Row::new("claim", 200)
        .measure("acquire and release", Unit::Microseconds)
        .timed(Role::Floor, "open, flock, close", || timed(|| floor::open_flock_close(&bare)))
        .timed(Role::Ours, "rekindle", || {
            timed(|| home.claim(&session).release().expect("the claim is ours"))
        })
        .timed(Role::Peer, BY_HAND, || timed(|| floor::create_write_link_unlink(&private, &name, &evidence)))
        .timed(Role::Peer, WITH_FSYNC, || timed(|| json_lock(&dir, &evidence)))
        .timed(Role::Peer, "std File::try_lock", || {
            timed(|| open(&dir.join("std")).try_lock().expect("the lock has no other contender"))
        })
        .timed(Role::Peer, "fs4, kept open", || {
            timed(|| {
                FileExt::try_lock_exclusive(&lock_file).expect("the lock has no other contender");
                FileExt::unlock(&lock_file).expect("the lock is ours");
            })
        })
        .timed(Role::Peer, "fd-lock, kept open", || {
            timed(|| drop(fd_lock.try_write().expect("the lock has no other contender")))
        })
        .timed(Role::Peer, "SQLite, BEGIN EXCLUSIVE", || {
            timed(|| {
                database.execute_batch("BEGIN EXCLUSIVE; COMMIT").expect("the lock has no other contender")
            })
        })
        .goal(0, "rekindle", Goal::AtMost { times: 3.0, than: BY_HAND.into() })
        .goal(0, "rekindle", Goal::Below { times: 20.0, than: WITH_FSYNC.into() })
        .run(bench.effort)
}

fn open(path: &Path) -> File {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    opened.expect("a file of ours can be opened")
}

fn json_lock(dir: &Path, evidence: &[u8]) {
    let name = dir.join("lock.json");
    floor::write_fsync_rename(&dir.join("lock.json.tmp"), &name, evidence)
        .expect("a file of ours can be written");
    fs::remove_file(name).expect("a file of ours can be removed");
}
