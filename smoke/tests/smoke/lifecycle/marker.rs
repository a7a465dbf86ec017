//! The lifecycle lock, by the command line and through the library.

use nix::sys::signal::Signal;
use rekindle::LifecycleLock;
use rekindle::lifecycle::{Acquired, Released};
use rekindle_smoke::harness::markers;
use rekindle_smoke::{Launcher, Reply, Root, TestEnv, procs, tests, wait};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

tests![
    one_of_eight_wins_over_whatever_was_left,
    a_conflict_names_the_holder_and_changes_nothing,
    a_program_s_status_and_signals_are_passed_on,
    a_program_that_is_missing_never_holds_it,
    a_killed_holder_takes_its_program_with_it,
    what_a_killed_program_started_keeps_the_lock,
    a_holder_killed_at_any_moment_leaves_nothing_in_the_way,
    a_deleted_marker_is_noticed_and_the_successor_s_left_alone,
    a_removed_directory_is_noticed_and_the_successor_s_left_alone,
    a_deleted_marker_does_not_let_a_second_daemon_in,
    only_the_one_who_took_it_releases_it,
    a_holder_of_another_make_is_understood,
    a_holder_on_another_machine_gives_way_with_a_warning,
    bytes_that_cannot_be_read_are_kept_aside,
    a_marker_that_is_no_file_or_open_to_all_is_refused,
    a_marker_of_another_user_is_refused needs TwoUsers,
    a_guard_releases_when_it_goes,
    force_removes_a_marker_but_not_a_lock_in_use,
    every_reader_sees_a_whole_marker,
];

fn marker(env: &TestEnv) -> PathBuf {
    env.path("marker")
}

fn lifecycle(env: &TestEnv, verb: &str, more: &[&str]) -> Reply {
    launch(env, verb, more).finish()
}

fn launch(env: &TestEnv, verb: &str, more: &[&str]) -> Launcher {
    let path = marker(env);
    let path = path.to_str().expect("a test environment's path is UTF-8");
    env.launch([&["lifecycle", verb, "--path", path], more].concat())
}

fn content(env: &TestEnv) -> Option<Vec<u8>> {
    fs::read(marker(env)).ok()
}

fn payload(env: &TestEnv) -> Value {
    serde_json::from_slice(&content(env).expect("there is a marker")).expect("it is JSON")
}

fn hostname() -> String {
    nix::unistd::gethostname().expect("this host has a name").to_string_lossy().into_owned()
}

/// A marker of another program, with the four required fields only.
fn four(pid: u32, hostname: &str) -> String {
    json!({ "pid": pid, "hostname": hostname, "started_at": "2026-01-02T03:04:05Z", "schema_version": 1 })
        .to_string()
}

/// A program that runs under the lock until the test environment ends.
fn held_by_sleep(env: &TestEnv) -> (Launcher, procs::Pid) {
    let holder = launch(env, "acquire", &["--", "sleep", "1000"]);
    let sleep = wait::for_some("the program runs", || {
        env.processes().into_iter().find(|pid| procs::runs(*pid, "sleep"))
    });
    (holder, sleep)
}

/// T01, L1, L3: over an absent, a stale and a corrupt marker. `just contend` repeats the round a thousand times.
fn one_of_eight_wins_over_whatever_was_left() {
    for kind in markers::run(40, 8) {
        assert_eq!((kind.wrong, kind.winners), (0, kind.rounds), "{kind:?}");
    }
}

fn a_conflict_names_the_holder_and_changes_nothing() {
    let env = TestEnv::new();
    let (holder, _) = held_by_sleep(&env);
    let before = content(&env);
    lifecycle(&env, "acquire", &["--", "true"]).expect_error(125, "conflict");
    let reply = lifecycle(&env, "acquire", &[]).expect_error(3, "conflict");
    assert_eq!(reply.json["holder"]["pid"], holder.pid());
    assert_eq!(reply.json["holder"]["hostname"], hostname());
    assert_eq!(reply.json["holder"]["started_at"], payload(&env)["started_at"]);
    assert_eq!(reply.json["holder"]["nonce"], Value::Null, "the authority to release is the holder's alone");
    assert_eq!(content(&env), before, "byte for byte");
    let mode = fs::metadata(marker(&env)).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(lifecycle(&env, "status", &[]).json["status"], "held");
}

fn a_program_s_status_and_signals_are_passed_on() {
    let env = TestEnv::new();
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)] {
        assert_eq!(lifecycle(&env, "acquire", &["--", "sh", "-c", script]).code, Some(code), "{script}");
        assert_eq!(content(&env), None, "the lock is released with the program");
    }
    let script = r#"trap 'echo heard; exit 9' USR1; echo ready >"$0"; while :; do sleep 0.05; done"#;
    let ready = env.path("ready");
    let ready = ready.to_str().expect("a test environment's path is UTF-8");
    let holder = launch(&env, "acquire", &["--", "sh", "-c", script, ready]);
    wait::until_there(&env.path("ready"));
    holder.signal(Signal::SIGUSR1);
    let reply = holder.finish();
    assert_eq!((reply.code, reply.stdout.as_str()), (Some(9), "heard\n"), "{reply}");
    let (holder, _) = held_by_sleep(&env);
    holder.signal(Signal::SIGTERM);
    assert_eq!(holder.finish().code, Some(143));
    env.assert_no_process();
}

/// T18.
fn a_program_that_is_missing_never_holds_it() {
    let env = TestEnv::new();
    lifecycle(&env, "acquire", &["--", "no-such-program"]).expect_error(127, "spawn-start-failed");
    lifecycle(&env, "acquire", &["--", "/tmp"]).expect_error(126, "spawn-start-failed");
    assert_eq!(content(&env), None);
    assert_eq!(lifecycle(&env, "acquire", &["--pid", "999999999"]).code, Some(1));
    assert_eq!(content(&env), None);
}

/// A program does not outlive its holder, and the next holder gets the lock at once.
fn a_killed_holder_takes_its_program_with_it() {
    for _ in 0..20 {
        let env = TestEnv::new();
        let (holder, sleep) = held_by_sleep(&env);
        holder.signal(Signal::SIGKILL);
        wait::until("the holder is gone", || !procs::is_running(holder.pid()));
        let reply = lifecycle(&env, "acquire", &[]).expect(0, "acquired");
        assert!(!procs::is_running(sleep), "the lock was free while its program ran");
        assert_eq!(reply.json["taken_over"]["why"], "holder-dead");
        assert_eq!(reply.json["taken_over"]["previous"]["pid"], holder.pid());
        holder.finish();
    }
}

/// A child of the program is not killed, and still holds the lock.
fn what_a_killed_program_started_keeps_the_lock() {
    let env = TestEnv::new();
    let holder = launch(&env, "acquire", &["--", "sh", "-c", "sleep 1000 & wait"]);
    let sleep = wait::for_some("the program's child runs", || {
        env.processes().into_iter().find(|pid| procs::runs(*pid, "sleep"))
    });
    holder.signal(Signal::SIGKILL);
    wait::until("the holder is gone", || !procs::is_running(holder.pid()));
    let reply = lifecycle(&env, "acquire", &[]).expect_error(3, "conflict");
    assert_eq!(reply.json["holder"]["pid"], holder.pid(), "{reply}");
    assert!(procs::is_running(sleep), "nobody signalled it");
    procs::send(sleep, Signal::SIGKILL);
    wait::until("it is gone", || !procs::is_running(sleep));
    lifecycle(&env, "acquire", &[]).expect(0, "acquired");
    holder.finish();
}

/// L3, T05: a holder killed before, during or after the acquisition; the next always gets the lock, and no unfinished
/// file stays.
fn a_holder_killed_at_any_moment_leaves_nothing_in_the_way() {
    let env = TestEnv::new();
    let trace = env.path("trace");
    let mut traced = 0;
    let calls = [
        "openat",
        "flock",
        "write",
        "fchmod",
        "rename",
        "renameat",
        "renameat2",
        "newfstatat",
        "pread64",
        "unlinkat",
        "clone",
    ];
    for call in calls {
        for nth in 1..40 {
            let path = marker(&env);
            let mut command = env.command("strace");
            command
                .args(["-qq", "-o"])
                .arg(&trace)
                .arg("-e")
                .arg(format!("inject={call}:signal=SIGKILL:when={nth}"));
            command.arg(rekindle_smoke::cli::binary()).args(["--json", "lifecycle", "acquire", "--path"]);
            command.arg(&path).args(["--", "true"]);
            let reply = Launcher::start(command).finish();
            if reply.code == Some(0) {
                break;
            }
            traced += 1;
            let next = lifecycle(&env, "acquire", &["--", "true"]);
            assert_eq!(next.code, Some(0), "after {call} {nth}: {next}");
            let left: Vec<_> = fs::read_dir(env.dir())
                .expect("a test environment's directory can be listed")
                .flatten()
                .filter_map(|entry| entry.file_name().into_string().ok())
                .filter(|name| !["marker.lock", "trace"].contains(&name.as_str()))
                .collect();
            assert!(left.is_empty(), "after {call} {nth}: {left:?}");
        }
    }
    assert!(traced > 20, "only {traced} kills took place");
}

/// L14, L15.
fn a_deleted_marker_is_noticed_and_the_successor_s_left_alone() {
    let env = TestEnv::new();
    let lock = LifecycleLock::new(marker(&env));
    assert!(matches!(wait::run(lock.acquire()).expect("it can be asked for"), Acquired::Ours { .. }));
    assert!(lock.is_held_by_self().expect("it can be read"));
    fs::remove_file(marker(&env)).expect("it can be deleted");
    assert!(!lock.is_held_by_self().expect("it can be read"));
    // Another program, without any knowledge of our flock.
    let successor = env.file("marker", four(std::process::id(), &hostname()));
    let bytes = fs::read(&successor).expect("it is there");
    assert!(!lock.is_held_by_self().expect("it can be read"));
    let released = lock.release().expect("it can be released");
    assert!(matches!(released, Released::NotHeld { holder: Some(_) }), "{released:?}");
    assert_eq!(content(&env), Some(bytes), "the successor's marker is untouched");
    assert!(matches!(lock.release().expect("again"), Released::NotHeld { .. }));
}

/// T27: the lock file is gone too, so the successor can be one of ours.
fn a_removed_directory_is_noticed_and_the_successor_s_left_alone() {
    let env = TestEnv::new();
    let path = env.path("dir").join("marker");
    let first = LifecycleLock::new(&path);
    assert!(matches!(wait::run(first.acquire()).expect("it can be asked for"), Acquired::Ours { .. }));
    fs::remove_dir_all(env.path("dir")).expect("it can be removed");
    assert!(!first.is_held_by_self().expect("it can be asked"));
    let second = LifecycleLock::new(&path);
    assert!(matches!(wait::run(second.acquire()).expect("it can be asked for"), Acquired::Ours { .. }));
    let bytes = fs::read(&path).expect("the successor's marker is there");
    assert!(matches!(first.release().expect("it can be released"), Released::NotHeld { .. }));
    assert_eq!(fs::read(&path).ok(), Some(bytes), "the successor's marker is untouched");
    assert!(second.is_held_by_self().expect("it can be read"));
    assert_eq!(second.release().expect("it can be released"), Released::Released);
}

/// L14: deleting the file takes nothing away from the holder.
fn a_deleted_marker_does_not_let_a_second_daemon_in() {
    let env = TestEnv::new();
    let (holder, _) = held_by_sleep(&env);
    fs::remove_file(marker(&env)).expect("it can be deleted");
    lifecycle(&env, "acquire", &[]).expect_error(3, "conflict");
    assert_eq!(content(&env), None, "a conflict writes nothing");
    holder.signal(Signal::SIGTERM);
    assert_eq!(holder.finish().code, Some(143));
    lifecycle(&env, "acquire", &[]).expect(0, "acquired");
}

/// T06, L2.
fn only_the_one_who_took_it_releases_it() {
    let env = TestEnv::new();
    let mut other = env.command("sleep").arg("1000").spawn().expect("`sleep` is a program");
    let theirs = other.id().to_string();
    lifecycle(&env, "acquire", &["--pid", &theirs]).expect(0, "acquired");
    let before = content(&env);
    let reply = lifecycle(&env, "release", &[]).expect(0, "not-held");
    assert_eq!(reply.json["holder"]["pid"], other.id());
    assert_eq!(content(&env), before);
    lifecycle(&env, "release", &["--pid", &theirs]).expect(0, "released");
    lifecycle(&env, "release", &["--pid", &theirs]).expect(0, "not-held");
    lifecycle(&env, "acquire", &["--pid", &theirs]).expect(0, "acquired");
    other.kill().expect("it can be killed");
    // L18: the holder is a zombie now, and a zombie holds nothing.
    let pid = other.id().try_into().expect("a pid is an i32");
    wait::until("it is a zombie", || procs::state(pid) == Some('Z'));
    assert_eq!(lifecycle(&env, "status", &[]).json["status"], "stale");
    lifecycle(&env, "acquire", &[]).expect(0, "acquired");
    other.wait().expect("a child can be waited for");
}

fn a_holder_of_another_make_is_understood() {
    let env = TestEnv::new();
    let live = four(std::process::id(), &hostname());
    env.file("marker", &live);
    let reply = lifecycle(&env, "acquire", &[]).expect_error(3, "conflict");
    assert_eq!(reply.json["holder"]["pid"], std::process::id());
    assert_eq!(content(&env), Some(live.clone().into_bytes()), "byte for byte");
    env.file("marker", live.replace(r#""schema_version":1"#, r#""schema_version":7"#));
    lifecycle(&env, "acquire", &[]).expect_error(3, "conflict");
    for version in [1, 7] {
        let dead = four(999_999_999, &hostname())
            .replace(r#""schema_version":1"#, &format!(r#""schema_version":{version}"#));
        env.file("marker", dead);
        let reply = lifecycle(&env, "acquire", &[]).expect(0, "acquired");
        assert_eq!(reply.json["taken_over"]["previous"]["schema_version"], version);
        lifecycle(&env, "release", &[]).expect(0, "released");
    }
}

/// T29, L10.
fn a_holder_on_another_machine_gives_way_with_a_warning() {
    let env = TestEnv::new();
    env.file("marker", four(std::process::id(), "elsewhere.example"));
    assert_eq!(lifecycle(&env, "status", &[]).json["status"], "other-machine");
    let reply = lifecycle(&env, "acquire", &[]).expect(0, "acquired");
    assert!(reply.stderr.contains("elsewhere.example"), "{reply}");
    assert_eq!(reply.json["taken_over"]["why"], "other-machine");
}

/// L4, T12.
fn bytes_that_cannot_be_read_are_kept_aside() {
    let env = TestEnv::new();
    let long = vec![b'x'; 10 << 20];
    for bytes in [b"{".as_slice(), b"{}", b"\0\0", br#"{"pid":1}"#, &long] {
        env.file("marker", bytes);
        assert_eq!(lifecycle(&env, "status", &[]).json["status"], "corrupt");
        let reply = lifecycle(&env, "acquire", &[]).expect(0, "acquired");
        let kept = reply.json["taken_over"]["kept_aside"].as_str().expect("it says where");
        assert!(fs::read(kept).expect("it is there") == bytes, "the old bytes are kept");
        lifecycle(&env, "release", &[]).expect(0, "released");
    }
    env.file("marker", b"");
    let reply = lifecycle(&env, "acquire", &[]).expect(0, "acquired");
    assert_eq!(reply.json["taken_over"], Value::Null, "an empty file has nothing to keep");
}

/// S5, X4.
fn a_marker_that_is_no_file_or_open_to_all_is_refused() {
    let env = TestEnv::new();
    let path = marker(&env);
    let target = env.file("target", "untouched");
    symlink(&target, &path).expect("a link can be made");
    lifecycle(&env, "acquire", &[]).expect_error(3, "untrusted");
    assert_eq!(fs::read(&target).expect("it is there"), b"untouched");
    fs::remove_file(&path).expect("a link can be removed");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO can be made");
    lifecycle(&env, "acquire", &[]).expect_error(3, "untrusted");
    fs::remove_file(&path).expect("a FIFO can be removed");
    fs::set_permissions(env.dir(), fs::Permissions::from_mode(0o777)).expect("it is ours");
    lifecycle(&env, "acquire", &[]).expect_error(3, "untrusted");
    fs::set_permissions(env.dir(), fs::Permissions::from_mode(0o1777)).expect("it is ours");
    lifecycle(&env, "acquire", &[]).expect(0, "acquired");
}

/// X4, X6.
fn a_marker_of_another_user_is_refused(root: Root) {
    let env = TestEnv::new();
    let path = env.file("marker", four(1, &hostname()));
    root.give(&path, 65_534);
    lifecycle(&env, "acquire", &[]).expect_error(3, "untrusted");
}

fn a_guard_releases_when_it_goes() {
    let env = TestEnv::new();
    let panicking = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let guard = LifecycleLock::new(marker(&env)).into_guard();
                let acquired = wait::run(guard.lock().acquire()).expect("it can be asked for");
                assert!(matches!(acquired, Acquired::Ours { .. }) && marker(&env).exists());
                std::panic::resume_unwind(Box::new("on purpose"));
            })
            .join()
    });
    assert!(panicking.is_err());
    assert_eq!(content(&env), None);
    assert_eq!(lifecycle(&env, "acquire", &["--", "true"]).code, Some(0), "the next one gets it");
}

fn force_removes_a_marker_but_not_a_lock_in_use() {
    let env = TestEnv::new();
    lifecycle(&env, "force-unlock", &[]).expect(0, "not-locked");
    let live = four(std::process::id(), &hostname());
    env.file("marker", live);
    let reply = lifecycle(&env, "force-unlock", &[]).expect(0, "unlocked");
    assert_eq!(reply.json["previous"]["pid"], std::process::id());
    assert_eq!(content(&env), None);
    let (holder, _) = held_by_sleep(&env);
    let before = content(&env);
    lifecycle(&env, "force-unlock", &[]).expect_error(3, "lifecycle-locked");
    assert_eq!(content(&env), before);
    holder.signal(Signal::SIGTERM);
    holder.finish();
}

/// R-1: the marker is whole at every instant.
fn every_reader_sees_a_whole_marker() {
    let env = TestEnv::new();
    let path = marker(&env);
    fs::write(&path, four(999_999_999, &hostname())).expect("a test environment's directory is writable");
    let done = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::SeqCst;
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(order) {
                let bytes = fs::read(&path).expect("there is always a marker");
                serde_json::from_slice::<Value>(&bytes).expect("it is whole");
                seen += 1;
            }
            seen
        });
        for _ in 0..200 {
            let lock = LifecycleLock::new(&path);
            assert!(matches!(wait::run(lock.acquire()).expect("it can be asked for"), Acquired::Ours { .. }));
            // The marker of a dead holder, put in place as whole as ours.
            let left = env.file("left", four(999_999_999, &hostname()));
            fs::rename(left, &path).expect("it can be replaced");
            drop(lock);
        }
        done.store(true, order);
        assert!(reader.join().expect("every marker that was read was whole") > 0);
    });
}
