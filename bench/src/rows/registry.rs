//! The registry of sessions: update, add, find, list.

use super::spawn::timed;
use crate::floor::{self, c_path};
use crate::harness::{Goal, Role, Row, Sample, Table, Unit, micros};
use crate::home::{Bench, CHILD, Home, kill_and_wait, runtime, session};
use rekindle::{Ensured, Launch, SessionId};
use rekindle_adapters::{clock, procfs, record_file};
use rekindle_core::record::RecordFile;
use rekindle_core::{Generation, SessionRecord};
use serde_json::{Map, Value};
use std::fs::{self, File};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Numbers of sessions in the registry.
pub(crate) const SIZES: [usize; 3] = [10, 1_000, 10_000];

/// Sessions looked up in one measurement.
const FOUND: usize = 64;

/// Live workers in the listing.
const LISTED: usize = 200;

/// Name of rekindle in these rows.
pub(crate) const OURS: &str = "rekindle";
/// Name of the single JSON file in these rows.
pub(crate) const ONE_FILE: &str = "one JSON file with fsync";
/// Name of the database in these rows.
pub(crate) const DATABASE: &str = "SQLite";

/// Name of a contender, with the size of the registry.
pub(crate) fn at(name: &str, size: usize) -> String {
    format!("{name}, {size} sessions")
}

pub(crate) fn run(bench: &Bench) -> Vec<Table> {
    let registries: Vec<Registry> = SIZES.iter().map(|size| Registry::new(bench, *size)).collect();
    let mut tables = update(bench, &registries[0]);
    tables.extend(add(bench, &registries));
    tables.extend(find(bench, &registries));
    tables.extend(list(bench));
    tables
}

/// The same sessions in three stores: rekindle, a single JSON file, a database.
struct Registry {
    size: usize,
    home: Home,
    file: PathBuf,
    database: rusqlite::Connection,
}

impl Registry {
    fn new(bench: &Bench, size: usize) -> Self {
        eprintln!("  creating {size} sessions");
        let home = Home::new(&bench.on_disk(&format!("registry{size}")));
        let dir = bench.on_disk(&format!("peers{size}"));
        let file = dir.join("registry.json");
        let mut database =
            rusqlite::Connection::open(dir.join("registry.db")).expect("a database can be created");
        database
            .execute_batch("CREATE TABLE sessions (id TEXT PRIMARY KEY, record TEXT)")
            .expect("the database is empty");
        let mut all = Map::new();
        let transaction = database.transaction().expect("the database has no other user");
        for number in 0..size {
            let session = session(number);
            let record = record(&home, &session);
            let dir = home.root.create_session(&session).expect("a directory of ours can be used");
            record_file::write(&dir, &record).expect("a record can be written");
            let value = serde_json::to_value(&record).expect("a record is JSON");
            insert(&transaction, &session, &value.to_string());
            all.insert(session.to_string(), value);
        }
        transaction.commit().expect("the database has no other user");
        fs::write(&file, serde_json::to_vec(&all).expect("a map is JSON"))
            .expect("a file of ours can be written");
        Self { size, home, file, database }
    }

    fn random_session(&self) -> SessionId {
        session(fastrand::usize(0..self.size))
    }
}

fn record(home: &Home, session: &SessionId) -> SessionRecord {
    let us = procfs::this_process(&home.here);
    let (nonce, plan) = (home.nonce.clone(), home.plan(session, &["{socket}"]));
    let record = SessionRecord::starting(&plan, Generation::new(1), nonce, us.clone(), clock::now());
    SessionRecord { worker: Some(us.clone()), ..record.into_ready(clock::now(), Some(us)) }
}

fn insert(database: &rusqlite::Connection, session: &SessionId, record: &str) {
    let inserted = database.execute("INSERT INTO sessions VALUES (?1, ?2)", (session.as_str(), record));
    inserted.expect("the session is new");
}

fn update(bench: &Bench, registry: &Registry) -> Vec<Table> {
    const FLOOR: &str = "write, rename";
    let home = &registry.home;
    let dir = home.root.create_session(&session(0)).expect("a directory of ours can be used");
    let record = record(home, &session(0));
    let bytes = serde_json::to_vec_pretty(&record).expect("a record is JSON");
    let (private, name) = (c_path(dir.path_of("bare.tmp")), c_path(dir.path_of("bare")));
    let tables = Row::new("record update", 200)
        .measure("one update", Unit::Microseconds)
        .timed(Role::Floor, FLOOR, || timed(|| floor::write_rename(&private, &name, &bytes)))
        .timed(Role::Ours, OURS, || {
            timed(|| record_file::write(&dir, &record).expect("a record can be written"))
        })
        .timed(Role::Peer, "write, fsync, rename", || {
            let (private, name) = (dir.path_of("forced.tmp"), dir.path_of("forced"));
            timed(|| {
                floor::write_fsync_rename(&private, &name, &bytes).expect("a file of ours can be written");
            })
        })
        .timed(Role::Peer, DATABASE, || {
            let text = String::from_utf8_lossy(&bytes);
            timed(|| {
                let updated =
                    registry.database.execute("UPDATE sessions SET record = ?1 WHERE id = 's0'", (&text,));
                updated.expect("the session exists");
            })
        })
        .goal(0, OURS, Goal::AtMost { times: 1.5, than: FLOOR.into() })
        .run(bench.effort);
    for left in ["bare", "forced"] {
        dir.remove(left).expect("a file of ours can be removed");
    }
    tables
}

fn add(bench: &Bench, registries: &[Registry]) -> Vec<Table> {
    const FLOOR: &str = "mkdir, write, rename";
    let bare = bench.on_disk("bare");
    let mut row = Row::new("registry: add a session", 10).measure("one session", Unit::Microseconds);
    let bytes =
        serde_json::to_vec_pretty(&record(&registries[0].home, &session(0))).expect("a record is JSON");
    row = row.timed(Role::Floor, FLOOR, move || {
        let dir = bare.join("new");
        let (private, name) = (c_path(dir.join("tmp")), c_path(dir.join("record")));
        let added = timed(|| {
            fs::create_dir(&dir).expect("the name is free");
            floor::write_rename(&private, &name, &bytes);
        });
        fs::remove_dir_all(dir).expect("a directory of ours can be removed");
        added
    });
    for registry in registries {
        let (home, new) = (&registry.home, session(registry.size));
        let record = record(home, &new);
        let text = serde_json::to_string(&record).expect("a record is JSON");
        let (one_file, one_row) = ((new.clone(), record.clone()), (new.clone(), text));
        row = row
            .timed(Role::Ours, at(OURS, registry.size), move || {
                let added = timed(|| {
                    let dir = home.root.create_session(&new).expect("a directory of ours can be used");
                    record_file::write(&dir, &record).expect("a record can be written");
                });
                let path = home.root.path().join(new.as_str());
                fs::remove_dir_all(path).expect("a directory of ours can be removed");
                added
            })
            .timed(Role::Peer, at(ONE_FILE, registry.size), move || {
                timed(|| rewrite(&registry.file, &one_file.0, &one_file.1))
            })
            .timed(Role::Peer, at(DATABASE, registry.size), move || {
                let added = timed(|| insert(&registry.database, &one_row.0, &one_row.1));
                let removed =
                    registry.database.execute("DELETE FROM sessions WHERE id = ?1", (one_row.0.as_str(),));
                removed.expect("the session exists");
                added
            });
    }
    row.goal(0, at(OURS, 10_000), Goal::AtMost { times: 1.5, than: at(OURS, 10) }).run(bench.effort)
}

/// Reads the whole file, changes one entry, and writes the whole file durably, all under a lock.
fn rewrite(file: &Path, session: &SessionId, record: &SessionRecord) {
    let lock = File::create(file.with_extension("lock")).expect("a file of ours can be created");
    lock.lock().expect("the lock has no other contender");
    let mut all = read_all(file);
    all.insert(session.to_string(), serde_json::to_value(record).expect("a record is JSON"));
    let bytes = serde_json::to_vec(&all).expect("a map is JSON");
    floor::write_fsync_rename(&file.with_extension("tmp"), file, &bytes)
        .expect("a file of ours can be written");
}

fn read_all(file: &Path) -> Map<String, Value> {
    serde_json::from_slice(&fs::read(file).expect("the file exists")).expect("the file is JSON")
}

fn find(bench: &Bench, registries: &[Registry]) -> Vec<Table> {
    let mut row = Row::new("registry: find a session", 40).measure("one session", Unit::Microseconds);
    let state = registries[1].home.root.path().to_owned();
    row = row.contender(Role::Floor, "open, read, close", move || {
        let name = session(fastrand::usize(0..SIZES[1]));
        let path = c_path(state.join(name.as_str()).join(record_file::RECORD_FILE));
        let mut buffer = [0; 4096];
        each(FOUND, |_| {
            black_box(floor::open_read_close(&path, &mut buffer));
        })
    });
    for registry in registries {
        row = row
            .contender(Role::Ours, at(OURS, registry.size), || {
                let sessions: Vec<SessionId> = (0..FOUND).map(|_| registry.random_session()).collect();
                each(FOUND, |number| {
                    let dir = registry
                        .home
                        .root
                        .session(&sessions[number])
                        .expect("a directory of ours can be used");
                    let found = record_file::read(&dir.expect("the session exists"));
                    assert!(matches!(found, Ok(RecordFile::Whole(_))), "the record is whole");
                })
            })
            .contender(Role::Peer, at("one JSON file", registry.size), || {
                let session = registry.random_session();
                each(1, |_| drop(black_box(read_all(&registry.file).remove(session.as_str()))))
            })
            .contender(Role::Peer, at(DATABASE, registry.size), || {
                let mut found = registry
                    .database
                    .prepare_cached("SELECT record FROM sessions WHERE id = ?1")
                    .expect("the table exists");
                let sessions: Vec<SessionId> = (0..FOUND).map(|_| registry.random_session()).collect();
                each(FOUND, |number| {
                    let text: String = found
                        .query_row((sessions[number].as_str(),), |row| row.get(0))
                        .expect("the session exists");
                    drop(black_box(
                        serde_json::from_str::<SessionRecord>(&text).expect("the text is a record"),
                    ));
                })
            });
    }
    row.goal(0, at(OURS, 1_000), Goal::Within { value: 3.0 })
        .goal(0, at(OURS, 10_000), Goal::AtMost { times: 1.5, than: at(OURS, 10) })
        .run(bench.effort)
}

/// The mean time of one call of `action`, over `times` calls.
fn each(times: usize, mut action: impl FnMut(usize)) -> Sample {
    let began = Instant::now();
    (0..times).for_each(&mut action);
    vec![micros(began.elapsed()) / times as f64]
}

fn list(bench: &Bench) -> Vec<Table> {
    let (home, runtime) = (Home::new(&bench.in_memory("list")), runtime());
    let sessions = home.sessions();
    let pids: Vec<_> = (0..LISTED)
        .map(|number| {
            let launch = Launch::new(CHILD).args(["{socket}"]);
            match runtime.block_on(sessions.ensure(&session(number), launch)) {
                Ok(Ensured::Running(running)) => running.pid.expect("a started worker has a pid"),
                other => panic!("the smallest worker starts: {other:?}"),
            }
        })
        .collect();
    let root = home.root.path().to_owned();
    let tables = Row::new("registry: list live sessions", 40)
        .measure("one session", Unit::Microseconds)
        .contender(Role::Floor, "readdir, and open, read, close of each", || {
            let began = Instant::now();
            let mut buffer = [0; 4096];
            for entry in fs::read_dir(&root).expect("the directory exists").flatten() {
                let path = c_path(entry.path().join(record_file::RECORD_FILE));
                black_box(floor::open_read_close(&path, &mut buffer));
            }
            vec![micros(began.elapsed()) / LISTED as f64]
        })
        .contender(Role::Ours, OURS, || {
            let began = Instant::now();
            let listed = sessions.list().expect("a directory of ours can be listed");
            let took = micros(began.elapsed());
            assert_eq!(listed.sessions.len(), LISTED, "every session is listed");
            vec![took / LISTED as f64]
        })
        .goal(0, OURS, Goal::Within { value: 6.0 })
        .run(bench.effort);
    pids.into_iter().for_each(kill_and_wait);
    tables
}
