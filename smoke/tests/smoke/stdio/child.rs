//! A stdio child, from the library: started, used, stopped, reaped.

use nix::sys::signal::Signal;
use rekindle::stdio::StderrMode;
use rekindle::{StdioChild, StdioEnd, StdioEvent, StdioLaunch, StopPolicy};
use rekindle_core::{ChildExit, SpawnError};
use rekindle_smoke::children::{self, KILLED, TERMINATED, patient, prompt};
use rekindle_smoke::{TestEnv, procs, programs, tests, wait};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

tests![
    an_echo_goes_round,
    complaints_are_collected,
    complaints_can_be_read_as_they_come,
    a_child_that_honours_sigterm_is_terminated,
    a_child_that_ends_with_its_input_is_not_signalled,
    a_child_that_ignores_sigterm_is_killed,
    stops_join_and_the_third_kills,
    a_stop_goes_on_without_its_caller,
    exits_are_told_apart,
    the_environment_is_the_declared_one,
    a_stopped_child_is_terminated,
    a_grandchild_that_holds_the_pipes_keeps_nobody_waiting,
    a_daemon_that_holds_the_pipes_keeps_nobody_waiting,
    what_a_child_wrote_is_delivered_to_a_slow_reader,
    a_gigabyte_of_complaints_stays_small,
    a_child_that_never_reads_is_stopped,
    a_drop_leaves_nothing,
    a_runtime_that_goes_leaves_nothing,
    what_is_missing_is_named,
    a_child_has_three_descriptors_and_its_guardian_none_of_them,
    events_tell_the_story,
];

/// The output of a process whose output must not be kept.
const GIBIBYTE: u64 = 1 << 30;
/// More than two pipes hold.
const MUCH: usize = 1 << 20;
/// How much our memory may grow by a child's output, in KiB: far less than the output.
const GROWTH_MAX_KIB: u64 = 64 << 10;

fn an_echo_goes_round() {
    let env = TestEnv::new();
    wait::run(async {
        let mut child = children::spawn(&env, &["cat"]).await;
        let (mut stdin, mut stdout) = children::streams(&mut child);
        children::say(&mut stdin, "hello\n").await;
        assert_eq!(children::hear(&mut stdout).await, "hello\n");
        assert_eq!(child.exit(), None);
        drop(stdin);
        assert_eq!(children::ended(&child).await, ChildExit::Code(0));
        assert_eq!(children::rest(&mut stdout).await, "");
        let stopped = children::stop(&child, &prompt()).await;
        assert_eq!((stopped.end, stopped.exit), (StdioEnd::HadEnded, Some(ChildExit::Code(0))));
        assert_eq!((stopped.survivors, stopped.trouble), (vec![], vec![]));
        assert_eq!(child.exit(), Some(ChildExit::Code(0)));
    });
    children::assert_nothing_left(&env);
}

fn complaints_are_collected() {
    let env = TestEnv::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&heard);
    let script = "for i in $(seq 1 250); do echo line $i >&2; done; printf 'the last' >&2; exit 3";
    let launch = children::launch(&env, &["sh", "-c", script])
        .on_stderr_line(move |line| listener.lock().expect("nobody panics").push(line.to_owned()));
    wait::run(async {
        let child = StdioChild::spawn(launch).await.expect("it starts");
        assert_eq!(children::ended(&child).await, ChildExit::Code(3));
        let tail = child.stderr_tail();
        let heard = heard.lock().expect("nobody panics");
        assert_eq!((heard.len(), heard[0].as_str()), (251, "line 1"));
        assert_eq!((tail.len(), tail[99].as_str()), (100, "the last"));
        assert_eq!(tail[..], heard[151..]);
    });
}

fn complaints_can_be_read_as_they_come() {
    let env = TestEnv::new();
    let launch = children::launch(&env, &["sh", "-c", "printf 'no newline' >&2"]).stderr(StderrMode::Stream);
    wait::run(async {
        let mut child = StdioChild::spawn(launch).await.expect("it starts");
        let mut stderr = child.stderr.take().expect("it is handed out");
        assert_eq!(children::rest(&mut stderr).await, "no newline");
        assert_eq!(children::ended(&child).await, ChildExit::Code(0));
        assert_eq!(child.stderr_tail(), Vec::<String>::new());
    });
}

/// T20.
fn a_child_that_honours_sigterm_is_terminated() {
    let env = TestEnv::new();
    wait::run(async {
        let script = "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.01; done";
        let mut child = children::spawn(&env, &["sh", "-c", script]).await;
        let (_stdin, mut stdout) = children::streams(&mut child);
        assert_eq!(children::hear(&mut stdout).await, "ready\n");
        let stopped = children::stop(&child, &patient()).await;
        assert_eq!((stopped.end, stopped.exit), (StdioEnd::Terminated, Some(ChildExit::Code(5))));
        assert_eq!(children::rest(&mut stdout).await, "bye\n", "what it said last is delivered");
    });
    children::assert_nothing_left(&env);
}

fn a_child_that_ends_with_its_input_is_not_signalled() {
    let env = TestEnv::new();
    wait::run(async {
        let child = children::spawn(&env, &["cat"]).await;
        let policy = StopPolicy { stdin_grace: wait::FACT_TIMEOUT, ..prompt() };
        let stopped = children::stop(&child, &policy).await;
        assert_eq!((stopped.end, stopped.exit), (StdioEnd::ClosedStdin, Some(ChildExit::Code(0))));
    });
    children::assert_nothing_left(&env);
}

/// T20, P6.
fn a_child_that_ignores_sigterm_is_killed() {
    let env = TestEnv::new();
    wait::run(async {
        let mut child = children::spawn(&env, &children::STUBBORN).await;
        let (_stdin, mut stdout) = children::streams(&mut child);
        assert_eq!(children::hear(&mut stdout).await, "ready\n");
        let stopped = children::stop(&child, &prompt()).await;
        assert_eq!((stopped.end, stopped.exit), (StdioEnd::Killed, Some(KILLED)));
        assert_eq!(children::ended(&child).await, KILLED);
    });
    children::assert_nothing_left(&env);
}

/// Design 3.5: the second call joins the first, the third sends SIGKILL at once, and all get the same result.
fn stops_join_and_the_third_kills() {
    let env = TestEnv::new();
    wait::run(async {
        let mut child = children::spawn(&env, &children::STUBBORN).await;
        let (_stdin, mut stdout) = children::streams(&mut child);
        assert_eq!(children::hear(&mut stdout).await, "ready\n");
        let policy = patient();
        let (mut first, mut second) = (pin!(child.stop(&policy)), pin!(child.stop(&policy)));
        assert!(wait::is_pending(first.as_mut()).await && wait::is_pending(second.as_mut()).await);
        assert!(procs::is_running(child.pid().as_raw()), "two are one");
        let third = child.stop(&policy);
        let (first, second, third) =
            wait::soon("all three end", async { tokio::join!(first, second, third) }).await;
        assert_eq!((first.end, first.exit), (StdioEnd::Killed, Some(KILLED)));
        assert_eq!((&second, &third), (&first, &first));
        assert_eq!(children::stop(&child, &policy).await, first, "and so does whoever comes later");
    });
    children::assert_nothing_left(&env);
}

fn a_stop_goes_on_without_its_caller() {
    let env = TestEnv::new();
    wait::run(async {
        let child = children::spawn(&env, &["sleep", "1000"]).await;
        let given_up = tokio::time::timeout(Duration::ZERO, child.stop(&patient())).await;
        assert!(given_up.is_err(), "it was given up at once");
        assert_eq!(children::ended(&child).await, TERMINATED);
    });
    children::assert_nothing_left(&env);
}

fn exits_are_told_apart() {
    let env = TestEnv::new();
    let ends = [("exit 0", ChildExit::Code(0)), ("exit 7", ChildExit::Code(7)), ("kill -9 $$", KILLED)];
    for (script, end) in ends {
        wait::run(async {
            let child = children::spawn(&env, &["sh", "-c", script]).await;
            // Any number of callers may wait, also repeatedly.
            let (one, other) = tokio::join!(children::ended(&child), children::ended(&child));
            assert_eq!((one, other, child.exit()), (end, end, Some(end)), "{script}");
        });
    }
    children::assert_nothing_left(&env);
}

fn the_environment_is_the_declared_one() {
    let env = TestEnv::new();
    let print = || children::launch(&env, &["/usr/bin/env"]);
    let launch = print().env_clear().env("ONLY", "this one");
    wait::run(async {
        let launch_without = print().env_remove("PATH");
        let mut child = StdioChild::spawn(launch_without).await.expect("it starts");
        let (_stdin, mut stdout) = children::streams(&mut child);
        let said = children::rest(&mut stdout).await;
        let has = |name: &str| said.lines().any(|line| line.starts_with(name));
        assert!(!has("PATH=") && has("HOME="), "{said}");
        let mut child = StdioChild::spawn(launch).await.expect("it starts");
        let (_stdin, mut stdout) = children::streams(&mut child);
        assert_eq!(children::rest(&mut stdout).await, "ONLY=this one\n");
        let mut child = children::spawn(&env, &["sh", "-c", "echo $PATH; pwd; ulimit -n"]).await;
        let (_stdin, mut stdout) = children::streams(&mut child);
        let said = children::rest(&mut stdout).await;
        let path = std::env::var("PATH").expect("the suite has a PATH");
        assert!(said.starts_with(&format!("{path}\n{}\n", env.dir().display())), "{said}");
    });
}

/// T20, P7: SIGTERM is followed by SIGCONT.
fn a_stopped_child_is_terminated() {
    let env = TestEnv::new();
    wait::run(async {
        let child = children::spawn(&env, &["sleep", "1000"]).await;
        let pid = child.pid().as_raw();
        procs::send(pid, Signal::SIGSTOP);
        wait::until("it is stopped", || procs::state(pid) == Some('T'));
        let stopped = children::stop(&child, &patient()).await;
        assert_eq!((stopped.end, stopped.exit), (StdioEnd::Terminated, Some(TERMINATED)));
    });
    children::assert_nothing_left(&env);
}

/// T17, P5: a grandchild belongs to the child's process session, and ends with the stop.
fn a_grandchild_that_holds_the_pipes_keeps_nobody_waiting() {
    let env = TestEnv::new();
    wait::run(async {
        let mut child =
            children::spawn(&env, &["sh", "-c", "sleep 1000 & echo out; echo err >&2; exit 3"]).await;
        let (_stdin, mut stdout) = children::streams(&mut child);
        assert_eq!(children::ended(&child).await, ChildExit::Code(3));
        assert_eq!(child.stderr_tail(), ["err"]);
        assert_eq!(children::rest(&mut stdout).await, "out\n");
        // P14: a process left behind still runs, so the child's pid is still held.
        assert_eq!(procs::state(child.pid().as_raw()), Some('Z'));
        let stopped = children::stop(&child, &patient()).await;
        assert_eq!((stopped.end, stopped.exit), (StdioEnd::Terminated, Some(ChildExit::Code(3))));
        assert_eq!(procs::state(child.pid().as_raw()), None, "it is reaped");
    });
    children::assert_nothing_left(&env);
}

/// T17, P5: a daemon that is to live on delays no stop either.
fn a_daemon_that_holds_the_pipes_keeps_nobody_waiting() {
    let env = TestEnv::new();
    wait::run(async {
        let script = "setsid sleep 1000 & echo out; exec sleep 1000";
        let launch = children::launch(&env, &["sh", "-c", script]).leave_detached();
        let mut child = StdioChild::spawn(launch).await.expect("it starts");
        let (_stdin, mut stdout) = children::streams(&mut child);
        assert_eq!(children::hear(&mut stdout).await, "out\n");
        let is_sleep = |pid: &i32| procs::runs(*pid, "sleep");
        wait::until("both run", || env.processes().iter().filter(|pid| is_sleep(pid)).count() == 2);
        let stopped = children::stop(&child, &patient()).await;
        assert_eq!((stopped.end, stopped.survivors), (StdioEnd::Terminated, vec![]));
        assert_eq!(children::rest(&mut stdout).await, "");
        assert_eq!(env.processes().len(), 1, "the daemon was left alone");
    });
}

fn what_a_child_wrote_is_delivered_to_a_slow_reader() {
    let env = TestEnv::new();
    wait::run(async {
        // As much as a pipe holds, and another process that keeps the pipe open.
        let script = "sleep 1000 & head -c 60000 /dev/zero | tr '\\0' x";
        let mut child = children::spawn(&env, &["sh", "-c", script]).await;
        let (_stdin, mut stdout) = children::streams(&mut child);
        children::ended(&child).await;
        children::stop(&child, &patient()).await;
        let mut read = Vec::new();
        let mut piece = [0; 1000];
        while let len @ 1.. =
            wait::soon("it can be read", stdout.read(&mut piece)).await.expect("it can be read")
        {
            read.extend_from_slice(&piece[..len]);
            tokio::task::yield_now().await;
        }
        assert_eq!(read, [b'x'; 60_000]);
    });
}

fn a_gigabyte_of_complaints_stays_small() {
    let env = TestEnv::new();
    children::forget_peak_memory();
    let before = children::peak_memory_kib();
    // Half of the output in lines, half in a single line.
    let half = GIBIBYTE / 2;
    let script =
        format!("yes {} | head -c {half} >&2; head -c {half} /dev/zero >&2; echo end >&2", "y".repeat(150));
    wait::run(async {
        let child = children::spawn(&env, &["sh", "-c", &script]).await;
        assert_eq!(child.wait().await.expect("it can be waited for"), ChildExit::Code(0));
        let tail = child.stderr_tail();
        let last = tail.last().expect("it complained");
        assert!(last.contains("more bytes]"), "{}", last.len());
        assert_eq!(tail[0], "y".repeat(150));
    });
    let growth = children::peak_memory_kib() - before;
    println!("1 GiB of stderr: peak memory grew by {growth} KiB");
    assert!(growth < GROWTH_MAX_KIB, "{growth} KiB");
}

fn a_child_that_never_reads_is_stopped() {
    let env = TestEnv::new();
    wait::run(async {
        let mut child = children::spawn(&env, &["sleep", "1000"]).await;
        let (mut stdin, _stdout) = children::streams(&mut child);
        let much = vec![b'x'; MUCH];
        let mut writing = pin!(stdin.write_all(&much));
        assert!(wait::is_pending(writing.as_mut()).await, "a pipe is not that large");
        assert!(child.unread_input() > 0);
        // Closed during a write; the writer gets an error.
        let policy = patient();
        let (written, stopped) = tokio::join!(wait::soon("the writer is told", writing), child.stop(&policy));
        assert_eq!(written.expect_err("it was closed").kind(), std::io::ErrorKind::BrokenPipe);
        assert_eq!(stopped.end, StdioEnd::Terminated);
    });
    children::assert_nothing_left(&env);
}

/// T22, P9.
fn a_drop_leaves_nothing() {
    for command in
        [&["cat"][..], &["sleep", "1000"], &children::STUBBORN, &["sh", "-c", "sleep 1000 & exit 0"]]
    {
        let env = TestEnv::new();
        wait::run(async {
            let launch = children::launch(&env, command).term_grace(Duration::from_millis(100));
            let child = StdioChild::spawn(launch).await.expect("it starts");
            drop(child);
            wait::soon("nothing is left", children::until_nothing_left(&env)).await;
        });
        children::assert_nothing_left(&env);
    }
}

/// T34, A2: at every state of a child, its runtime can be shut down at once; then the guardian ends the rest.
fn a_runtime_that_goes_leaves_nothing() {
    for state in ["running", "waited for", "being stopped", "ended", "starting"] {
        let env = TestEnv::new();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("there can be a runtime");
        let spawn = || {
            let launch = children::launch(&env, &children::STUBBORN);
            StdioChild::spawn(launch.term_grace(Duration::from_millis(100)))
        };
        let child = runtime.block_on(async {
            if state == "starting" {
                // On a loaded machine one poll may complete the start: this child is dropped, and another started.
                while !wait::is_pending(pin!(spawn())).await {}
                return None;
            }
            let mut child = spawn().await.expect("it starts");
            let (_stdin, mut stdout) = children::streams(&mut child);
            assert_eq!(children::hear(&mut stdout).await, "ready\n");
            match state {
                "waited for" => assert!(wait::is_pending(pin!(child.wait())).await),
                "being stopped" => assert!(wait::is_pending(pin!(child.stop(&patient()))).await),
                "ended" => {
                    procs::send(child.pid().as_raw(), Signal::SIGKILL);
                    children::ended(&child).await;
                }
                _ => {}
            }
            Some(child)
        });
        drop(runtime);
        if let Some(child) = &child {
            // A waiting caller gets an error, and does not hang.
            wait::run(async {
                let waited = wait::soon("waiting ends", child.wait()).await;
                assert_eq!(waited.is_ok(), state == "ended", "{state}: {waited:?}");
            });
        }
        drop(child);
        wait::until("nothing is left", || env.processes().is_empty() && procs::zombies_of_ours() == 0);
    }
}

/// P1, T18.
fn what_is_missing_is_named() {
    let env = TestEnv::new();
    let missing = env.path("missing");
    let missing = missing.to_str().expect("a test environment's path is UTF-8");
    let script = env.file("script", "#!/no/such/interpreter\n");
    children::make_executable(&script);
    let script = script.to_str().expect("a test environment's path is UTF-8");
    let spawn = |launch| wait::run(async { StdioChild::spawn(launch).await.expect_err("it cannot start") });
    assert_eq!(spawn(StdioLaunch::new("")), SpawnError::NoProgram);
    let error = spawn(children::launch(&env, &[missing]));
    assert!(
        matches!(error, SpawnError::ProgramNotFound { .. }) && error.to_string().contains(missing),
        "{error}"
    );
    let error = spawn(children::launch(&env, &[script]));
    assert!(matches!(error, SpawnError::InterpreterNotFound { .. }), "{error}");
    let error = spawn(children::launch(&env, &["cat"]).cwd(missing));
    assert!(matches!(error, SpawnError::Directory { .. }) && error.to_string().contains(missing), "{error}");
    let error = spawn(children::launch(&env, &["cat", "a\0b"]));
    assert!(matches!(error, SpawnError::HoldsNul { .. }), "{error}");
    wait::until("nothing is left", || procs::zombies_of_ours() == 0);
    children::assert_nothing_left(&env);
}

/// T23, P15.
fn a_child_has_three_descriptors_and_its_guardian_none_of_them() {
    let env = TestEnv::new();
    let _secret = std::fs::File::open("/etc/passwd").expect("everybody may read it");
    wait::run(async {
        let child = children::spawn(&env, &[&programs::find("sleep", "coreutils"), "1000"]).await;
        let (pid, guardian) = (child.pid().as_raw(), child.guardian_pid().as_raw());
        // A starting program opens a file now and then; inherited descriptors stay.
        wait::until("it has three descriptors", || procs::descriptors(pid).into_keys().eq([0, 1, 2]));
        let its = procs::descriptors(pid);
        let guards = procs::descriptors(guardian);
        let pipes = guards.values().filter(|target| its.values().any(|pipe| pipe == *target)).count();
        assert_eq!(pipes, 0, "{guards:?}");
        assert_eq!(
            guards.len(),
            4,
            "the connection, our pidfd, the child's, and the orphans' ends: {guards:?}"
        );
        // A guardian is small, and receives none of the child's terminal signals.
        let resident = procs::status(guardian, "VmRSS").expect("it runs");
        println!("a guardian has {resident} resident");
        let kib: u64 = resident.trim_end_matches(" kB").parse().expect("a number of kB");
        assert!(kib < 512, "{resident}");
        assert_eq!(procs::signals(pid, "SigBlk"), Some(0));
        assert_eq!(procs::signals(pid, "SigIgn"), Some(0));
        assert_eq!(procs::session(pid), Some(guardian));
        children::stop(&child, &patient()).await;
    });
}

fn events_tell_the_story() {
    let env = TestEnv::new();
    let events = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&events);
    let launch = children::launch(&env, &["sleep", "1000"])
        .on_event(move |event| listener.lock().expect("nobody panics").push(event));
    let pid = wait::run(async {
        let child = StdioChild::spawn(launch).await.expect("it starts");
        children::stop(&child, &patient()).await;
        child.pid()
    });
    let expected = [
        StdioEvent::Started { pid },
        StdioEvent::Stopping,
        StdioEvent::Signalled { how: rekindle_core::KillSignal::Term },
        StdioEvent::Exited { exit: TERMINATED },
    ];
    assert_eq!(*events.lock().expect("nobody panics"), expected);
}
