//! Waiting for the end of a worker: the reported exit, and the refused waits.

use nix::sys::signal::Signal;
use rekindle::{ChildExit, Ensured, Error, Launch, Running, Sessions, StopPolicy};
use rekindle_smoke::starts::id;
use rekindle_smoke::test_env::CANARY;
use rekindle_smoke::{TestEnv, procs, programs, tests, wait};
use std::io::Write;
use std::pin::pin;

tests![
    a_worker_of_ours_tells_its_exit,
    a_worker_of_another_launcher_tells_its_exit_too,
    a_daemon_has_ended_when_all_of_it_has,
    a_wait_is_for_one_start,
    what_no_launcher_started_is_not_waited_for,
];

/// Ends with the status sent by a client.
const ENDS_WHEN_TOLD: &str = "
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
while True:
    client, _ = listener.accept()
    status = client.makefile().readline()
    if status:
        os._exit(int(status))
";

fn sessions(env: &TestEnv) -> Sessions {
    Sessions::open(env.state()).expect("a env's state directory can be used")
}

async fn running(env: &TestEnv, script: &str) -> Running {
    let launch = Launch::new(programs::python()).args(["-c", script, "{socket}"]);
    let ensured = sessions(env).ensure(&id("s"), launch.env(CANARY, env.dir()).cwd(env.dir())).await;
    let Ok(Ensured::Running(running)) = ensured else { panic!("it runs: {ensured:?}") };
    *running
}

/// The kernel reports the exit, however the worker ended, and a second wait returns the same exit.
fn a_worker_of_ours_tells_its_exit() {
    let env = TestEnv::new();
    wait::run(async {
        let worker = running(&env, ENDS_WHEN_TOLD).await;
        let watch = worker.watch();
        assert!(wait::is_pending(pin!(watch.wait())).await, "it runs; a wait that is dropped loses nothing");
        let mut stream = worker.connection.into_std().expect("the connection can be used");
        let (one, other) = (watch.clone(), watch.clone());
        let told = async { stream.write_all(b"7\n").expect("the worker takes a line") };
        let (one, other, ()) = tokio::join!(one.wait(), other.wait(), told);
        for exit in [one, other, watch.wait().await] {
            assert_eq!(exit.expect("its end is seen"), ChildExit::Code(7));
        }

        let worker = running(&env, programs::ECHO_SERVER).await;
        sessions(&env).stop(&id("s"), &StopPolicy::default()).await.expect("it can be stopped");
        let exit = wait::soon("the wait ends", worker.wait()).await.expect("its end is seen");
        assert_eq!(exit, ChildExit::Signal(Signal::SIGTERM as i32));
    });
    env.assert_nothing_left("s");
}

/// The worker is not our child, and was watched when it ended.
fn a_worker_of_another_launcher_tells_its_exit_too() {
    let env = TestEnv::new();
    env.up("s", &[&programs::python(), "-c", ENDS_WHEN_TOLD, "{socket}"]).expect_running("started");
    wait::run(async {
        let Ok(Ensured::Running(worker)) = sessions(&env).attach(&id("s")).await else { panic!("it runs") };
        let (session, watch) = (id("s"), worker.watch());
        let sessions = sessions(&env);
        let mut all = pin!(async { tokio::join!(watch.wait(), sessions.wait(&session)) });
        assert!(wait::is_pending(all.as_mut()).await, "it runs");
        let mut stream = worker.connection.into_std().expect("the connection can be used");
        stream.write_all(b"7\n").expect("the worker takes a line");
        let (by_watch, by_session) = wait::soon("the waits end", all).await;
        assert_eq!(by_watch.expect("its end is seen"), ChildExit::Code(7));
        assert_eq!(by_session.expect("its end is seen"), ChildExit::Code(7));
    });
    let nobody = wait::run(async { sessions(&env).wait(&id("nobody")).await });
    assert!(matches!(nobody, Err(Error::UnknownSession { .. })), "{nobody:?}");
}

/// The started process ends at once; the process left behind is the worker.
fn a_daemon_has_ended_when_all_of_it_has() {
    let env = TestEnv::new();
    wait::run(async {
        let worker = running(&env, &programs::daemonising_echo_server()).await;
        let mut ended = pin!(worker.wait());
        assert!(wait::is_pending(ended.as_mut()).await, "the daemon runs");
        env.processes().into_iter().for_each(|pid| procs::send(pid, Signal::SIGKILL));
        let exit = wait::soon("the wait ends", ended).await.expect("its end is seen");
        assert_eq!(exit, ChildExit::Code(0), "the exit is that of the process that was started");
    });
    env.assert_no_process();
}

/// A wait for a worker does not continue with the next worker.
fn a_wait_is_for_one_start() {
    let env = TestEnv::new();
    wait::run(async {
        let first = running(&env, ENDS_WHEN_TOLD).await;
        let watch = first.watch();
        first.connection.into_std().expect("it can be used").write_all(b"3\n").expect("it takes a line");
        wait::soon("the first ends", watch.wait()).await.expect("its end is seen");
        let second = running(&env, programs::ECHO_SERVER).await;
        let exit = wait::soon("the wait ends at once", watch.wait()).await.expect("its end is known");
        assert_eq!(exit, ChildExit::Code(3));
        assert!(wait::is_pending(pin!(second.wait())).await, "the second runs");
        sessions(&env).stop(&id("s"), &StopPolicy::default()).await.expect("it can be stopped");
    });
    env.assert_nothing_left("s");
}

/// Nothing proves which process answers, so nothing could prove an end.
fn what_no_launcher_started_is_not_waited_for() {
    let env = TestEnv::new();
    let socket = env.path("elsewhere");
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket can be bound");
    wait::run(async {
        let launch = Launch::attach().socket(&socket);
        let Ok(Ensured::Running(worker)) = sessions(&env).ensure(&id("s"), launch).await else {
            panic!("it answers")
        };
        let waited = worker.wait().await;
        assert!(matches!(waited, Err(Error::EndUnprovable { .. })), "{waited:?}");
    });
    drop(listener);
}
