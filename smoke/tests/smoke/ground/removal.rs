//! Files removed during or after a worker's life; and unreadable places, which prove nothing.

use nix::sys::signal::Signal;
use rekindle_smoke::harness::removal;
use rekindle_smoke::harness::vandal::sessions;
use rekindle_smoke::procs::{self, Pid};
use rekindle_smoke::{
    Account, Container, Launcher, Place, Reply, Root, Sentinel, SentinelKind, TestEnv, programs, tests, wait,
};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

tests![
    a_sample_of_removal needs Namespaces,
    a_collection_beside_starts_and_stops_fails_nobody,
    a_start_that_lost_its_lifeline_is_no_obstacle_to_the_next,
    a_dead_worker_without_its_lifeline_is_no_obstacle,
    a_healthy_worker_without_record_and_socket_is_not_ended,
    a_record_that_is_gone_is_written_anew,
    a_missing_socket_is_told_alike_by_every_verb,
    a_session_without_its_files_is_listed_and_ended,
    a_session_that_was_moved_is_listed_and_ended,
    a_session_under_the_name_of_another_is_not_that_session,
    a_child_whose_files_went_becomes_no_worker,
    a_shortage_of_descriptors_is_no_fault_of_the_record,
    a_search_that_finds_no_descriptor_starts_nothing,
    a_search_that_fails_to_open_anything_starts_nothing needs Namespaces,
    a_search_that_may_not_open_anything_starts_nothing needs Namespaces,
    a_search_that_fails_to_read_anything_starts_nothing needs Namespaces,
    a_search_that_fails_at_any_other_call_starts_nothing needs Namespaces,
    a_search_without_a_proc_of_our_own_starts_nothing needs Namespaces,
    a_worker_that_cannot_be_looked_into_is_not_doubled,
    an_unrelated_agent_is_no_obstacle,
    an_agent_beside_another_users_lock_is_no_obstacle needs TwoUsers,
    a_zombie_beside_another_users_lock_is_no_obstacle needs TwoUsers,
];

const SESSION: &str = "s";

/// Limits for a worker that does not come back.
const SHORT: [&str; 6] = ["--timeout", "400ms", "--term-grace", "300ms", "--kill-grace", "2s"];

/// U19 to U22. In full: `just removal`.
fn a_sample_of_removal() {
    let tally = removal::run(30, &Account::all());
    tally.print();
    let troubles: Vec<String> = tally.troubles().map(ToString::to_string).collect();
    assert!(troubles.is_empty(), "{} rounds failed: {}", troubles.len(), troubles[0]);
}

/// U28. In full: `just removal`.
fn a_collection_beside_starts_and_stops_fails_nobody() {
    let failed = removal::beside_a_collection(150);
    assert!(failed.is_empty(), "{} calls failed: {}", failed.len(), failed[0]);
}

fn up(env: &TestEnv) -> Reply {
    env.up(SESSION, &[&env.binary_arg(), "worker"])
}

fn up_shortly(env: &TestEnv) -> Reply {
    env.up_with(SESSION, &SHORT, &[&env.binary_arg(), "worker"])
}

fn started(env: &TestEnv) -> Pid {
    up(env).expect_running("started").pid()
}

/// The workers of a test environment, found without the session's files.
fn workers(env: &TestEnv) -> Vec<Pid> {
    let line = format!("{} worker", env.binary_arg());
    env.processes().into_iter().filter(|pid| procs::command_line(*pid) == line).collect()
}

fn kill(pid: Pid) {
    procs::send(pid, Signal::SIGKILL);
    wait::until("the process is gone", || !procs::is_running(pid));
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
}

/// The session in the output of `ls`.
fn listed(env: &TestEnv) -> Option<Value> {
    let reply = env.rekindle(["ls"]);
    assert_eq!(reply.code, Some(0), "{reply}");
    sessions(&reply.json).into_iter().find(|it| it["session"] == SESSION)
}

/// U20, U28: the worker removes its own lifeline and fails.
fn a_start_that_lost_its_lifeline_is_no_obstacle_to_the_next() {
    for account in Account::all() {
        let env = TestEnv::owned_by(account);
        let script = r#"rm "$(dirname "$0")/lifeline"; exit 1"#;
        let failed = env.up(SESSION, &["sh", "-c", script, "{socket}"]);
        assert_eq!((failed.code, failed.text("outcome")), (Some(5), "child-exited"), "{account:?}: {failed}");
        started(&env);
        env.stop(SESSION).expect(0, "stopped");
    }
}

/// U20: a missing lifeline is stronger evidence of death than a free lifeline, never weaker.
fn a_dead_worker_without_its_lifeline_is_no_obstacle() {
    for account in Account::all() {
        for removed in [&["lifeline"][..], &["lifeline", "sock"], &["lifeline", "session.json"]] {
            let env = TestEnv::owned_by(account);
            kill(started(&env));
            removed.iter().for_each(|file| remove(&env.of(SESSION, file)));
            let reply = up(&env);
            assert_eq!(
                (reply.code, reply.text("outcome")),
                (Some(0), "started"),
                "{account:?} {removed:?}: {reply}"
            );
        }
        // The launcher died before the worker was seen ready.
        let env = TestEnv::owned_by(account);
        let launcher = env.launch_up(SESSION, &[], &["sleep", "1000"]);
        let worker = env.worker_pid(SESSION);
        launcher.signal(Signal::SIGKILL);
        launcher.finish();
        kill(worker);
        remove(&env.of(SESSION, "lifeline"));
        let reply = up(&env);
        assert_eq!((reply.code, reply.text("outcome")), (Some(0), "started"), "{account:?}: {reply}");
    }
}

/// U21: for every readiness, by the living process and its lifeline.
fn a_healthy_worker_without_record_and_socket_is_not_ended() {
    let (rekindle, python) = (TestEnv::new().binary_arg(), programs::python());
    let redis = programs::find("redis-server", "redis-server");
    let plain = ["worker"];
    let kinds: [(&[&str], Vec<&str>); 4] = [
        (&[], [&[rekindle.as_str()][..], &plain].concat()),
        (&["--ready", "handshake", "--speak", "1"], vec![&rekindle, "worker", "--protocol", "pool"]),
        (
            &["--ready", "notify"],
            vec![&redis, "--port", "0", "--unixsocket", "{socket}", "--supervised", "systemd"],
        ),
        (&["--ready", "listen"], vec![&python, "-c", programs::INHERITING_ECHO_SERVER]),
    ];
    for (options, command) in kinds {
        for removed in [
            &["session.json", "sock"][..],
            &["session.json"],
            &["sock"],
            &["session.json", "sock", "lifeline"],
        ] {
            let env = TestEnv::new();
            let worker = env.up_with(SESSION, options, &command).expect_running("started").pid();
            removed.iter().for_each(|file| remove(&env.of(SESSION, file)));
            let before = env.processes();
            for _ in 0..2 {
                let bounded = [options, &["--timeout", "1s", "--term-grace", "1s"]].concat();
                let reply = env.up_with(SESSION, &bounded, &command);
                let told = format!("{options:?}, without {removed:?}: {reply}");
                assert!(procs::is_running(worker), "a healthy worker was ended: {told}");
                assert_eq!(env.processes(), before, "{told}");
                match reply.code {
                    Some(0) => {
                        assert_eq!((reply.text("outcome"), reply.pid()), ("attached", worker), "{told}");
                    }
                    code => {
                        assert_eq!((code, reply.text("reason")), (Some(3), "worker-unresponsive"), "{told}");
                    }
                }
            }
            let reply = env.stop(SESSION);
            assert_eq!(reply.code, Some(0), "{options:?}, without {removed:?}: {reply}");
            assert!(!procs::is_running(worker), "{options:?}, without {removed:?}: {reply}");
        }
    }
}

/// U29: a session without a record does not stay "starting" for ever, and `up` and `stop` agree on the worker.
fn a_record_that_is_gone_is_written_anew() {
    for account in Account::all() {
        for how in ["removed", "set aside"] {
            let env = TestEnv::owned_by(account);
            let worker = started(&env);
            if how == "removed" {
                remove(&env.of(SESSION, "session.json"));
            } else {
                fs::write(env.of(SESSION, "session.json"), "{").expect("root may write anything");
                let repaired = env.rekindle(["gc", "--repair"]);
                assert_eq!(repaired.code, Some(0), "{account:?}: {repaired}");
            }
            let reply = up(&env);
            let told = format!("{account:?}, {how}: {reply}");
            assert_eq!((reply.code, reply.text("outcome")), (Some(0), "attached"), "{told}");
            assert_eq!((reply.pid(), &reply.json["managed"]), (worker, &true.into()), "{told}");
            assert_eq!(env.record(SESSION)["worker"]["pid"], worker, "{told}");
            assert_eq!(listed(&env).map(|it| it["state"].clone()), Some("live".into()), "{told}");
            env.stop(SESSION).expect(0, "stopped");
        }
    }
}

/// U22: one function decides the state of a session.
fn a_missing_socket_is_told_alike_by_every_verb() {
    for account in Account::all() {
        let env = TestEnv::owned_by(account);
        let worker = started(&env);
        remove(&env.socket(SESSION));
        let state = listed(&env).map(|it| it["state"].clone()).unwrap_or_default();
        let show = env.rekindle(["show", SESSION]);
        let doctor = env.rekindle(["doctor", SESSION]);
        let up = up_shortly(&env).expect_rejected("worker-unresponsive");
        assert_eq!(up.pid(), worker, "{up}");
        assert_eq!(state, "unresponsive", "{account:?}: as `up` says: {up}");
        assert_eq!(show.json["status"], "unresponsive", "{account:?}: {show}");
        assert_eq!(state_in(&doctor), "unresponsive", "{account:?}: {doctor}");
        env.stop(SESSION).expect(0, "stopped");
    }
}

/// The state of the session, in either form of `doctor`.
fn state_in(doctor: &Reply) -> Value {
    let one = if doctor.json["state"].is_null() {
        sessions(&doctor.json).into_iter().find(|it| it["session"] == SESSION).unwrap_or_default()
    } else {
        doctor.json.clone()
    };
    one["state"].clone()
}

/// Removes the files of a session from their names.
type Take = fn(&TestEnv);

/// U22: a living worker is found by its lifeline.
fn assert_listed_and_ended(account: Account, how: &str, take: Take) {
    for end in [&["stop", "--all"][..], &["stop", SESSION]] {
        let env = TestEnv::owned_by(account);
        let worker = started(&env);
        take(&env);
        let told = format!("{account:?}, {how}");
        let line = listed(&env).unwrap_or_else(|| panic!("{told}: a worker that lives is in no list"));
        assert_eq!(line["pid"], worker, "{told}: {line}");
        assert_ne!(line["state"], "exited", "{told}: {line}");
        for args in [&["doctor"][..], &["doctor", SESSION]] {
            let doctor = env.rekindle(args);
            assert_eq!(doctor.code, Some(0), "{told}, {args:?}: {doctor}");
            assert!(doctor.stdout.contains(&worker.to_string()), "{told}, {args:?}: {doctor}");
        }
        let refused = up_shortly(&env);
        assert_ne!(refused.text("outcome"), "started", "{told}: {refused}");
        assert_eq!(workers(&env), [worker], "{told}: {refused}");
        let gc = env.rekindle(["gc"]);
        assert_eq!(workers(&env), [worker], "{told}: {gc}");
        let stop = env.rekindle(end);
        assert_eq!(stop.code, Some(0), "{told}, {end:?}: {stop}");
        assert!(workers(&env).is_empty(), "{told}, {end:?}: {stop}");
        let again = up(&env);
        assert_eq!(
            (again.code, again.text("outcome")),
            (Some(0), "started"),
            "{told}, after {end:?}: {again}"
        );
    }
}

fn a_session_without_its_files_is_listed_and_ended() {
    for account in Account::all() {
        assert_listed_and_ended(account, "its directory was removed", |env| {
            fs::remove_dir_all(env.of(SESSION, "")).expect("the session can be removed");
        });
        assert_listed_and_ended(account, "the state directory was removed", |env| {
            fs::remove_dir_all(env.state()).expect("the state directory can be removed");
        });
    }
}

/// U19, U22.
fn a_session_that_was_moved_is_listed_and_ended() {
    for account in Account::all() {
        assert_listed_and_ended(account, "its directory was moved", |env| {
            fs::rename(env.state().join(SESSION), env.path("away")).expect("the session can be moved");
        });
        assert_listed_and_ended(account, "the state directory was moved", |env| {
            fs::rename(env.state(), env.path("away")).expect("the state directory can be moved");
        });
    }
}

/// U19: a directory renamed to another session's name brings its lifeline along. No verb for the other session may end
/// the worker.
fn a_session_under_the_name_of_another_is_not_that_session() {
    const OTHER: &str = "other";
    for account in Account::all() {
        let env = TestEnv::owned_by(account);
        let worker = started(&env);
        fs::rename(env.state().join(SESSION), env.state().join(OTHER)).expect("it can be renamed");
        let rekindle = env.binary_arg();
        let up = [&["up", OTHER][..], &SHORT, &["--", &rekindle, "worker"]].concat();
        for args in [&up[..], &["stop", OTHER], &["gc"], &up] {
            let reply = env.rekindle(args);
            assert_eq!(workers(&env), [worker], "{account:?}, {args:?}: {reply}");
        }
        let stop = env.stop(SESSION).expect(0, "stopped");
        assert_eq!((stop.pid(), workers(&env)), (worker, vec![]), "{account:?}: {stop}");
    }
}

/// U19: a child has locked its lifeline, but not yet at the descriptor of a search, when the files go and another
/// process searches. The child has to notice before exec.
fn a_child_whose_files_went_becomes_no_worker() {
    let takes: [(&str, Take); 4] = [
        ("the session was removed", |env| fs::remove_dir_all(env.of(SESSION, "")).expect("it is there")),
        ("the session was moved", |env| {
            fs::rename(env.state().join(SESSION), env.path("away")).expect("it is there");
        }),
        ("the root was removed", |env| fs::remove_dir_all(env.state()).expect("it is there")),
        ("the root was moved", |env| fs::rename(env.state(), env.path("away")).expect("it is there")),
    ];
    for (taken, take) in takes {
        let env = TestEnv::new();
        let first = halted_once_marked(&env);
        let child = env.worker_pid(SESSION);
        take(&env);
        let second = up(&env).expect_running("started");
        procs::send(child, Signal::SIGCONT);
        wait::until("the child is decided", || !procs::is_running(child) || ran(&env).exists());
        assert!(!ran(&env).exists(), "{taken}: the program of a second worker ran, beside {second}");
        let first = first.finish().expect_running("attached");
        assert_eq!((first.pid(), workers(&env)), (second.pid(), vec![second.pid()]), "{taken}: {first}");
    }
}

/// The file that the program of a halted child writes.
fn ran(env: &TestEnv) -> PathBuf {
    env.path("ran")
}

/// An `up` whose child is stopped right after its mark. Only the mark is written from several buffers at once.
fn halted_once_marked(env: &TestEnv) -> Launcher {
    let mut strace = env.command(programs::find("strace", "strace"));
    strace.env_remove("LD_LIBRARY_PATH");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "inject=writev:signal=SIGSTOP"]);
    strace.arg(env.binary()).args(["--json", "--dir"]).arg(env.state());
    strace.args(["up", SESSION, "--", "sh", "-c", r#"echo >"$0"; exec sleep 1000"#]).arg(ran(env));
    Launcher::start(strace)
}

/// The range of descriptor limits for a command that has too few.
const FEW: std::ops::RangeInclusive<usize> = 3..=20;

/// `rekindle` with so few descriptors.
fn with_few(env: &TestEnv, few: usize, args: &[&str]) -> Reply {
    let mut command = env.command("sh");
    command.args(["-c", r#"ulimit -n "$0"; exec "$@""#, &few.to_string()]).arg(env.binary());
    command.args(["--json", "--dir"]).arg(env.state()).args(args);
    Launcher::start(command).finish()
}

/// U29.
fn a_shortage_of_descriptors_is_no_fault_of_the_record() {
    let env = TestEnv::new();
    let worker = started(&env);
    let record = fs::read(env.of(SESSION, "session.json")).expect("there is a record");
    for few in FEW {
        for args in
            [&["ls"][..], &["show", SESSION], &["doctor"], &["doctor", SESSION], &["gc"], &["gc", "--repair"]]
        {
            let reply = with_few(&env, few, args);
            let told = format!("{args:?} with {few} descriptors: {reply}");
            assert!(!reply.stderr.contains("panicked"), "{told}");
            assert!(!reply.stdout.contains("corrupt"), "a shortage is no corruption: {told}");
            assert!(!reply.stdout.contains("--repair"), "there is nothing to repair: {told}");
            assert_names_no_other_place(&reply, &told);
            if args == ["ls"] && reply.code == Some(0) {
                let shown = sessions(&reply.json);
                let state = shown.first().map(|it| it["state"].clone());
                assert_eq!(state, Some("live".into()), "a list that leaves something out fails: {told}");
            }
            let now = fs::read(env.of(SESSION, "session.json")).ok();
            assert_eq!(now.as_ref(), Some(&record), "{told}");
        }
    }
    assert_eq!(env.processes().into_iter().filter(|pid| *pid == worker).count(), 1);
    up(&env).expect_running("attached");
}

/// Another state directory would have a different worker.
#[track_caller]
fn assert_names_no_other_place(reply: &Reply, told: &str) {
    let next = reply.advice();
    assert!(!next.contains("another") && !next.contains("elsewhere"), "{told}");
}

/// U19: EMFILE during the search of processes.
fn a_search_that_finds_no_descriptor_starts_nothing() {
    for few in FEW {
        let env = TestEnv::new();
        let worker = started(&env);
        fs::remove_dir_all(env.of(SESSION, "")).expect("the session can be removed");
        let rekindle = env.binary_arg();
        let args = [&["up", SESSION][..], &SHORT, &["--", &rekindle, "worker"]].concat();
        let reply = with_few(&env, few, &args);
        let told = format!("with {few} descriptors: {reply}");
        assert_ne!(reply.code, Some(0), "{told}");
        assert_names_no_other_place(&reply, &told);
        assert_eq!(workers(&env), [worker], "{told}");
    }
}

/// Failing calls of a search, each with its errno.
/// U19: no descriptor is left.
fn a_search_that_fails_to_open_anything_starts_nothing() {
    fails_at_each_call(&[("openat", "EMFILE")]);
}

/// U19.
fn a_search_that_may_not_open_anything_starts_nothing() {
    fails_at_each_call(&[("openat", "EACCES")]);
}

/// U19.
fn a_search_that_fails_to_read_anything_starts_nothing() {
    let reads =
        [("getdents64", "ENOMEM"), ("readlinkat", "EACCES"), ("readlink", "ENOMEM"), ("pread64", "EIO")];
    fails_at_each_call(&reads);
}

/// U19.
fn a_search_that_fails_at_any_other_call_starts_nothing() {
    fails_at_each_call(&[
        ("newfstatat", "EACCES"),
        ("statx", "EACCES"),
        ("fstat", "ENOMEM"),
        ("flock", "ENOLCK"),
    ]);
}

/// One call fails and all others succeed, each call in turn. No failure, whether in the search or elsewhere, leads
/// to a second worker.
fn fails_at_each_call(failures: &[(&str, &str)]) {
    let env = TestEnv::new();
    let container = Container::start(&env);
    let inside = Place::Inside(&container);
    let rekindle = env.binary_arg();
    inside.rekindle(&env, ["up", SESSION, "--", &rekindle, "worker"]).expect(0, "started");
    let before = workers(&env);
    let trace = env.path("trace");
    let up = |options: &[&str]| {
        let _ = fs::remove_dir_all(env.of(SESSION, ""));
        let options =
            [&["-o", trace.to_str().expect("a test environment's path is UTF-8")], options].concat();
        let args =
            [&["up", SESSION, "--timeout", "100ms"][..], &SHORT[2..], &["--", &rekindle, "worker"]].concat();
        Launcher::start(inside.traced(&env, &options, args)).finish()
    };
    let reply = up(&[]);
    assert_eq!(reply.code, Some(3), "{reply}");
    let calls = fs::read_to_string(&trace).expect("strace writes it");
    for (call, errno) in failures {
        let count = calls.lines().filter(|line| line.starts_with(&format!("{call}("))).count();
        for nth in 1..=count {
            let reply = up(&["-e", &format!("inject={call}:error={errno}:when={nth}")]);
            let told = format!("{call} number {nth} of {count} failed with {errno}: {reply}");
            assert_eq!(workers(&env), before, "{told}");
            assert_ne!(reply.code, Some(0), "{told}");
        }
    }
}

/// U19: `/proc` is not mounted, or shows another pid namespace.
fn a_search_without_a_proc_of_our_own_starts_nothing() {
    for account in Account::all() {
        for proc in ["another namespace's", "not mounted"] {
            let env = TestEnv::owned_by(account);
            let container = Container::start(&env);
            let inside = Place::Inside(&container);
            let rekindle = env.binary_arg();
            let started =
                inside.rekindle(&env, ["up", SESSION, "--", &rekindle, "worker"]).expect(0, "started");
            let before = workers(&env);
            assert_eq!(before.len(), 1, "{started}");
            // The worker's pid in the outer `/proc` belongs to another process inside.
            let kind = SentinelKind::SessionLeader;
            let sentinel = Sentinel::with_pid(&env, inside, kind, before[0]);
            fs::remove_dir_all(env.of(SESSION, "")).expect("the session can be removed");
            let script = match proc {
                // The container's user cannot unmount an outer mount, but can cover the mount.
                "not mounted" => "mount -t tmpfs tmpfs /proc",
                _ => "umount -l /proc",
            };
            let mut command = inside.command(&env, "sh");
            command.args(["-c", script]);
            let reply = Launcher::start(command).finish();
            assert_eq!(reply.code, Some(0), "{script}: {reply}");
            let args = [&["up", SESSION][..], &SHORT, &["--", &rekindle, "worker"]].concat();
            let reply = inside.rekindle(&env, args);
            let told = format!("{account:?}, /proc is {proc}: {reply}");
            assert_eq!(workers(&env), before, "{told}");
            for end in [&["stop", SESSION][..], &["stop", "--all"]] {
                let reply = inside.rekindle(&env, [end, &SHORT[2..]].concat());
                sentinel.assert_untouched(&format!("{account:?}, /proc is {proc}: {reply}"));
            }
            // Without `/proc` the owner of `/` is unknown in a user namespace, so the state directory is refused.
            assert_eq!(reply.code, Some(3), "{told}");
            assert!(["worker-unknown", "state-dir-untrusted"].contains(&reply.text("reason")), "{told}");
        }
    }
}

/// A program that ordinary users may not inspect, although they own the process.
fn agent(socket: &str) -> Vec<String> {
    let agent = programs::find("ssh-agent", "openssh-client");
    [agent.as_str(), "-D", "-a", socket].map(str::to_owned).to_vec()
}

/// U19: a search with unreadable places proves no absence.
fn a_worker_that_cannot_be_looked_into_is_not_doubled() {
    let removals: [(&str, Take); 2] = [
        ("the session", |env| fs::remove_dir_all(env.of(SESSION, "")).expect("it can be removed")),
        ("the state directory", |env| fs::remove_dir_all(env.state()).expect("it can be removed")),
    ];
    for (removed, take) in removals {
        let env = TestEnv::owned_by(Account::unprivileged());
        let command = agent("{socket}");
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let worker = env.up(SESSION, &command).expect_running("started").pid();
        take(&env);
        let reply = env.up_with(SESSION, &SHORT, &command);
        let told = format!("{removed} was removed: {reply}");
        let agents = || {
            let all = env.processes().into_iter();
            all.filter(|pid| procs::command_line(*pid).contains("ssh-agent")).collect::<Vec<_>>()
        };
        assert_eq!(agents(), [worker], "{told}");
        assert_eq!((reply.code, reply.text("reason")), (Some(3), "worker-unknown"), "{told}");
        assert!(reply.text("next").contains("rekindle "), "{told}");
        assert_names_no_other_place(&reply, &told);
        kill(worker);
        let reply = env.up(SESSION, &command);
        assert_eq!((reply.code, reply.text("outcome")), (Some(0), "started"), "{removed}: {reply}");
    }
}

/// An agent that is no worker.
fn unrelated_agent(env: &TestEnv) -> Launcher {
    let socket = env.path("agent");
    let words = agent(&socket.display().to_string());
    let mut command = env.command(&words[0]);
    command.args(&words[1..]);
    let agent = Launcher::start(command);
    wait::until_there(&socket);
    agent
}

/// U19: an unrelated agent of the user, older or younger than the state directory.
fn an_unrelated_agent_is_no_obstacle() {
    for older in [true, false] {
        let env = TestEnv::owned_by(Account::unprivileged());
        let rekindle = env.binary_arg();
        if !older {
            env.up("other", &[&rekindle, "worker"]).expect_running("started");
        }
        let unrelated = unrelated_agent(&env);
        let reply = up(&env);
        let told = format!("older than the state directory: {older}: {reply}");
        assert_eq!((reply.code, reply.text("outcome")), (Some(0), "started"), "{told}");
        // Stopped, collected and started again, the session behaves as before.
        env.stop(SESSION).expect(0, "stopped");
        let reply = up(&env);
        assert_eq!((reply.code, reply.text("outcome")), (Some(0), "started"), "{told}, then {reply}");
        env.stop(SESSION).expect(0, "stopped");
        env.rekindle(["gc"]);
        let reply = up(&env);
        assert_eq!((reply.code, reply.text("outcome")), (Some(0), "started"), "{told}, then {reply}");
        env.stop(SESSION).expect(0, "stopped");
        assert!(procs::is_running(unrelated.pid()), "it is nobody's to end");
    }
}

/// Takes a lock as shell scripts do: by a program that ends, on a descriptor that stays. Argument: the file.
const LOCK: &str = r#"exec 9>"$0"; flock 9; : >"$0.held"; sleep 1000"#;

/// A lock of root; the locking process has ended. An ordinary user sees the lock in the kernel's table, but not the
/// keeper.
fn lock_of_another_user(env: &TestEnv) -> Launcher {
    let file = env.path("lock");
    let mut command = env.command("sh");
    command.args(["-c", LOCK]).arg(&file);
    let keeper = Launcher::start(command);
    wait::until_there(&env.path("lock.held"));
    keeper
}

/// A first start, and starts after a stop and after a collection.
#[track_caller]
fn assert_starts(env: &TestEnv, told: &str) {
    for after in [&[][..], &["stop"], &["stop", "gc"]] {
        for verb in after {
            let args = if *verb == "stop" { vec!["stop", SESSION] } else { vec![*verb] };
            env.rekindle(args);
        }
        let reply = up(env);
        assert_eq!(
            (reply.code, reply.text("outcome")),
            (Some(0), "started"),
            "{told}, after {after:?}: {reply}"
        );
    }
}

/// U19: each of the two alone proves nothing, and neither do both together.
fn an_agent_beside_another_users_lock_is_no_obstacle(_root: Root) {
    let (env, root) = (TestEnv::owned_by(Account::Ordinary), TestEnv::new());
    let keeper = lock_of_another_user(&root);
    let agent = unrelated_agent(&env);
    assert_starts(&env, "beside an agent and a lock of root's");
    assert!(procs::is_running(agent.pid()) && procs::is_running(keeper.pid()), "they are nobody's to end");
}

/// Has a child, and never waits for the child.
const NO_PARENT: &str = "import os, signal\nif os.fork() == 0: os._exit(0)\nsignal.pause()";

/// U19: a zombie holds nothing, although it cannot be inspected.
fn a_zombie_beside_another_users_lock_is_no_obstacle(_root: Root) {
    let (env, root) = (TestEnv::owned_by(Account::Ordinary), TestEnv::new());
    let _keeper = lock_of_another_user(&root);
    let mut command = env.command(programs::python());
    command.args(["-c", NO_PARENT]);
    let parent = Launcher::start(command);
    let is_zombie = |pid: &Pid| procs::parent(*pid) == Some(parent.pid()) && procs::state(*pid) == Some('Z');
    wait::until("there is a zombie", || procs::others().iter().any(is_zombie));
    assert_starts(&env, "beside a zombie and a lock of root's");
}
