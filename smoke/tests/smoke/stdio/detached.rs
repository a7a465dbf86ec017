//! Descendants with a process session of their own: daemons, browsers, `setsid`. None outlives the supervised program,
//! unless asked for.

use nix::sys::signal::Signal;
use rekindle::{StdioChild, StdioEnd, StopPolicy};
use rekindle_core::ChildExit;
use rekindle_smoke::children::{self, patient, prompt};
use rekindle_smoke::procs::Pid;
use rekindle_smoke::proxy::Proxy;
use rekindle_smoke::{TestEnv, cli, procs, programs, tests, wait};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

tests![
    a_detached_descendant_is_ended_with_its_ancestor,
    a_detached_descendant_is_ended_after_its_ancestor,
    a_detached_descendant_is_ended_with_its_supervisor,
    a_detached_descendant_that_ignores_sigterm_is_killed,
    descendants_that_are_born_during_the_end_are_ended,
    a_supervised_program_leaves_no_detached_descendant,
    orphans_are_reaped_while_the_child_runs,
    survivors_are_named_with_the_detached_ones,
    a_lost_guardian_is_said_to_leave_detached_descendants,
    what_is_to_be_left_is_left_and_named,
    what_is_to_be_left_is_left_by_a_supervisor_that_is_killed,
    a_worker_outlives_the_program_that_started_it,
];

/// No process.
const NOBODY: Vec<Pid> = Vec::new();
/// How often a supervisor is killed.
const KILLS: usize = 20;
/// The number of orphans made by a child.
const ORPHANS: usize = 50;

/// Forks twice, leads a process session, and closes every descriptor, as daemons do; its parent has gone by then.
const DAEMON: &str = "
import os, sys, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
os.closerange(0, 4096)
time.sleep(1000)
";

/// Sixteen processes that ignore SIGTERM, each replaced by a fork of itself within moments, again and again.
const FLEEING: &str = "
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(16):
    if not os.fork():
        os.setsid()
        os.write(1, b'ready\\n')
        while True:
            if os.fork():
                os._exit(0)
            time.sleep(0.001)
time.sleep(1000)
";

/// The ways in which descendants detach themselves: a shell script for each. In the end each has two processes in
/// process sessions of their own.
fn ways() -> [String; 4] {
    let python = programs::python();
    [
        // By one step, as `detached: true` of node does, below a living parent.
        "setsid sleep 1000 & setsid sleep 1000 & wait".to_owned(),
        // By a parent that has gone.
        "sh -c 'setsid sleep 1000 & setsid sleep 1000 &'; cat".to_owned(),
        // By a parent that leads a process session, with children in other sessions.
        "setsid sh -c 'setsid sleep 1000; true' & wait".to_owned(),
        // As daemons.
        format!("for i in 1 2; do {python} -c '{DAEMON}'; done; cat"),
    ]
}

/// The processes of the test environment in neither the guardian's process session nor ours.
fn detached(env: &TestEnv, guardian: Pid) -> Vec<Pid> {
    let ours = procs::session(std::process::id().try_into().expect("a pid is an i32"));
    let is_detached = |pid: &Pid| procs::session(*pid).is_some_and(|it| it != guardian && Some(it) != ours);
    env.processes().into_iter().filter(is_detached).collect()
}

fn await_two_detached(env: &TestEnv, guardian: Pid) {
    let sessions = || detached(env, guardian).into_iter().filter_map(procs::session).collect::<BTreeSet<_>>();
    wait::until("two sessions are there", || sessions().len() == 2);
}

/// Starts a child, and returns once two of its descendants are detached.
async fn with_two_detached(env: &TestEnv, script: &str) -> StdioChild {
    let child = children::spawn(env, &["sh", "-c", script]).await;
    await_two_detached(env, child.guardian_pid().as_raw());
    child
}

/// U5.
fn a_detached_descendant_is_ended_with_its_ancestor() {
    for script in ways() {
        let env = TestEnv::new();
        wait::run(async {
            let child = with_two_detached(&env, &script).await;
            let stopped = children::stop(&child, &patient()).await;
            assert_eq!(stopped.end, StdioEnd::Terminated, "{script}: {stopped:?}");
            assert_eq!((stopped.survivors, stopped.left), (vec![], vec![]), "{script}");
            assert_eq!(env.processes(), NOBODY, "{script}");
        });
        children::assert_nothing_left(&env);
    }
}

/// U5: the child has ended by itself, but still leads to the processes left behind.
fn a_detached_descendant_is_ended_after_its_ancestor() {
    for policy in [patient(), children::abrupt()] {
        let env = TestEnv::new();
        wait::run(async {
            let child = with_two_detached(&env, "setsid sleep 1000 & setsid sleep 1000 & cat; exit 3").await;
            child.close_stdin();
            assert_eq!(children::ended(&child).await, ChildExit::Code(3));
            assert_eq!(detached(&env, child.guardian_pid().as_raw()).len(), 2, "nobody signalled them");
            let stopped = children::stop(&child, &policy).await;
            assert_eq!((stopped.signalled, stopped.exit), (None, Some(ChildExit::Code(3))));
            assert_eq!(env.processes(), NOBODY);
        });
        children::assert_nothing_left(&env);
    }
}

/// U5, P12: whichever process is killed, the guardian ends the rest.
fn a_detached_descendant_is_ended_with_its_supervisor() {
    let ways = ways();
    for round in 0..KILLS {
        let env = TestEnv::new();
        let script = &ways[round % ways.len()];
        let proxy = Proxy::start(&env, &["--term-grace", "30s"], &["sh", "-c", script]);
        let guardian = wait::for_some("its guardian runs", || procs::children(proxy.pid()).first().copied());
        wait::until("it leads a session", || procs::session(guardian) == Some(guardian));
        await_two_detached(&env, guardian);
        proxy.signal(Signal::SIGKILL);
        wait::until("no process is left", || env.processes().is_empty());
    }
}

/// U5: the grace is the same, and so is the escalation.
fn a_detached_descendant_that_ignores_sigterm_is_killed() {
    let env = TestEnv::new();
    wait::run(async {
        let script = "setsid sh -c \"trap '' TERM; echo ready; while :; do sleep 0.01; done\" & cat";
        let mut child = children::spawn(&env, &["sh", "-c", script]).await;
        let (_stdin, mut stdout) = children::streams(&mut child);
        assert_eq!(children::hear(&mut stdout).await, "ready\n");
        let stopped = children::stop(&child, &prompt()).await;
        assert_eq!((stopped.end, child.exit().is_some()), (StdioEnd::Killed, true));
        assert_eq!((stopped.survivors, env.processes()), (vec![], vec![]));
    });
    children::assert_nothing_left(&env);
}

/// U5: SIGKILL is repeated until no process is left, however many are born meanwhile, and however many end.
fn descendants_that_are_born_during_the_end_are_ended() {
    let env = TestEnv::new();
    wait::run(async {
        let mut child = children::spawn(&env, &[&programs::python(), "-c", FLEEING]).await;
        let (_stdin, mut stdout) = children::streams(&mut child);
        for _ in 0..16 {
            assert_eq!(children::hear(&mut stdout).await, "ready\n");
        }
        let stopped = children::stop(&child, &prompt()).await;
        assert_eq!((stopped.end, stopped.survivors), (StdioEnd::Killed, vec![]));
        assert_eq!(env.processes(), NOBODY);
    });
    children::assert_nothing_left(&env);
}

/// U5, by the command line: the program ends by itself, by the end of its input, or by us.
fn a_supervised_program_leaves_no_detached_descendant() {
    for (script, code) in [
        ("setsid sleep 1000 & echo out; exit 2", 2),
        ("setsid sleep 1000 & echo out; cat; exit 6", 6),
        ("setsid sleep 1000 & echo out; exec sleep 1000", 143),
    ] {
        let env = TestEnv::new();
        let mut proxy = Proxy::start(&env, &["--stdin-grace", "100ms"], &["sh", "-c", script]);
        proxy.close_stdin();
        let end = proxy.finish();
        assert_eq!((end.code, end.text().as_str()), (Some(code), "out\n"), "{end:?}");
        env.assert_no_process();
    }
}

/// U5, T22: an orphan belongs to the guardian, and is reaped at once, not only at the end.
fn orphans_are_reaped_while_the_child_runs() {
    let env = TestEnv::new();
    wait::run(async {
        let script =
            format!("i=0; while [ $i -lt {ORPHANS} ]; do (true &); i=$((i + 1)); done; echo made; cat");
        let mut child = children::spawn(&env, &["sh", "-c", &script]).await;
        let guardian = child.guardian_pid().as_raw();
        let (stdin, mut stdout) = children::streams(&mut child);
        assert_eq!(children::hear(&mut stdout).await, "made\n");
        wait::until("none is a zombie", || {
            procs::zombies_of(guardian) == 0 && procs::children(guardian).len() == 1
        });
        // Also once the child is a zombie: the kernel then names no other child.
        let script =
            "setsid sh -c 'while [ ! -e go ]; do sleep 0.01; done; (true &); (true &); cat fifo' & exit 0";
        nix::unistd::mkfifo(&env.path("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO can be made");
        drop(stdin);
        children::ended(&child).await;
        let child = children::spawn(&env, &["sh", "-c", script]).await;
        let guardian = child.guardian_pid().as_raw();
        children::ended(&child).await;
        env.file("go", "");
        let waits = |pid: &Pid| procs::runs(*pid, "cat");
        wait::until("its child made orphans", || env.processes().iter().any(waits));
        wait::until("only the child is a zombie", || procs::zombies_of(guardian) == 1);
        assert_eq!(procs::state(child.pid().as_raw()), Some('Z'), "its name is held");
        children::stop(&child, &patient()).await;
    });
    children::assert_nothing_left(&env);
}

/// U5: the named survivors are all survivors.
fn survivors_are_named_with_the_detached_ones() {
    let env = TestEnv::new();
    wait::run(async {
        let child = with_two_detached(&env, "setsid sleep 1000 & setsid sleep 1000 & cat").await;
        let guardian = child.guardian_pid().as_raw();
        procs::send(guardian, Signal::SIGSTOP);
        wait::until("it sleeps", || procs::state(guardian) == Some('T'));
        let grace = Duration::from_millis(20);
        let policy = StopPolicy { term_grace: grace, kill_grace: grace, ..StopPolicy::default() };
        let stopped = children::stop(&child, &policy).await;
        let is_survivor = |pid: &Pid| *pid != guardian && procs::is_running(*pid);
        let mut left: Vec<Pid> = env.processes().into_iter().filter(is_survivor).collect();
        left.sort_unstable();
        assert_eq!(stopped.end, StdioEnd::GaveUp);
        // The shell or its `cat` may have ended with the input.
        let named = sorted(&stopped.survivors);
        assert!(left.iter().all(|pid| named.contains(pid)) && left.len() >= 2, "{left:?}: {stopped:?}");
        procs::send(guardian, Signal::SIGCONT);
    });
    wait::until("no process is left", || env.processes().is_empty());
}

fn sorted(pids: &[rekindle_core::Pid]) -> Vec<Pid> {
    let mut pids: Vec<Pid> = pids.iter().map(|pid| pid.as_raw()).collect();
    pids.sort_unstable();
    pids
}

/// U5: an unobserved end is not reported as an end.
fn a_lost_guardian_is_said_to_leave_detached_descendants() {
    let env = TestEnv::new();
    wait::run(async {
        let child = with_two_detached(&env, "setsid sleep 1000 & setsid sleep 1000 & cat").await;
        procs::send(child.guardian_pid().as_raw(), Signal::SIGKILL);
        assert_eq!(children::ended(&child).await, ChildExit::Unknown);
        let stopped = children::stop(&child, &patient()).await;
        assert!(stopped.trouble.iter().any(|it| it.contains("may still run")), "{stopped:?}");
    });
}

/// U5: the opt-out.
fn what_is_to_be_left_is_left_and_named() {
    let env = TestEnv::new();
    let left = wait::run(async {
        let script = "setsid sleep 1000 & setsid sleep 1000 & sleep 1000 & cat";
        let launch = children::launch(&env, &["sh", "-c", script]).leave_detached();
        let child = StdioChild::spawn(launch).await.expect("it starts");
        await_two_detached(&env, child.guardian_pid().as_raw());
        let stopped = children::stop(&child, &patient()).await;
        assert_eq!((stopped.end, stopped.survivors), (StdioEnd::Terminated, vec![]));
        sorted(&stopped.left)
    });
    let mut running = env.processes();
    running.sort_unstable();
    assert_eq!((left.len(), &left), (2, &running), "those of the child's session have ended");

    // By the command line, for machines and for people.
    let env = TestEnv::new();
    let detach =
        "setsid sh -c 'echo > detached; exec sleep 1000' & while [ ! -e detached ]; do sleep 0.01; done";
    let program = ["sh", "-c", &format!("{detach}; echo out; exit 5")];
    let end = Proxy::start(&env, &["--leave-detached"], &program).finish();
    assert_eq!((end.code, end.text().as_str()), (Some(5), "out\n"), "{end:?}");
    let stopped = end.events().into_iter().find(|event| event["event"] == "stopped");
    let [left] = env.processes()[..] else { panic!("one is left: {end:?}") };
    assert_eq!(stopped.expect("it stops")["left"], json!([left]), "{end:?}");
    let env = TestEnv::new();
    let output = env
        .command(cli::binary())
        .args(["supervise", "--leave-detached", "--"])
        .args(program)
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let [left] = env.processes()[..] else { panic!("one is left: {said}") };
    assert_eq!(said, format!("rekindle: left running, each in a session of its own: {left}\n"));
}

fn what_is_to_be_left_is_left_by_a_supervisor_that_is_killed() {
    let env = TestEnv::new();
    let options = ["--leave-detached", "--term-grace", "30s"];
    let mut proxy = Proxy::start(&env, &options, &["sh", "-c", "setsid sleep 1000 & echo ready; cat"]);
    assert_eq!(proxy.hear(), "ready\n");
    let is_sleep = |pid: &Pid| procs::runs(*pid, "sleep");
    let left = wait::for_some("it runs", || env.processes().into_iter().find(is_sleep));
    proxy.signal(Signal::SIGKILL);
    wait::until("only the detached one is left", || env.processes() == [left]);
}

/// The first promise: a worker belongs to a session, and the starting program may go.
fn a_worker_outlives_the_program_that_started_it() {
    let env = TestEnv::new();
    let binary = cli::binary_arg();
    let state = env.state().display().to_string();
    let up = format!("{binary} --json --dir {state} up s -- {binary} worker");
    let mut proxy = Proxy::start(&env, &["--stdin-grace", "60s"], &["sh", "-c", &format!("{up}; cat")]);
    let started: Value = serde_json::from_str(&proxy.hear()).expect("it is JSON");
    assert_eq!(started["outcome"], "started", "{started}");
    proxy.close_stdin();
    let end = proxy.finish();
    assert_eq!(end.code, Some(0), "{end:?}");
    let reply = env.up("s", &[&binary, "worker"]).expect_running("attached");
    assert_eq!(reply.json["pid"], started["pid"], "{reply}");
    // Also when the supervisor is killed, together with all processes of the program.
    let up = up.replace(" up s ", " up t ");
    let mut proxy = Proxy::start(&env, &["--term-grace", "1s"], &["sh", "-c", &format!("{up}; cat")]);
    let started: Value = serde_json::from_str(&proxy.hear()).expect("it is JSON");
    proxy.signal(Signal::SIGKILL);
    let guardian_is_gone = || {
        let is_guardian = |pid: &Pid| procs::command_line(*pid).starts_with("rekindle-guardian");
        !env.processes().iter().any(is_guardian)
    };
    wait::until("its guardian has gone", guardian_is_gone);
    assert_eq!(env.up("t", &[&binary, "worker"]).expect_running("attached").json["pid"], started["pid"]);
    env.rekindle(["stop", "--all"]);
    env.assert_no_process();
}
