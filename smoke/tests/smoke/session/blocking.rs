//! Sessions without a runtime, as in a plain `fn main`.

use rekindle::blocking::Sessions;
use rekindle::{ChildExit, Ensured, Error, Launch, SessionState, StartKind, StopOutcome, StopPolicy};
use rekindle_smoke::starts::id;
use rekindle_smoke::test_env::CANARY;
use rekindle_smoke::{TestEnv, programs, tests, wait};
use std::io::{BufRead, BufReader, Write};
use std::thread;

tests![
    a_plain_thread_starts_talks_waits_and_stops,
    threads_that_call_at_once_get_one_worker,
    inside_a_runtime_a_blocking_call_is_an_error,
];

fn sessions(env: &TestEnv) -> Sessions {
    Sessions::open(env.state()).expect("a env's state directory can be used")
}

fn launch(env: &TestEnv) -> Launch {
    let launch = Launch::new(programs::python()).args(["-c", programs::ECHO_SERVER, "{socket}"]);
    launch.env(CANARY, env.dir()).cwd(env.dir())
}

fn a_plain_thread_starts_talks_waits_and_stops() {
    let env = TestEnv::new();
    let (sessions, session) = (sessions(&env), id("s"));
    let ensured = sessions.ensure(&session, launch(&env));
    let Ok(Ensured::Running(worker)) = ensured else { panic!("it starts: {ensured:?}") };
    let (watch, pid) = (worker.watch(), worker.pid);
    let mut stream = worker.connection.into_std().expect("the connection can be used");
    stream.write_all(b"hello\n").expect("the worker takes a line");
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).expect("the worker answers");
    assert_eq!(line, "hello\n");
    let listed = sessions.list().expect("it can be listed").sessions;
    assert_eq!((listed[0].state, listed[0].pid), (SessionState::Live, pid));

    let waiting = thread::spawn({
        let (sessions, session) = (sessions.clone(), session.clone());
        move || sessions.wait(&session)
    });
    let stopped = sessions.stop(&session, &StopPolicy::default()).expect("it can be stopped");
    assert_eq!(stopped.outcome, StopOutcome::Stopped);
    assert_eq!(sessions.wait_for(&watch).expect("its end is seen"), ChildExit::Signal(15));
    waiting.join().expect("a wait does not panic").expect("its end is seen");
    env.assert_nothing_left("s");
}

fn threads_that_call_at_once_get_one_worker() {
    let env = TestEnv::new();
    let (sessions, session) = (sessions(&env), id("s"));
    let started = thread::scope(|scope| {
        let call = || sessions.ensure(&session, launch(&env));
        let calls: Vec<_> = (0..8).map(|_| scope.spawn(call)).collect();
        let ensured = calls.into_iter().map(|call| call.join().expect("a call does not panic"));
        let is_started = |ensured: &Result<Ensured, Error>| match ensured {
            Ok(Ensured::Running(worker)) => worker.kind == StartKind::Started,
            other => panic!("all get it: {other:?}"),
        };
        ensured.filter(is_started).count()
    });
    assert_eq!(started, 1);
    sessions.stop(&session, &StopPolicy::default()).expect("it can be stopped");
    env.assert_nothing_left("s");
}

/// The sessions are dropped inside the runtime too.
fn inside_a_runtime_a_blocking_call_is_an_error() {
    let env = TestEnv::new();
    wait::run(async {
        let sessions = sessions(&env);
        let ensured = sessions.ensure(&id("s"), launch(&env));
        assert!(matches!(ensured, Err(Error::InsideRuntime)), "{ensured:?}");
        assert!(sessions.list().expect("what does not block can be called").sessions.is_empty());
    });
    env.assert_no_process();
}
