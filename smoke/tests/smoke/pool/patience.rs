//! A caller's limit bounds every phase of a call: on a paused clock, and by the command line.

use crate::protocol::client::one;
use nix::sys::signal::Signal;
use rekindle::protocol::{Run, StatusRequest};
use rekindle_adapters::PoolClient;
use rekindle_adapters::client::{Deadlines, Limits, PoolCallError};
use rekindle_adapters::lines::{Limit, LineError, Phase};
use rekindle_smoke::peers::GREETING;
use rekindle_smoke::programs::{self, Quirk};
use rekindle_smoke::{Launcher, Reply, TestEnv, cli, procs, tests, wait};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, sleep};

tests![
    a_slow_sender_meets_the_deadline_of_the_call,
    all_phases_of_a_call_share_its_deadline,
    a_phase_may_be_bounded_more_closely,
    every_verb_of_the_pool_ends_against_a_slow_sender,
    a_collection_waits_for_nobody_longer_than_it_was_told,
    a_run_ends_against_a_worker_that_never_accepts,
    a_run_ends_a_worker_of_no_use_within_the_caller_s_grace,
];

/// The caller's limit for each call; each phase has an hour.
const CALL: Duration = Duration::from_millis(700);
const HOUR: Duration = Duration::from_secs(3600);

fn limits() -> Limits {
    let deadlines = Deadlines { connect: HOUR, answer: CALL, work: CALL, write: HOUR, line: HOUR };
    Limits { deadlines, ..Limits::default() }
}

/// Runs on a clock that stands still while tasks are ready, and otherwise jumps to the next timer.
fn on_a_clock_of_its_own<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime needs three descriptors").block_on(future)
}

/// A blank now and then, until the client leaves.
async fn drip(stream: &mut UnixStream) {
    while stream.write_all(b" ").await.is_ok() {
        sleep(Duration::from_millis(50)).await;
    }
}

async fn take_line(stream: &mut UnixStream) {
    let mut line = Vec::new();
    BufReader::new(stream).read_until(b'\n', &mut line).await.expect("the client sends a line");
}

/// A client of a peer; `greets` decides whether the peer answers the handshake before `part`.
async fn client_of<P: Future<Output = ()> + 'static>(
    socket: &Path,
    greets: bool,
    limits: Limits,
    part: impl FnOnce(UnixStream) -> P + 'static,
) -> Result<PoolClient, PoolCallError> {
    let listener = UnixListener::bind(socket).expect("a test environment can hold a socket");
    tokio::task::spawn_local(async move {
        let (mut stream, _) = listener.accept().await.expect("a client comes");
        if greets {
            take_line(&mut stream).await;
            stream.write_all(GREETING).await.expect("the client takes its greeting");
        }
        part(stream).await;
    });
    PoolClient::connect(socket, &one(), limits).await
}

fn hung(phase: Phase, limit: Limit, after: Duration) -> PoolCallError {
    LineError::Hung { phase, limit, after }.into()
}

fn locally<F: Future>(future: F) -> F::Output {
    on_a_clock_of_its_own(tokio::task::LocalSet::new().run_until(future))
}

/// Asserts that a call took exactly its limit on the paused clock, whose timers have whole milliseconds.
#[track_caller]
fn assert_took(began: Instant, limit: Duration) {
    let took = began.elapsed();
    assert!(took >= limit && took <= limit + Duration::from_millis(2), "it took {took:?} of {limit:?}");
}

fn a_slow_sender_meets_the_deadline_of_the_call() {
    let env = TestEnv::new();
    let drips = |mut stream: UnixStream| async move {
        take_line(&mut stream).await;
        drip(&mut stream).await;
    };
    locally(async {
        let began = Instant::now();
        let greeted = client_of(&env.path("handshake"), false, limits(), drips).await;
        assert_eq!(greeted.map(drop), Err(hung(Phase::Line, Limit::Answer, CALL)));
        assert_took(began, CALL);
    });
    locally(async {
        let mut client = client_of(&env.path("run"), true, limits(), drips).await.expect("it shakes hands");
        let began = Instant::now();
        assert_eq!(client.run(Run::default()).await, Err(hung(Phase::Line, Limit::Work, CALL)));
        assert_took(began, CALL);
    });
    locally(async {
        let mut client =
            client_of(&env.path("status"), true, limits(), drips).await.expect("it shakes hands");
        let began = Instant::now();
        let status = client.status(StatusRequest::default()).await;
        assert_eq!(status, Err(hung(Phase::Line, Limit::Answer, CALL)));
        assert_took(began, CALL);
    });
}

/// The peer reads late, answers late and slowly: each phase alone would be short enough.
fn all_phases_of_a_call_share_its_deadline() {
    let env = TestEnv::new();
    let slow = |mut stream: UnixStream| async move {
        sleep(CALL / 2).await;
        take_line(&mut stream).await;
        sleep(CALL / 4).await;
        drip(&mut stream).await;
    };
    locally(async {
        let mut client = client_of(&env.path("peer"), true, limits(), slow).await.expect("it shakes hands");
        let began = Instant::now();
        // More than the kernel buffers for a peer that does not read.
        let run = Run { code: "x".repeat(8 << 20), ..Run::default() };
        assert_eq!(client.run(run).await, Err(hung(Phase::Line, Limit::Work, CALL)));
        assert_took(began, CALL);
    });
    let deaf = |stream: UnixStream| async move {
        sleep(HOUR).await;
        drop(stream);
    };
    locally(async {
        let mut client = client_of(&env.path("deaf"), true, limits(), deaf).await.expect("it shakes hands");
        let began = Instant::now();
        let run = Run { code: "x".repeat(8 << 20), ..Run::default() };
        assert_eq!(client.run(run).await, Err(hung(Phase::Write, Limit::Work, CALL)));
        assert_took(began, CALL);
    });
}

fn a_phase_may_be_bounded_more_closely() {
    let env = TestEnv::new();
    let mut limits = limits();
    limits.deadlines.work = HOUR;
    limits.deadlines.line = CALL;
    locally(async {
        let drips = |mut stream: UnixStream| async move {
            take_line(&mut stream).await;
            drip(&mut stream).await;
        };
        let mut client = client_of(&env.path("peer"), true, limits, drips).await.expect("it shakes hands");
        assert_eq!(client.run(Run::default()).await, Err(hung(Phase::Line, Limit::Line, CALL)));
    });
}

/// Runs a verb of the pool with all of its time-outs set.
fn pool(env: &TestEnv, verb: &[&str], times: &[&str], rest: &[&str]) -> Reply {
    let times = times.iter().flat_map(|time| [*time, "700ms"]);
    env.rekindle([&["pool"], verb, &times.collect::<Vec<_>>(), rest].concat())
}

/// Asserts that the reply names the slow phase, and the option for more time.
#[track_caller]
fn assert_hung(reply: Reply, option: &str) {
    let reply = reply.expect_error(1, "worker-hung");
    assert!(reply.text("message").contains("did not end the line that it began within 700 ms"), "{reply}");
    assert!(reply.text("hint").contains(option), "{reply}");
}

fn every_verb_of_the_pool_ends_against_a_slow_sender() {
    let env = TestEnv::new();
    let drips_in = |op: &'static str| {
        let worker = programs::pool_worker("{socket}", &[Quirk::Drips(op, &env.path(op))]);
        ["--".to_owned()].into_iter().chain(worker).collect::<Vec<_>>()
    };
    let start = |worker: &[String], times: &[&str]| {
        let worker: Vec<&str> = worker.iter().map(String::as_str).collect();
        pool(&env, &["run", "--speak", "1", "--code", "x"], times, &worker)
    };
    let all = ["--work-timeout", "--answer-timeout"];
    for (op, option) in [("handshake", "--answer-timeout"), ("run", "--work-timeout")] {
        env.file(op, "");
        assert_hung(start(&drips_in(op), &all), option);
        std::fs::remove_file(env.path(op)).expect("it was made");
    }
    let of_one = ["--timeout", "--answer-timeout"];
    let of_work = ["--timeout", "--answer-timeout", "--work-timeout"];
    let continue_session = ["continue", "--speak", "1", "--response", "x"];
    let cases: [(&'static str, &[&str], &[&str], &str); 4] = [
        ("handshake", &continue_session, &of_work, "--answer-timeout"),
        ("continue", &continue_session, &of_work, "--work-timeout"),
        ("handshake", &["status"], &of_one, "--answer-timeout"),
        ("status", &["status"], &of_one, "--answer-timeout"),
    ];
    for (op, verb, times, option) in cases {
        let paused = start(&drips_in(op), &[]);
        env.file(op, "");
        assert_hung(pool(&env, verb, times, &[paused.text("session_id")]), option);
        std::fs::remove_file(env.path(op)).expect("it was made");
        pool(&env, &["shutdown"], &[], &[paused.text("session_id")]).expect(0, "stopped");
    }
    for op in ["handshake", "shutdown"] {
        let paused = start(&drips_in(op), &[]);
        env.file(op, "");
        let times = ["--timeout", "--answer-timeout", "--term-grace"];
        pool(&env, &["shutdown"], &times, &[paused.text("session_id")]).expect(0, "stopped");
        std::fs::remove_file(env.path(op)).expect("it was made");
    }
}

/// U35: the worker of a host that was killed before the work had a name.
fn a_collection_waits_for_nobody_longer_than_it_was_told() {
    let env = TestEnv::new();
    let (run, handshake) = (env.path("run"), env.path("handshake"));
    let worker = programs::pool_worker(
        "{socket}",
        &[Quirk::Drips("run", &run), Quirk::Drips("handshake", &handshake)],
    );
    env.file("run", "");
    let args = ["pool", "run", "--speak", "1", "--code", "x", "--"].into_iter().map(str::to_owned);
    let host = Launcher::start(env.rekindle_command(args.chain(worker)));
    let session = wait::for_some("a worker is ready", || {
        let mut names = std::fs::read_dir(env.state()).ok()?.flatten();
        let name =
            names.find_map(|entry| entry.file_name().into_string().ok().filter(|it| it.starts_with("p-")))?;
        let is_ready = env.of(&name, "session.json").exists() && env.record(&name)["state"] == "ready";
        is_ready.then_some(name)
    });
    host.signal(Signal::SIGKILL);
    host.finish();
    env.file("handshake", "");
    let reply = pool(&env, &["gc", "-v"], &["--timeout", "--answer-timeout"], &[]);
    assert_eq!(reply.code, Some(0), "{reply}");
    let said = "did not end the line that it began within 700 ms";
    assert!(reply.stderr.contains(&session) && reply.stderr.contains(said), "{reply}");
    assert!(procs::is_running(env.worker_pid(&session)), "who does not answer stays");
}

fn a_run_ends_against_a_worker_that_never_accepts() {
    let env = TestEnv::new();
    let reply = pool(&env, &["run", "--speak", "1", "--code", "x"], &["--timeout"], &["--", "sleep", "1000"]);
    let reply = reply.expect_error(1, "worker-not-started");
    let message = reply.text("message");
    assert!(message.contains("it did not accept a connection within 700 ms"), "{reply}");
    assert!(message.contains("it was told to go and was ended by signal 15"), "{reply}");
    assert!(reply.text("hint").contains("--timeout"), "{reply}");
    env.assert_no_process();
}

/// The worker echoes the handshake, which is no answer, and ignores SIGTERM.
fn a_run_ends_a_worker_of_no_use_within_the_caller_s_grace() {
    let env = TestEnv::new();
    let rekindle = cli::binary_arg();
    let deaf = [
        "--",
        "sh",
        "-c",
        "trap '' TERM; \"$@\"",
        "sh",
        &rekindle,
        "worker",
        "--ignore-term",
        "--socket",
        "{socket}",
    ];
    // Without this grace, the command's time-out would end the test.
    let times = ["run", "--speak", "1", "--code", "x", "--timeout", "30s"];
    let reply = pool(&env, &times, &["--answer-timeout", "--term-grace"], &deaf);
    assert_eq!(reply.code, Some(1), "{reply}");
    assert!(reply.text("message").contains("the worker was killed"), "{reply}");
    wait::until("nothing is left", || env.processes().is_empty());
}
