//! Abilities of a library caller only: keeping the connection, and giving up during a wait.

use rekindle::{Ensured, Launch, Sessions, StartKind, StopOutcome, StopPolicy};
use rekindle_adapters::ProductionSpawnBgResumeDeps;
use rekindle_adapters::seams::SharedClaim;
use rekindle_adapters::start::Start;
use rekindle_core::{Generation, execute_spawn_bg_resume};
use rekindle_smoke::starts::id;
use rekindle_smoke::test_env::CANARY;
use rekindle_smoke::{Starts, TestEnv, procs, programs, tests, wait};
use std::io::{BufRead, BufReader, Write};
use std::pin::pin;

tests![
    a_worker_that_ends_with_its_first_client_serves_the_caller,
    a_caller_that_gives_up_only_stops_watching,
    a_bare_execution_that_is_dropped_releases_nothing,
    many_callers_in_one_process_get_one_worker,
    a_stop_joins_in_from_another_caller,
    the_environment_is_what_the_launch_says,
];

fn launch(env: &TestEnv, script: &str, more: &[&str]) -> Launch {
    let args = [&["-c", script, "{socket}"], more].concat();
    Launch::new(programs::python()).args(args).env(CANARY, env.dir()).cwd(env.dir())
}

fn sessions(env: &TestEnv) -> Sessions {
    Sessions::open(env.state()).expect("a test environment's state directory can be used")
}

/// Serves one client, and ends when the client leaves.
const ONE_CLIENT: &str = "
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
client, _ = listener.accept()
for line in client.makefile('rb'):
    client.sendall(line)
";

/// 0.8 of the catalogue: the connection that proved liveness belongs to the caller.
fn a_worker_that_ends_with_its_first_client_serves_the_caller() {
    let env = TestEnv::new();
    wait::run(async {
        let ensured = sessions(&env).ensure(&id("s"), launch(&env, ONE_CLIENT, &[])).await;
        let Ok(Ensured::Running(running)) = ensured else { panic!("it starts: {ensured:?}") };
        assert_eq!((running.kind, running.connection.peer()), (StartKind::Started, running.pid));
        let mut stream = running.connection.into_std().expect("the connection can be used");
        stream.write_all(b"hello\n").expect("the worker takes a line");
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).expect("the worker answers");
        assert_eq!(line, "hello\n");
        drop(stream);
    });
    wait::until("it ended with its client", || env.processes().is_empty());
}

/// T13, A1.
fn a_caller_that_gives_up_only_stops_watching() {
    let env = TestEnv::new();
    let go = env.path("go").display().to_string();
    wait::run(async {
        let sessions = sessions(&env);
        let launch = launch(&env, &programs::gated_echo_server(), &[&go]);
        {
            let session = id("s");
            let mut call = pin!(sessions.ensure(&session, launch));
            while env.processes().is_empty() {
                assert!(wait::is_pending(call.as_mut()).await, "it cannot be ready yet");
                tokio::task::yield_now().await;
            }
        }
        assert!(env.of("s", "claim").exists(), "the start goes on");
        env.file("go", "");
        while env.of("s", "claim").exists() {
            tokio::task::yield_now().await;
        }
        assert_eq!(env.record("s")["state"], "ready", "the start went on to its end");
        let attached = sessions.attach(&id("s")).await;
        assert!(matches!(attached, Ok(Ensured::Running(_))), "{attached:?}");
    });
}

/// T13; rule 9 of the design: nothing is released, and the child is still reaped.
fn a_bare_execution_that_is_dropped_releases_nothing() {
    let starts = Starts::new();
    let held = starts.claim("s");
    let (claim, shared) = (held.claim().clone(), SharedClaim::new(held));
    let start = Start::new(shared.clone(), starts.here.clone(), None);
    let deps = ProductionSpawnBgResumeDeps::fresh(&start, Generation::new(1)).build();
    let plan = starts.plan("s", &["sleep", "1000"]);
    wait::run(async {
        let mut execution = Box::pin(execute_spawn_bg_resume(&plan, Some(&claim), &deps));
        while starts.env.processes().is_empty() {
            assert!(wait::is_pending(execution.as_mut()).await, "nothing can be observed yet");
            tokio::task::yield_now().await;
        }
        drop(execution);
    });
    let pid = starts.env.worker_pid("s");
    assert!(procs::is_running(pid), "it is not killed by being unwatched");
    assert!(shared.with(|_| ()).is_some(), "the claim was not released");
    drop((deps, start, shared));
    assert!(starts.env.of("s", "claim").exists(), "what nobody saw the end of is retained");
    procs::send(pid, nix::sys::signal::Signal::SIGKILL);
    wait::until("it is reaped", || procs::state(pid).is_none());
}

/// T01: within one process and one runtime too.
fn many_callers_in_one_process_get_one_worker() {
    let env = TestEnv::new();
    wait::run(async {
        let sessions = sessions(&env);
        let launch = launch(&env, programs::ECHO_SERVER, &[]);
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let (sessions, launch) = (sessions.clone(), launch.clone());
                tokio::spawn(async move { sessions.ensure(&id("s"), launch).await })
            })
            .collect();
        let (mut started, mut pids) = (0, Vec::new());
        for call in calls {
            let ensured = wait::soon("the call ends", call).await.expect("a call does not panic");
            let Ok(Ensured::Running(running)) = ensured else { panic!("all get it: {ensured:?}") };
            started += u32::from(running.kind == StartKind::Started);
            pids.push(running.pid);
        }
        pids.dedup();
        assert_eq!((started, pids.len()), (1, 1));
        let stopped = sessions.stop(&id("s"), &StopPolicy::default()).await.expect("it can be stopped");
        assert_eq!(stopped.outcome, StopOutcome::Stopped);
    });
    env.assert_nothing_left("s");
}

fn a_stop_joins_in_from_another_caller() {
    let env = TestEnv::new();
    wait::run(async {
        let sessions = sessions(&env);
        let ensured = sessions.ensure(&id("s"), launch(&env, programs::ECHO_SERVER, &[])).await;
        assert!(matches!(ensured, Ok(Ensured::Running(_))), "{ensured:?}");
        let (session, policy) = (id("s"), StopPolicy::default());
        let (one, other) = tokio::join!(sessions.stop(&session, &policy), sessions.stop(&session, &policy));
        for stopped in [one, other] {
            let outcome = stopped.expect("it can be stopped").outcome;
            assert!(matches!(outcome, StopOutcome::Stopped | StopOutcome::NotRunning), "{outcome:?}");
        }
    });
    env.assert_nothing_left("s");
}

fn the_environment_is_what_the_launch_says() {
    let env = TestEnv::new();
    wait::run(async {
        let launch = launch(&env, programs::ECHO_SERVER, &[]);
        let launch =
            launch.envs([("ADDED", "1"), ("TAKEN_BACK", "2")]).env_remove("TAKEN_BACK").env_remove("PATH");
        let ensured = sessions(&env).ensure(&id("s"), launch).await;
        assert!(matches!(ensured, Ok(Ensured::Running(_))), "{ensured:?}");
    });
    let environment = procs::environment(env.worker_pid("s"));
    let of = |name: &str| environment.get(name).map(String::as_str);
    assert_eq!((of("ADDED"), of("TAKEN_BACK"), of("PATH")), (Some("1"), None, None));
    assert!(of("HOME").is_some(), "what nobody removed is inherited");
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}
