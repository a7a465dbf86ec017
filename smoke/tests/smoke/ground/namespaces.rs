//! Two pid namespaces over one state directory: a pid recorded in one namespace belongs to another process in the
//! other.
//!
//! Each case starts a worker in one place, writes the pid of a sentinel of another place into the worker's record, mark
//! and claim, and runs commands in the other place. Only the pid namespace tells the two processes apart.

use nix::sys::signal::Signal;
use rekindle_smoke::procs::{self, Pid};
use rekindle_smoke::{
    Account, Container, Launcher, Place, Reply, Root, Sentinel, SentinelKind, TestEnv, tests, wait,
};
use serde_json::{Value, json};
use std::fmt;
use std::fs;

tests![
    a_worker_inside_is_not_mistaken_outside needs Namespaces,
    a_worker_outside_is_not_mistaken_inside needs Namespaces,
    a_worker_of_a_sibling_is_not_mistaken needs Namespaces,
    a_plain_process_is_not_mistaken needs Namespaces,
    an_ordinary_user_mistakes_nobody_either needs TwoUsers,
    an_identity_without_a_clock_is_not_believed needs Namespaces,
    a_pid_that_both_namespaces_gave_out_is_two_processes needs Namespaces,
    a_kernel_thread_is_neither_pinned_nor_signalled needs Namespaces,
    a_worker_that_is_seen_from_outside_is_stopped_from_outside needs Namespaces,
];

/// A name as the pool generates it.
const SESSION: &str = "p-1-0123456789abcdef";

/// Short graces, for workers that cannot be ended.
const SHORT: [&str; 4] = ["--term-grace", "200ms", "--kill-grace", "200ms"];

/// The program of a worker that never becomes ready.
const NEVER_READY: [&str; 2] = ["sleep", "1000"];

/// The place of the commands, and so the view of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    /// Outside of containers; the worker is in a container.
    Outside,
    /// In a container; the worker is outside.
    Inside,
    /// In a container; the worker is in another.
    Sibling,
}

impl View {
    const ALL: [Self; 3] = [Self::Outside, Self::Inside, Self::Sibling];
}

/// Whether the worker still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Alive,
    Dead,
}

/// The progress of a start when its launcher left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// The launcher was killed before the worker was ready.
    Begun,
    /// The launcher had seen the worker ready.
    Ready,
}

/// The clock recorded with the sentinel's pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    /// The sentinel's own start time: only the pid namespace is wrong.
    Matching,
    /// No start time.
    Absent,
    /// The sentinel's own start time, on the clock of another time namespace.
    OfAnotherNamespace,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    account: Account,
    view: View,
    life: Life,
    start: Start,
    sentinel: SentinelKind,
    clock: Clock,
}

/// A command of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Doctor,
    Ls,
    Show,
    Unlock,
    Resume,
    Up,
    Gc,
    Stop,
    StopAll,
    PoolShutdown,
}

/// Each line is tried in a fresh session, so no verb profits from an earlier verb.
type Lines = &'static [&'static [Verb]];

/// Every verb that may change files is the first of a line once.
const ALL_LINES: Lines = &[
    &[Verb::Doctor, Verb::Ls, Verb::Show, Verb::Unlock, Verb::Resume],
    &[Verb::Gc],
    &[Verb::Stop],
    &[Verb::StopAll],
    &[Verb::Up],
    &[Verb::PoolShutdown],
];

/// A shorter version for cases that differ in other respects.
const TWO_LINES: Lines = &[
    &[Verb::Doctor, Verb::Unlock, Verb::Stop, Verb::PoolShutdown],
    &[Verb::Ls, Verb::StopAll, Verb::Gc, Verb::Resume],
];

impl Verb {
    fn args(self, env: &TestEnv) -> Vec<String> {
        let up = ["up", "--timeout", "300ms"];
        let worker = [SESSION, "--", &env.binary_arg(), "worker"];
        let words = match self {
            Self::Doctor => vec!["doctor", SESSION],
            Self::Ls => vec!["ls"],
            Self::Show => vec!["show", SESSION],
            Self::Unlock => vec!["unlock", SESSION, "--force"],
            Self::Resume => [&up, &SHORT[..], &["--intent", "resume"], &worker].concat(),
            Self::Up => [&up, &SHORT[..], &worker].concat(),
            Self::Gc => vec!["gc"],
            Self::Stop => [&["stop", SESSION], &SHORT[..]].concat(),
            Self::StopAll => [&["stop", "--all"], &SHORT[..]].concat(),
            Self::PoolShutdown => [&["pool", "shutdown", SESSION], &SHORT[..]].concat(),
        };
        words.into_iter().map(str::to_owned).collect()
    }
}

/// A session whose record names a sentinel, seen from the sentinel's place.
struct Stage<'c> {
    case: Case,
    env: &'c TestEnv,
    worker_at: Place<'c>,
    commands_at: Place<'c>,
    worker: Pid,
    sentinel: Sentinel,
}

impl fmt::Display for Stage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = fs::read_to_string(self.env.of(SESSION, "session.json")).unwrap_or_default();
        write!(f, "{:?}; the record now: {record}", self.case)
    }
}

/// Prepares a case and calls `act`.
fn on_stage(case: Case, act: impl FnOnce(&Stage<'_>)) {
    let env = TestEnv::owned_by(case.account);
    let (one, another) = (Container::start(&env), Container::start(&env));
    let (worker_at, commands_at) = match case.view {
        View::Outside => (Place::Inside(&one), Place::Outside),
        View::Inside => (Place::Outside, Place::Inside(&one)),
        View::Sibling => (Place::Inside(&one), Place::Inside(&another)),
    };
    let worker = match case.start {
        Start::Ready => ready_worker(&env, worker_at),
        Start::Begun => half_started_worker(&env, worker_at),
    };
    if case.life == Life::Dead {
        procs::send(worker, Signal::SIGKILL);
        wait::until("the worker is gone", || !procs::is_running(worker));
    }
    let sentinel = Sentinel::start(&env, commands_at, case.sentinel);
    name_it_in_every_file(&env, &sentinel, case.clock);
    act(&Stage { case, env: &env, worker_at, commands_at, worker, sentinel });
}

/// Whether a command line belongs to `rekindle up`, or to the program that enters a container for `rekindle up`.
fn is_launcher(line: &str) -> bool {
    line.contains(&format!(" up {SESSION} "))
}

/// The workers of a test environment, however started, by their pids outside.
fn workers(env: &TestEnv) -> Vec<Pid> {
    let programs = [format!("{} worker", env.binary_arg()), NEVER_READY.join(" ")];
    // The launcher's command line ends with the same words.
    let is_worker = |pid: &Pid| {
        let line = procs::command_line(*pid);
        !is_launcher(&line) && programs.iter().any(|it| line.ends_with(it))
    };
    env.processes().into_iter().filter(is_worker).collect()
}

fn the_worker(env: &TestEnv) -> Pid {
    wait::for_some("the worker runs its program", || workers(env).first().copied())
}

fn ready_worker(env: &TestEnv, place: Place<'_>) -> Pid {
    place.rekindle(env, ["up", SESSION, "--", &env.binary_arg(), "worker"]).expect(0, "started");
    join_the_pool(env);
    the_worker(env)
}

/// Makes the session one of the pool, so that `pool shutdown` accepts the session like every other verb.
fn join_the_pool(env: &TestEnv) {
    env.edit(SESSION, "session.json", |record| record["plan"]["role"] = "pool-worker".into());
}

/// A worker that never becomes ready, with a killed launcher: the claim is left, and the record says `starting`.
fn half_started_worker(env: &TestEnv, place: Place<'_>) -> Pid {
    let args = [&["up", SESSION, "--"][..], &NEVER_READY].concat();
    let launcher = Launcher::start(place.rekindle_command(env, args));
    let is_written = || env.of(SESSION, "session.json").exists() && !env.record(SESSION)["worker"].is_null();
    wait::until("the worker is written down, or was refused", || {
        is_written() || !procs::is_running(launcher.pid())
    });
    if !is_written() {
        panic!("there is no worker: {}", launcher.finish());
    }
    let worker = the_worker(env);
    let is_up = |pid: &Pid| is_launcher(&procs::command_line(*pid));
    let ups = || env.processes().into_iter().filter(is_up);
    ups().for_each(|pid| procs::send(pid, Signal::SIGKILL));
    drop(launcher);
    wait::until("its launcher is gone", || ups().count() == 0);
    join_the_pool(env);
    worker
}

/// Writes the sentinel's pid into every pid field, and leaves the pid namespace unchanged.
fn name_it_in_every_file(env: &TestEnv, sentinel: &Sentinel, clock: Clock) {
    let rename = |identity: &mut Value| {
        if identity.is_null() {
            return;
        }
        identity["pid"] = sentinel.pid().into();
        identity["start_time"] = sentinel.start_time().into();
        match clock {
            Clock::Matching => {}
            Clock::Absent => {
                identity.as_object_mut().expect("an identity is an object").remove("start_time");
            }
            Clock::OfAnotherNamespace => {
                let namespace = identity["time_namespace"].as_u64().unwrap_or_default();
                identity["time_namespace"] = (namespace + 1).into();
            }
        }
    };
    env.edit(SESSION, "session.json", |record| {
        rename(&mut record["worker"]);
        rename(&mut record["peer"]);
    });
    env.edit(SESSION, "lifeline", rename);
    if env.of(SESSION, "claim").exists() {
        env.edit(SESSION, "claim", rename);
    }
}

impl Stage<'_> {
    fn worker_lives(&self) -> bool {
        procs::is_running(self.worker)
    }

    /// Whether a stop may reach the worker from the commands' place: as the holder of the lifeline.
    fn worker_can_be_signalled(&self) -> bool {
        self.worker_lives() && self.commands_at.sees(self.worker_at)
    }

    fn run(&self, verb: Verb) -> Reply {
        let could_be_signalled = self.worker_can_be_signalled();
        let lived = self.worker_lives();
        let reply = self.commands_at.rekindle(self.env, verb.args(self.env));
        let told = format!("{verb:?} answered {reply}\n  case: {self}");
        self.sentinel.assert_untouched(&told);
        assert!(reply.code.is_some_and(|code| code <= 6), "it has no outcome: {told}");
        assert!(!reply.stderr.contains("panicked"), "{told}");
        if !could_be_signalled {
            self.assert_harmless_advice(&reply, &told);
        }
        if lived && self.worker_lives() {
            assert_eq!(workers(self.env), [self.worker], "a second worker runs: {told}");
        }
        if lived && !could_be_signalled {
            assert!(self.worker_lives(), "the worker ended though nobody here can see it: {told}");
        }
        reply
    }

    /// The advice never signals the process with the same pid here.
    #[track_caller]
    fn assert_harmless_advice(&self, reply: &Reply, told: &str) {
        let next = reply.text("next");
        for signalling in ["stop", "shutdown", "kill", "restart"] {
            let is_named = next.split(|c: char| !c.is_alphanumeric()).any(|word| word == signalling);
            assert!(!is_named, "`next` names a command that signals: {told}");
        }
    }
}

/// Every line of verbs on every kind of session, from `view`.
fn on_every_session(account: Account, view: View, sentinel: SentinelKind, lines: Lines) {
    for life in [Life::Alive, Life::Dead] {
        for start in [Start::Begun, Start::Ready] {
            let case = Case { account, view, life, start, sentinel, clock: Clock::Matching };
            for line in lines {
                on_stage(case, |stage| line.iter().for_each(|verb| drop(stage.run(*verb))));
            }
        }
    }
}

/// U1.
fn a_worker_inside_is_not_mistaken_outside() {
    on_every_session(Account::Ours, View::Outside, SentinelKind::SessionLeader, ALL_LINES);
}

/// U1.
fn a_worker_outside_is_not_mistaken_inside() {
    on_every_session(Account::Ours, View::Inside, SentinelKind::SessionLeader, ALL_LINES);
}

/// U1.
fn a_worker_of_a_sibling_is_not_mistaken() {
    on_every_session(Account::Ours, View::Sibling, SentinelKind::SessionLeader, ALL_LINES);
}

/// U1: a process that leads no process session is not mistaken for a worker either.
fn a_plain_process_is_not_mistaken() {
    for view in View::ALL {
        on_every_session(Account::Ours, view, SentinelKind::Plain, TWO_LINES);
    }
}

/// U1.
fn an_ordinary_user_mistakes_nobody_either(_root: Root) {
    for view in View::ALL {
        on_every_session(Account::Ordinary, view, SentinelKind::SessionLeader, TWO_LINES);
    }
}

/// U1, L6: without a start time, and with a start time of another time namespace.
fn an_identity_without_a_clock_is_not_believed() {
    for life in [Life::Alive, Life::Dead] {
        for clock in [Clock::Absent, Clock::OfAnotherNamespace] {
            let case = Case {
                account: Account::Ours,
                view: View::Outside,
                life,
                start: Start::Ready,
                sentinel: SentinelKind::SessionLeader,
                clock,
            };
            for line in TWO_LINES {
                on_stage(case, |stage| line.iter().for_each(|verb| drop(stage.run(*verb))));
                on_stage(case, |stage| {
                    forget_the_namespace(stage.env);
                    line.iter().for_each(|verb| drop(stage.run(*verb)));
                });
            }
        }
    }
}

/// Another program's identity: a pid and little else.
fn forget_the_namespace(env: &TestEnv) {
    let forget = |identity: &mut Value| {
        if let Some(identity) = identity.as_object_mut() {
            identity.remove("pid_namespace");
        }
    };
    env.edit(SESSION, "session.json", |record| {
        forget(&mut record["worker"]);
        forget(&mut record["peer"]);
    });
    env.edit(SESSION, "lifeline", forget);
}

/// U1: no file is edited here; the sibling's kernel gives the same pid to another process.
fn a_pid_that_both_namespaces_gave_out_is_two_processes() {
    for life in [Life::Alive, Life::Dead] {
        for line in ALL_LINES {
            let env = TestEnv::new();
            let (one, another) = (Container::start(&env), Container::start(&env));
            let (worker_at, commands_at) = (Place::Inside(&one), Place::Inside(&another));
            let worker = ready_worker(&env, worker_at);
            let inside = procs::innermost_pid(worker).expect("the worker runs");
            // A pid beyond those of a container's first processes.
            assert_eq!(env.record(SESSION)["worker"]["pid"], inside);
            if life == Life::Dead {
                procs::send(worker, Signal::SIGKILL);
                wait::until("the worker is gone", || !procs::is_running(worker));
            }
            let kind = SentinelKind::SessionLeader;
            let sentinel = Sentinel::with_pid(&env, commands_at, kind, inside);
            let case = Case {
                account: Account::Ours,
                view: View::Sibling,
                life,
                start: Start::Ready,
                sentinel: kind,
                clock: Clock::Matching,
            };
            let stage = Stage { case, env: &env, worker_at, commands_at, worker, sentinel };
            line.iter().for_each(|verb| drop(stage.run(*verb)));
        }
    }
}

/// The parent of the kernel's threads.
const KERNEL_THREAD: Pid = 2;

/// U1: a kernel thread receives no signal, so the calls are examined.
fn a_kernel_thread_is_neither_pinned_nor_signalled() {
    let start_time = procs::start_time(KERNEL_THREAD).expect("the kernel has threads");
    for life in [Life::Alive, Life::Dead] {
        for start in [Start::Begun, Start::Ready] {
            let case = Case {
                account: Account::Ours,
                view: View::Outside,
                life,
                start,
                sentinel: SentinelKind::Plain,
                clock: Clock::Matching,
            };
            for verb in [Verb::Gc, Verb::Stop, Verb::StopAll, Verb::Up] {
                on_stage(case, |stage| {
                    let rename = |identity: &mut Value| {
                        if !identity.is_null() {
                            identity["pid"] = KERNEL_THREAD.into();
                            identity["start_time"] = start_time.into();
                        }
                    };
                    stage.env.edit(SESSION, "session.json", |record| {
                        rename(&mut record["worker"]);
                        rename(&mut record["peer"]);
                    });
                    stage.env.edit(SESSION, "lifeline", rename);
                    let trace = stage.env.path("trace");
                    let trace = trace.to_str().expect("a test environment's path is UTF-8");
                    let calls = "trace=kill,tkill,tgkill,pidfd_open,pidfd_send_signal";
                    // Threads are followed, but no worker: a worker would be traced for its whole life.
                    let follow: &[&str] = if verb == Verb::Up { &[] } else { &["-f"] };
                    let options = [follow, &["-o", trace, "-e", calls]].concat();
                    let args = verb.args(stage.env);
                    Launcher::start(stage.commands_at.traced(stage.env, &options, args)).finish();
                    let text = fs::read_to_string(trace).expect("strace writes it");
                    let wrong: Vec<&str> = text.lines().filter(|line| touches_kernel_thread(line)).collect();
                    assert!(wrong.is_empty(), "{verb:?}: {wrong:?}; {stage}");
                });
            }
        }
    }
}

/// Whether a traced call pins the kernel thread, or sends the thread or its group more than signal 0.
fn touches_kernel_thread(line: &str) -> bool {
    let names = |call: &str, pid: &str| {
        line.split_once(&format!("{call}({pid}, ")).is_some_and(|(_, rest)| !rest.starts_with("0)"))
    };
    line.contains(&format!("pidfd_open({KERNEL_THREAD},"))
        || ["kill", "tkill"].iter().any(|call| names(call, &KERNEL_THREAD.to_string()))
        || names("kill", &format!("-{KERNEL_THREAD}"))
        || names("kill", "0")
        || line.contains(&format!("tgkill({KERNEL_THREAD},"))
}

/// U1: a stop still ends the right workers: those with a held lifeline visible from the stop's place.
fn a_worker_that_is_seen_from_outside_is_stopped_from_outside() {
    for account in Account::all() {
        for args in [&["stop", SESSION][..], &["stop", "--all"], &["pool", "shutdown", SESSION]] {
            let env = TestEnv::owned_by(account);
            let container = Container::start(&env);
            let worker = ready_worker(&env, Place::Inside(&container));
            let listed = env.rekindle(["ls"]);
            assert_eq!(listed.json["sessions"][0]["state"], json!("live"), "{listed}");
            let reply = env.rekindle(args);
            assert_eq!(reply.code, Some(0), "{account:?} {args:?}: {reply}");
            assert!(!procs::is_running(worker), "{account:?} {args:?}: {reply}");
        }
    }
}
