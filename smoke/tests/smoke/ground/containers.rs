//! A container started over and over on one volume: new pid and mount namespaces, an old state directory, one boot.

use nix::sys::signal::Signal;
use rekindle_smoke::procs::{self, Pid};
use rekindle_smoke::programs::{self, INHERITING_ECHO_SERVER};
use rekindle_smoke::{
    Account, Container, Launcher, Place, Reply, Sentinel, SentinelKind, TestEnv, tests, wait,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};

tests![
    a_restarted_container_gets_its_redis_back needs Namespaces,
    a_restarted_container_gets_back_workers_of_every_readiness needs Namespaces,
    a_restarted_container_gets_its_daemon_back needs Namespaces,
    a_container_killed_while_its_worker_came_up_is_no_obstacle needs Namespaces,
    a_container_killed_at_any_step_of_a_start_is_no_obstacle needs Namespaces,
    a_namespace_with_the_number_of_an_old_one_proves_nothing_else needs Namespaces,
    what_cannot_be_proved_is_refused_and_forgotten_by_hand needs Namespaces,
    forgetting_a_worker_that_lives_is_refused needs Namespaces,
];

const SESSION: &str = "s";

/// How often a container is restarted.
const RESTARTS: usize = 5;

/// A worker, and the options of its start.
#[derive(Debug)]
struct Worker {
    options: Vec<String>,
    command: Vec<String>,
}

impl Worker {
    fn new(options: &[&str], command: &[&str]) -> Self {
        let owned = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect();
        Self { options: owned(options), command: owned(command) }
    }

    /// redis, without any knowledge of rekindle.
    fn redis(options: &[&str], more: &[&str]) -> Self {
        let redis = programs::find("redis-server", "redis-server");
        let command = [redis.as_str(), "--port", "0", "--unixsocket", "{socket}", "--save", ""];
        Self::new(options, &[&command, more].concat())
    }

    fn up_args(&self) -> Vec<String> {
        let up = ["up", "--timeout", "20s"].map(str::to_owned);
        let session = [SESSION, "--"].map(str::to_owned);
        [&up[..], &self.options, &session, &self.command].concat()
    }
}

/// A worker for each kind of readiness.
fn of_every_readiness(env: &TestEnv) -> Vec<Worker> {
    let (rekindle, python) = (env.binary_arg(), programs::python());
    vec![
        Worker::redis(&["--ready", "connect"], &[]),
        Worker::new(&["--ready", "handshake", "--speak", "1"], &[&rekindle, "worker", "--protocol", "pool"]),
        Worker::redis(&["--ready", "notify"], &["--supervised", "systemd"]),
        Worker::new(&["--ready", "listen"], &[&python, "-c", INHERITING_ECHO_SERVER]),
    ]
}

/// The worker of an `up` in `container` runs, and no other worker runs there.
#[track_caller]
fn assert_runs_in(container: &Container, reply: &Reply) {
    let all = procs::others();
    let is_it = |it: &&Pid| procs::namespace(**it, "pid") == Some(container.pid_namespace());
    let mut inside = all.iter().filter(is_it).filter(|it| procs::is_running(**it));
    assert!(
        inside.any(|it| procs::innermost_pid(*it) == Some(reply.pid())),
        "its worker does not run: {reply}"
    );
}

/// Starts `worker` in one container after the other; each container is killed together with the worker.
fn restart_over_and_over(account: Account, worker: impl Fn(&TestEnv) -> Worker) {
    let env = TestEnv::owned_by(account);
    let worker = worker(&env);
    // Each container has a new namespace number; another test covers a repeated number.
    let mut namespaces = Vec::new();
    for round in 1..=RESTARTS {
        let container = Container::start(&env);
        namespaces.push(container.hold_namespace());
        let reply = container.rekindle(&env, worker.up_args());
        assert_eq!(
            (reply.code, reply.text("outcome")),
            (Some(0), "started"),
            "{account:?}, container {round}, {worker:?}: {reply}"
        );
        assert_runs_in(&container, &reply);
        container.kill();
        env.assert_no_process();
    }
}

/// U2, L7.
fn a_restarted_container_gets_its_redis_back() {
    for account in Account::all() {
        restart_over_and_over(account, |_| Worker::redis(&[], &[]));
    }
}

/// U2.
fn a_restarted_container_gets_back_workers_of_every_readiness() {
    for kind in 0..4 {
        restart_over_and_over(Account::Ours, |env| {
            of_every_readiness(env).into_iter().nth(kind).expect("there are four")
        });
    }
}

/// U2: the marker names a holder that cannot be looked up any more; the lock beside the marker is free.
fn a_restarted_container_gets_its_daemon_back() {
    for account in Account::all() {
        let env = TestEnv::owned_by(account);
        let marker = env.path("daemon.lock");
        let mut namespaces = Vec::new();
        for round in 1..=RESTARTS {
            let container = Container::start(&env);
            let began = env.path(&format!("began{round}"));
            let script = r#": >"$0"; exec sleep 1000"#;
            let mut command = container.rekindle_command(&env, ["lifecycle", "acquire", "--path"]);
            command.arg(&marker).args(["--", "sh", "-c", script]).arg(&began);
            let holder = Launcher::start(command);
            wait::until("the daemon runs, or was refused", || {
                began.exists() || !procs::is_running(holder.pid())
            });
            if !began.exists() {
                panic!("{account:?}, container {round}: {}", holder.finish());
            }
            let payload: Value = serde_json::from_slice(&fs::read(&marker).expect("there is a marker"))
                .expect("a marker is JSON");
            assert_eq!(payload["pid_namespace"], container.pid_namespace(), "it names its holder: {payload}");
            namespaces.push(container.hold_namespace());
            container.kill();
            drop(holder);
        }
        let left = env.rekindle(["lifecycle", "status", "--path", &marker.display().to_string()]);
        assert_ne!(left.json["status"], "held", "nobody holds it: {left}");
    }
}

/// U2: the record says `starting`, and the mark names the holder of the lifeline.
fn a_container_killed_while_its_worker_came_up_is_no_obstacle() {
    for account in Account::all() {
        let env = TestEnv::owned_by(account);
        let mut namespaces = Vec::new();
        for round in 1..=RESTARTS {
            let container = Container::start(&env);
            namespaces.push(container.hold_namespace());
            let started = |env: &TestEnv| {
                let record = fs::read(env.of(SESSION, "session.json")).ok()?;
                let record: Value = serde_json::from_slice(&record).ok()?;
                let namespace = record["worker"]["pid_namespace"].as_u64();
                (namespace == Some(container.pid_namespace())).then_some(())
            };
            let silent = container.rekindle_command(&env, ["up", SESSION, "--", "sleep", "1000"]);
            let silent = Launcher::start(silent);
            wait::until("the silent worker is started, or was refused", || {
                started(&env).is_some() || !procs::is_running(silent.pid())
            });
            if started(&env).is_none() {
                panic!("{account:?}, container {round}: {}", silent.finish());
            }
            container.kill();
            drop(silent);
        }
        let container = Container::start(&env);
        let reply = container.rekindle(&env, Worker::redis(&[], &[]).up_args());
        assert_eq!((reply.code, reply.text("outcome")), (Some(0), "started"), "{account:?}: {reply}");
        assert_runs_in(&container, &reply);
    }
}

/// The number of system calls at which a launcher is killed.
const KILLS: usize = 24;

/// The system calls of an `up` that starts a worker, in order, each numbered among calls with the same name.
fn calls_of_a_start(worker: &Worker) -> Vec<(String, usize)> {
    let env = TestEnv::new();
    let container = Container::start(&env);
    let trace = env.path("trace");
    let options = ["-o", trace.to_str().expect("a test environment's path is UTF-8")];
    Launcher::start(Place::Inside(&container).traced(&env, &options, worker.up_args()))
        .finish()
        .expect(0, "started");
    let mut counts = BTreeMap::new();
    let text = fs::read_to_string(&trace).expect("strace writes it");
    let name = |line: &str| Some(line.split_once('(')?.0.to_owned()).filter(|name| is_name(name));
    let numbered = text.lines().filter_map(name).map(|name| {
        let count = counts.entry(name.clone()).or_insert(0);
        *count += 1;
        (name, *count)
    });
    numbered.collect()
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// U2: the launcher and its container die at any step; the steps are evenly chosen, from the first call to the last.
fn a_container_killed_at_any_step_of_a_start_is_no_obstacle() {
    let worker = {
        let env = TestEnv::new();
        Worker::new(&[], &[&env.binary_arg(), "worker"])
    };
    let calls = calls_of_a_start(&worker);
    assert!(calls.len() > KILLS, "a start takes more than {} calls", calls.len());
    for number in 0..KILLS {
        let (name, nth) = &calls[number * (calls.len() - 1) / (KILLS - 1)];
        let env = TestEnv::new();
        let container = Container::start(&env);
        let kill = format!("inject={name}:signal=KILL:when={nth}");
        let options = ["-o", "/dev/null", "-e", &kill];
        Launcher::start(Place::Inside(&container).traced(&env, &options, worker.up_args())).finish();
        let _namespace = container.hold_namespace();
        container.kill();
        let container = Container::start(&env);
        let reply = container.rekindle(&env, worker.up_args());
        let what = format!("the launcher was killed at {name} number {nth}");
        assert_eq!((reply.code, reply.text("outcome")), (Some(0), "started"), "{what}: {reply}");
        assert_runs_in(&container, &reply);
    }
}

/// Sets the pid namespace in every identity of a session.
fn move_to_namespace(env: &TestEnv, namespace: u64) {
    let rename = |identity: &mut Value| {
        if identity.is_object() {
            identity["pid_namespace"] = namespace.into();
        }
    };
    env.edit(SESSION, "session.json", |record| {
        for role in ["worker", "peer", "launcher"] {
            rename(&mut record[role]);
        }
    });
    env.edit(SESSION, "lifeline", rename);
    if env.of(SESSION, "claim").exists() {
        env.edit(SESSION, "claim", rename);
    }
}

/// U2: the kernel reuses the number of an ended namespace. Another process has the pid there.
fn a_namespace_with_the_number_of_an_old_one_proves_nothing_else() {
    for kind in SentinelKind::ALL {
        for command in [&["worker"][..], &[]] {
            let env = TestEnv::new();
            let container = Container::start(&env);
            let rekindle = env.binary_arg();
            let is_silent = command.is_empty();
            if is_silent {
                // The launcher never sees the worker ready.
                let args = ["up", SESSION, "--", "sleep", "1000"];
                let silent = Launcher::start(container.rekindle_command(&env, args));
                wait::until("the silent worker is written down", || {
                    let path = env.of(SESSION, "session.json");
                    path.exists() && !env.record(SESSION)["worker"].is_null()
                });
                container.kill();
                drop(silent);
            } else {
                let args = [&["up", SESSION, "--", &rekindle][..], command].concat();
                container.rekindle(&env, args).expect(0, "started");
                container.kill();
            }
            let pid = env.record(SESSION)["worker"]["pid"].as_i64().and_then(|pid| Pid::try_from(pid).ok());
            let container = Container::start(&env);
            move_to_namespace(&env, container.pid_namespace());
            let pid = pid.expect("a record names its worker");
            let sentinel = Sentinel::with_pid(&env, Place::Inside(&container), kind, pid);
            let reply = container.rekindle(&env, Worker::new(&[], &[&rekindle, "worker"]).up_args());
            sentinel.assert_untouched(&reply.to_string());
            assert_eq!(
                (reply.code, reply.text("outcome")),
                (Some(0), "started"),
                "silent {is_silent}: {reply}"
            );
            let reply = container.rekindle(&env, ["stop", SESSION]);
            sentinel.assert_untouched(&reply.to_string());
            assert_eq!(reply.code, Some(0), "{reply}");
        }
    }
}

/// Recorded histories of the lifeline that prove nothing.
const NO_PROOF: [Option<Value>; 2] = [None, Some(Value::Bool(false))];

/// A session whose worker died with its container, without a record that its lifeline had been held.
///
/// The pid namespace stays open: if the next container had its number, the dead pid would be proof enough.
fn unproved_session(env: &TestEnv, proof: Option<&Value>) -> File {
    let container = Container::start(env);
    let up = Worker::new(&[], &[&env.binary_arg(), "worker"]).up_args();
    container.rekindle(env, up).expect(0, "started");
    let namespace = container.hold_namespace();
    container.kill();
    env.edit(SESSION, "session.json", |record| match proof {
        Some(proof) => record["lifeline_held_when_ready"] = proof.clone(),
        None => {
            record.as_object_mut().expect("a record is an object").remove("lifeline_held_when_ready");
        }
    });
    namespace
}

/// U2: such a session is cleared by hand, by the command in the refusal.
fn what_cannot_be_proved_is_refused_and_forgotten_by_hand() {
    for account in Account::all() {
        for proof in NO_PROOF {
            let env = TestEnv::owned_by(account);
            let _namespace = unproved_session(&env, proof.as_ref());
            let pid = env.record(SESSION)["worker"]["pid"].as_i64().expect("a record names its worker");
            let container = Container::start(&env);
            let kind = SentinelKind::SessionLeader;
            let pid = Pid::try_from(pid).expect("a pid is an i32");
            let sentinel = Sentinel::with_pid(&env, Place::Inside(&container), kind, pid);
            let worker = Worker::new(&[], &[&env.binary_arg(), "worker"]);
            let refused = container.rekindle(&env, worker.up_args()).expect_rejected("worker-unknown");
            sentinel.assert_untouched(&refused.to_string());
            let next = refused.text("next");
            assert!(next.contains("unlock"), "{refused}");
            assert!(next.contains("--forget") && next.contains(SESSION), "{refused}");
            let forgotten = container.rekindle(&env, ["unlock", SESSION, "--forget"]);
            sentinel.assert_untouched(&forgotten.to_string());
            assert_eq!(forgotten.code, Some(0), "{forgotten}");
            let said = format!("{}{}", forgotten.stdout, forgotten.stderr);
            assert!(said.contains("prove") || said.contains("proof"), "what it could not prove: {forgotten}");
            let reply = container.rekindle(&env, worker.up_args()).expect(0, "started");
            assert_runs_in(&container, &reply);
            sentinel.assert_untouched(&reply.to_string());
        }
    }
}

/// Forgetting is for unjudged workers: a worker with a held lifeline is neither forgotten nor started twice.
fn forgetting_a_worker_that_lives_is_refused() {
    let env = TestEnv::new();
    let container = Container::start(&env);
    let up = Worker::new(&[], &[&env.binary_arg(), "worker"]).up_args();
    container.rekindle(&env, up.clone()).expect(0, "started");
    let worker = |env: &TestEnv| {
        let line = format!("{} worker", env.binary_arg());
        let all = env.processes().into_iter();
        all.filter(|pid| procs::command_line(*pid) == line).collect::<Vec<_>>()
    };
    let before = worker(&env);
    assert_eq!(before.len(), 1);
    let sibling = Container::start(&env);
    for place in [Place::Outside, Place::Inside(&container), Place::Inside(&sibling)] {
        let reply = place.rekindle(&env, ["unlock", SESSION, "--forget"]);
        assert_eq!(reply.code, Some(3), "{reply}");
        let up = place.rekindle(&env, up.clone());
        assert_ne!(up.text("outcome"), "started", "after {reply}: {up}");
        assert_eq!(worker(&env), before, "after {reply}: {up}");
    }
    procs::send(before[0], Signal::SIGKILL);
}
