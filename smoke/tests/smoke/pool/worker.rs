//! Workers of the pool protocol as processes: the reference worker, the scripted worker and a Python worker, with their sockets, versions and ends (S2, S13,
//! S14, S18, T03, T33).

use crate::protocol::client::{SHORT, answer, connect, hung, memory_peak_kib, patient, run};
use nix::sys::signal::Signal;
use rekindle::protocol::{
    Continue, Feed, Run, Speaking, StatusRequest, VersionPolicy, WorkerName, host_json,
};
use rekindle_adapters::PoolClient;
use rekindle_adapters::client::PoolCallError;
use rekindle_adapters::lines::{Limit, LineError, Phase};
use rekindle_core::Lifeline;
use rekindle_smoke::peers::take_line;
use rekindle_smoke::programs::{Quirk, pool_worker, scripted_worker};
use rekindle_smoke::{Launcher, TestEnv, cli, procs, tests, wait};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

tests![
    a_session_asks_its_host_and_comes_to_an_end,
    a_paused_session_survives_its_client,
    a_second_session_waits_for_the_end_of_the_first,
    a_line_of_a_gigabyte_is_refused_without_its_memory,
    a_socket_is_private_whatever_the_umask,
    a_worker_that_is_asked_to_end_leaves_nothing,
    a_worker_that_ignores_sigterm_is_killed_all_the_same,
    a_worker_without_clients_ends,
    the_socket_of_a_dead_worker_is_replaced,
    a_socket_whose_worker_is_not_known_to_be_dead_is_kept,
    a_live_socket_is_never_taken,
    one_of_many_workers_gets_the_socket_of_a_dead_one,
    a_worker_that_rekindle_starts_needs_no_lock_of_its_own,
    a_stopped_worker_is_hung_and_goes_on,
    versions_that_differ_end_no_worker,
    an_answer_never_comes_from_a_later_worker,
    a_strange_worker_is_spoken_with,
    a_strange_worker_that_answers_for_another_session_is_not_believed,
    a_strange_worker_that_refuses_or_dies_is_a_typed_error,
    a_strange_worker_serves_one_client_after_the_other,
    a_strange_worker_that_leaves_with_its_client_is_kept_by_the_connection,
];

/// How often two callers of different versions meet one worker.
const ROUNDS: usize = 100;

/// The number of workers contending for one socket.
const RIVALS: usize = 8;

/// `rekindle worker --protocol pool` on the test environment's socket, without a launcher.
fn launch(env: &TestEnv, options: &[&str]) -> Launcher {
    let mut command = env.rekindle_command(["worker", "--protocol", "pool", "--socket"]);
    command.arg(env.path("sock")).args(options);
    Launcher::start(command)
}

/// Starts a worker, and waits until it listens.
fn start(env: &TestEnv, options: &[&str]) -> Launcher {
    listening(env, launch(env, options))
}

/// Starts the scripted worker on the test environment's socket, and waits until it listens.
fn start_scripted(env: &TestEnv) -> Launcher {
    let mut command = env.command(scripted_worker());
    command.env("REKINDLE_SOCKET", env.path("sock"));
    listening(env, Launcher::start(command))
}

fn listening(env: &TestEnv, worker: Launcher) -> Launcher {
    wait::until("the worker listens", || UnixStream::connect(env.path("sock")).is_ok());
    worker
}

/// Starts a Python worker on the test environment's socket, and waits until it listens. No connection is made, since
/// connections may be counted.
fn start_strange(env: &TestEnv, quirks: &[Quirk<'_>]) -> Launcher {
    let socket = env.path("sock");
    let args = pool_worker(socket.to_str().expect("a test environment's path is UTF-8"), quirks);
    let mut command = env.command(&args[0]);
    command.args(&args[1..]);
    let worker = Launcher::start(command);
    wait::until("the worker listens", || {
        let table = fs::read_to_string("/proc/net/unix").expect("the kernel has a table of sockets");
        table
            .lines()
            .any(|line| line.ends_with(socket.to_str().expect("it is UTF-8")) && line.contains(" 00010000 "))
    });
    worker
}

fn code(code: &str, ctx: Value) -> Run {
    Run { code: code.to_owned(), ctx, lib_paths: Vec::new() }
}

/// The host's view.
fn seen(feed: &Feed) -> Value {
    let name = feed.session_id.clone().unwrap_or_else(|| "ours".parse().expect("a short text is a name"));
    host_json(&name, &feed.feed_result)
}

fn answer_to(query: &str, response: &str) -> Continue {
    Continue { query_id: Some(query.to_owned()), ..answer("session", response) }
}

fn a_session_asks_its_host_and_comes_to_an_end() {
    let env = TestEnv::new();
    let worker = start_scripted(&env);
    wait::run(async {
        let mut client = connect(&env.path("sock"), patient()).await.expect("it shakes hands");
        let script = "a, b = ask_all(\"Your {ctx.what}?\", \"Your age?\")\nc = ask(\"{a}, really?\")\ndone(\"{a} is {b}: {c}\")";
        let feed = client.run(code(script, json!({"what": "name"}))).await.expect("it begins");
        let queries = json!([
            {"id": "q-0", "prompt": "Your name?", "system": null, "max_tokens": 1024},
            {"id": "q-1", "prompt": "Your age?", "system": null, "max_tokens": 1024},
        ]);
        assert_eq!(
            seen(&feed),
            json!({"status": "needs_response", "session_id": "session", "queries": queries})
        );
        let refused = client.continue_session(answer("session", "x")).await;
        assert!(matches!(refused, Err(PoolCallError::Refused(_))), "which query? {refused:?}");
        let feed = client.continue_session(answer_to("q-1", "7")).await.expect("it is answered");
        assert_eq!(seen(&feed), json!({"status": "accepted", "remaining": 1}));
        let feed = client.continue_session(answer("session", "Ada")).await.expect("it is answered");
        assert_eq!(
            (&seen(&feed)["query_id"], &seen(&feed)["prompt"]),
            (&json!("q-2"), &json!("Ada, really?"))
        );
        let report = client.status(StatusRequest { include_history: true }).await.expect("it says");
        assert!(report.has_session);
        let history = report.conversation_history.expect("it was asked for");
        assert_eq!(history.as_array().map(Vec::len), Some(5), "{history}");
        let feed = client.continue_session(answer_to("q-2", "yes")).await.expect("it is answered");
        assert_eq!(
            seen(&feed),
            json!({"status": "completed", "result": "Ada is 7: yes", "stats": {"queries": 3}})
        );
        assert!(!client.status(StatusRequest::default()).await.expect("it says").has_session);
        let feed =
            client.run(code("fail(\"no {ctx.what}\")", json!({"what": "luck"}))).await.expect("it begins");
        assert_eq!(seen(&feed), json!({"status": "error", "error": "no luck"}));
        client.shutdown().await.expect("it agrees to end");
    });
    assert_eq!(worker.finish().code, Some(0));
    assert!(!env.path("sock").exists());
}

fn a_paused_session_survives_its_client() {
    let env = TestEnv::new();
    let _worker = start(&env, &[]);
    wait::run(async {
        let mut client = connect(&env.path("sock"), patient()).await.expect("it shakes hands");
        client.run(code("Who?", Value::Null)).await.expect("it begins");
        drop(client);
        let mut client = connect(&env.path("sock"), patient()).await.expect("it shakes hands");
        let feed = client.continue_session(answer("session", "Ada")).await.expect("it waited");
        assert_eq!(seen(&feed)["result"], "Ada");
        let refused =
            client.continue_session(answer("another", "Ada")).await.expect_err("there is no such session");
        assert!(refused.to_string().contains("no session `another` waits"), "{refused}");
    });
}

fn a_second_session_waits_for_the_end_of_the_first() {
    let env = TestEnv::new();
    let _worker = start(&env, &[]);
    wait::run(async {
        let mut first = connect(&env.path("sock"), patient()).await.expect("it shakes hands");
        let mut second = connect(&env.path("sock"), patient()).await.expect("it shakes hands");
        first.run(code("Who?", Value::Null)).await.expect("it begins");
        let refused = second.run(code("Whose?", Value::Null)).await;
        assert!(matches!(refused, Err(PoolCallError::Refused(_))), "{refused:?}");
        first.continue_session(answer("session", "x")).await.expect("it goes on");
        assert!(second.run(code("Whose?", Value::Null)).await.is_ok());
    });
}

/// T32, from the other side: a client's data costs the worker at most the memory of the longest line.
fn a_line_of_a_gigabyte_is_refused_without_its_memory() {
    const PIECE: usize = 1 << 20;
    let env = TestEnv::new();
    let worker = start(&env, &[]);
    let mut flood = UnixStream::connect(env.path("sock")).expect("it listens");
    let piece = vec![b'x'; PIECE];
    let sent = (0..1024).take_while(|_| flood.write_all(&piece).is_ok()).count();
    assert!(sent < 1024, "all of it was taken");
    let mut came = String::new();
    // The worker has closed with some of our bytes unread; the kernel reports the reset after the worker's last words.
    let _ = flood.read_to_string(&mut came);
    assert_eq!(came, "{\"ok\":false,\"error\":\"the request is longer than 16777216 bytes\"}\n");
    let peak = memory_peak_kib(worker.pid());
    assert!(peak < 100 << 10, "{peak} KiB");
    assert!(wait::run(run(&env.path("sock"), patient())).is_ok(), "it serves on");
}

fn a_socket_is_private_whatever_the_umask() {
    for umask in ["000", "077"] {
        let env = TestEnv::new();
        let mut command = env.command("/bin/sh");
        command.args(["-c", "umask $0 && exec \"$@\"", umask]).arg(cli::binary());
        command.args(["worker", "--protocol", "pool", "--socket"]).arg(env.path("dir/sock"));
        let _worker = Launcher::start(command);
        // From the first moment of its existence, the socket is never open to others.
        wait::until_there(&env.path("dir/sock"));
        let mode =
            |name: &str| fs::metadata(env.path(name)).expect("it is there").permissions().mode() & 0o7777;
        assert_eq!((mode("dir"), mode("dir/sock")), (0o700, 0o600), "umask {umask}");
    }
}

fn a_worker_that_is_asked_to_end_leaves_nothing() {
    let env = TestEnv::new();
    let worker = start(&env, &[]);
    let mut silent = UnixStream::connect(env.path("sock")).expect("it listens");
    silent.write_all(b"{\"op\":\"handshake\",\"version\":\"1\"}\n").expect("it takes a line");
    take_line(&mut silent);
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.finish().code, Some(0));
    assert!(!env.path("sock").exists());
    assert_eq!(silent.read(&mut [0]).expect("it is told"), 0);
}

fn a_worker_that_ignores_sigterm_is_killed_all_the_same() {
    let env = TestEnv::new();
    let command = [&cli::binary_arg(), "worker", "--protocol", "pool", "--ignore-term"];
    env.up("s", &command).expect_running("started");
    let stopped = env.rekindle(["stop", "s", "--term-grace", "100ms"]);
    stopped.expect(0, "killed");
    env.assert_nothing_left("s");
}

fn a_worker_without_clients_ends() {
    let env = TestEnv::new();
    let worker = start(&env, &["--idle-timeout", "2s"]);
    // Not while a session is paused, and then by itself.
    wait::run(async {
        let mut client = connect(&env.path("sock"), patient()).await.expect("it shakes hands");
        client.run(code("Who?", Value::Null)).await.expect("it begins");
        drop(client);
        let other = TestEnv::new();
        assert_eq!(launch(&other, &["--idle-timeout", "2s"]).finish().code, Some(0), "one without a session");
        let mut client = connect(&env.path("sock"), patient()).await.expect("it is still there");
        client.continue_session(answer("session", "x")).await.expect("it waited");
    });
    assert_eq!(worker.finish().code, Some(0));
    assert!(!env.path("sock").exists());
}

/// The worker's lock is free, and the socket is the one bound under the lock.
fn the_socket_of_a_dead_worker_is_replaced() {
    let env = TestEnv::new();
    let worker = start(&env, &[]);
    worker.signal(Signal::SIGKILL);
    assert_eq!(worker.finish().signal, Some(Signal::SIGKILL as i32));
    assert!(env.path("sock").exists(), "it left its socket");
    let worker = start(&env, &[]);
    assert!(wait::run(run(&env.path("sock"), patient())).is_ok());
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.finish().code, Some(0));
}

/// S2: a missing listener proves nothing about the socket's owner.
fn a_socket_whose_worker_is_not_known_to_be_dead_is_kept() {
    let env = TestEnv::new();
    let refused = |what: &str| {
        let refused = launch(&env, &[]).finish().expect_error(1, "worker");
        assert!(refused.text("message").contains("may still live"), "{what}: {refused}");
        assert!(env.path("sock").exists(), "{what}");
    };
    drop(UnixListener::bind(env.path("sock")).expect("a test environment can hold a socket"));
    refused("one that nobody has locked for");
    // A worker of ours with another socket under the same name.
    fs::remove_file(env.path("sock")).expect("it is ours");
    let worker = start(&env, &[]);
    worker.signal(Signal::SIGKILL);
    worker.finish();
    fs::remove_file(env.path("sock")).expect("it is ours");
    drop(UnixListener::bind(env.path("sock")).expect("a test environment can hold a socket"));
    refused("one that was bound later");
}

/// S2: neither a worker's nor anybody else's.
fn a_live_socket_is_never_taken() {
    let env = TestEnv::new();
    let first = start(&env, &[]);
    let refused = launch(&env, &[]).finish().expect_error(1, "worker");
    assert!(refused.text("message").contains("another worker serves"), "{refused}");
    assert!(wait::run(run(&env.path("sock"), patient())).is_ok(), "the first one serves on");
    first.signal(Signal::SIGTERM);
    first.finish();
    let listener = UnixListener::bind(env.path("sock")).expect("a test environment can hold a socket");
    let refused = launch(&env, &[]).finish().expect_error(1, "worker");
    assert!(refused.text("message").contains("it accepts connections"), "{refused}");
    drop(UnixStream::connect(env.path("sock")).expect("it still is there"));
    drop(listener);
    fs::remove_file(env.path("sock")).expect("it is ours");
    env.file("sock", "mine");
    launch(&env, &[]).finish().expect_error(1, "worker");
    assert_eq!(fs::read(env.path("sock")).expect("it is there"), b"mine");
}

fn one_of_many_workers_gets_the_socket_of_a_dead_one() {
    let env = TestEnv::new();
    let worker = start(&env, &[]);
    worker.signal(Signal::SIGKILL);
    worker.finish();
    let mut rivals: Vec<_> = (0..RIVALS).map(|_| launch(&env, &[])).collect();
    let left = |rivals: &[Launcher]| rivals.iter().filter(|rival| procs::is_running(rival.pid())).count();
    wait::until("all but one have given up", || left(&rivals) == 1);
    let at = rivals.iter().position(|rival| procs::is_running(rival.pid())).expect("one is left");
    let winner = rivals.swap_remove(at);
    for loser in rivals {
        loser.finish().expect_error(1, "worker");
    }
    wait::until("the winner listens", || UnixStream::connect(env.path("sock")).is_ok());
    assert!(wait::run(run(&env.path("sock"), patient())).is_ok());
    winner.signal(Signal::SIGTERM);
    assert_eq!(winner.finish().code, Some(0));
}

/// The lifeline replaces the lock; and a worker without a lifeline cannot take the socket away.
fn a_worker_that_rekindle_starts_needs_no_lock_of_its_own() {
    let env = TestEnv::new();
    let command = [&cli::binary_arg(), "worker", "--protocol", "pool"];
    let first = env.up("s", &command).expect_running("started");
    assert!(!env.of("s", "sock.lock").exists());
    let mut rival = env.rekindle_command(["worker", "--protocol", "pool", "--socket"]);
    rival.arg(env.socket("s"));
    let refused = Launcher::start(rival).finish().expect_error(1, "worker");
    assert!(refused.text("message").contains("is taken"), "{refused}");
    let feed = wait::run(run(&env.socket("s"), patient())).expect("it serves on");
    assert_eq!(feed.session_id.as_ref().map(WorkerName::as_str), Some("s"), "it was told its name");
    procs::send(first.pid(), Signal::SIGKILL);
    wait::until("its lifeline is free", || env.lifeline("s") == Lifeline::Free);
    env.up("s", &command).expect_running("started");
    env.stop("s").expect(0, "stopped");
    env.assert_nothing_left("s");
}

/// S13: the worker accepts, since the kernel does, and is alive.
fn a_stopped_worker_is_hung_and_goes_on() {
    let env = TestEnv::new();
    let worker = start_scripted(&env);
    let (mut working, mut greeting) = (patient(), patient());
    working.deadlines.work = SHORT;
    greeting.deadlines.answer = SHORT;
    wait::run(async {
        let mut client = connect(&env.path("sock"), working).await.expect("it shakes hands");
        worker.signal(Signal::SIGSTOP);
        wait::until("it is stopped", || procs::state(worker.pid()) == Some('T'));
        assert_eq!(client.run(Run::default()).await, Err(hung(Phase::Answer, Limit::Work)));
        let greeted = connect(&env.path("sock"), greeting).await;
        assert_eq!(greeted.map(drop), Err(hung(Phase::Answer, Limit::Answer)));
        worker.signal(Signal::SIGCONT);
        assert!(run(&env.path("sock"), patient()).await.is_ok());
    });
}

/// S14, T33: refused before anything is asked; both versions named; the same worker all the time.
fn versions_that_differ_end_no_worker() {
    let env = TestEnv::new();
    let worker = start(&env, &[]);
    let speaking = |version: &str| Speaking::exactly(version.parse().expect("a short text is a version"));
    wait::run(async {
        let mut paused = connect(&env.path("sock"), patient()).await.expect("it shakes hands");
        paused.run(code("Who?", Value::Null)).await.expect("it begins");
        for _ in 0..ROUNDS {
            let other = PoolClient::connect(&env.path("sock"), &speaking("2"), patient()).await;
            let error = other.expect_err("it speaks another version");
            assert_eq!(
                error.to_string(),
                "the worker speaks version `1`, we speak `2`; use a worker and a caller of one version"
            );
            assert!(connect(&env.path("sock"), patient()).await.is_ok());
        }
        let tolerant = speaking("2").policy(VersionPolicy::AlsoOneOf(vec!["1".parse().expect("it is one")]));
        assert!(PoolClient::connect(&env.path("sock"), &tolerant, patient()).await.is_ok());
        let feed =
            paused.continue_session(answer("session", "Ada")).await.expect("its session is what it was");
        assert_eq!(seen(&feed)["result"], "Ada");
    });
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.finish().code, Some(0), "it was the same all the time");
}

/// S18: a connection belongs to the worker that accepted it.
fn an_answer_never_comes_from_a_later_worker() {
    let env = TestEnv::new();
    wait::run(async {
        let first = start(&env, &[]);
        let mut delayed = connect(&env.path("sock"), patient()).await.expect("it shakes hands");
        first.signal(Signal::SIGKILL);
        first.finish();
        let _second = start(&env, &[]);
        let closed = PoolCallError::Line(LineError::ClosedEarly { received: 0 });
        assert_eq!(delayed.status(StatusRequest::default()).await, Err(closed));
        assert_eq!(delayed.status(StatusRequest::default()).await, Err(PoolCallError::Spent));
    });
}

fn a_strange_worker_is_spoken_with() {
    let env = TestEnv::new();
    let worker = start_strange(&env, &[Quirk::SaysMore]);
    wait::run(async {
        let mut client = connect(&env.path("sock"), patient()).await.expect("it shakes hands");
        assert_eq!(client.greeting().more["pid"], worker.pid());
        assert_eq!(client.peer().map(rekindle_core::Pid::as_raw), Some(worker.pid()));
        let feed = client.run(code("Who?", Value::Null)).await.expect("it begins");
        let name = feed.session_id.clone().expect("it has a name of its own");
        assert!(name.as_str().contains(':'), "{name}");
        assert_eq!(seen(&feed)["session_id"], name.as_str());
        let feed = client.continue_session(answer(name.as_str(), "Ada")).await.expect("it goes on");
        assert_eq!((&seen(&feed)["status"], &seen(&feed)["result"]), (&json!("completed"), &json!("Ada")));
        let feed = client.run(code("a|b", Value::Null)).await.expect("it begins");
        assert_eq!(seen(&feed)["queries"].as_array().map(Vec::len), Some(2));
        let feed = client.continue_session(answer(name.as_str(), "1")).await.expect("it goes on");
        assert_eq!(seen(&feed), json!({"status": "accepted", "remaining": 1}));
        let odd = client.run(code("odd", Value::Null)).await.expect("it begins");
        assert!(seen(&odd)["error"].as_str().unwrap_or_default().contains("Sleeping"), "{odd:?}");
        client.shutdown().await.expect("it agrees to end");
    });
    assert_eq!(worker.finish().code, Some(0));
}

fn a_strange_worker_that_answers_for_another_session_is_not_believed() {
    let env = TestEnv::new();
    let _worker = start_strange(&env, &[Quirk::Names("mine"), Quirk::AnswersFor("another\u{7}")]);
    wait::run(async {
        let mut client = connect(&env.path("sock"), patient()).await.expect("it shakes hands");
        client.run(code("Who?", Value::Null)).await.expect("it begins");
        let error = client.continue_session(answer("mine", "x")).await.expect_err("that was not asked");
        assert_eq!(error.to_string(), "the worker answered for session `another\\u{7}`, not for `mine`");
        assert_eq!(client.status(StatusRequest::default()).await, Err(PoolCallError::Spent));
    });
    // A worker that names no session answers for its only session.
    let env = TestEnv::new();
    let _worker = start_strange(&env, &[Quirk::Nameless]);
    wait::run(async {
        let mut client = connect(&env.path("sock"), patient()).await.expect("it shakes hands");
        let feed = client.run(code("Who?", Value::Null)).await.expect("it begins");
        assert_eq!((feed.session_id.as_ref(), &seen(&feed)["session_id"]), (None, &json!("ours")));
        assert!(client.continue_session(answer("ours", "x")).await.is_ok());
    });
}

fn a_strange_worker_that_refuses_or_dies_is_a_typed_error() {
    let env = TestEnv::new();
    let _worker = start_strange(&env, &[Quirk::RefusesHandshake]);
    let error = wait::run(run(&env.path("sock"), patient())).expect_err("it refuses");
    assert_eq!(error.to_string(), "the worker refused: not with \\u{1b}[31m1");
    let env = TestEnv::new();
    let worker = start_strange(&env, &[Quirk::DiesInRun]);
    let error = wait::run(run(&env.path("sock"), patient()));
    assert_eq!(error, Err(LineError::ClosedEarly { received: 0 }.into()));
    assert_eq!(worker.finish().code, Some(7));
    let env = TestEnv::new();
    let _worker = start_strange(&env, &[Quirk::HangsInRun, Quirk::Speaks("1")]);
    let mut limits = patient();
    limits.deadlines.work = SHORT;
    let error = wait::run(run(&env.path("sock"), limits));
    assert_eq!(error, Err(hung(Phase::Answer, Limit::Work)));
}

/// The second client has a deadline, and is served once the first has left.
fn a_strange_worker_serves_one_client_after_the_other() {
    let env = TestEnv::new();
    let _worker = start_strange(&env, &[Quirk::OneAtATime]);
    let mut limits = patient();
    limits.deadlines.answer = SHORT;
    wait::run(async {
        let first = connect(&env.path("sock"), patient()).await.expect("it shakes hands");
        let second = connect(&env.path("sock"), limits).await;
        assert_eq!(second.map(drop), Err(hung(Phase::Answer, Limit::Answer)));
        drop(first);
        assert!(connect(&env.path("sock"), patient()).await.is_ok());
    });
}

/// The connection with the answered handshake is passed on, and keeps the worker.
fn a_strange_worker_that_leaves_with_its_client_is_kept_by_the_connection() {
    let env = TestEnv::new();
    let worker = start_strange(&env, &[Quirk::LeavesWithClient]);
    wait::run(async {
        let client = connect(&env.path("sock"), patient()).await.expect("it shakes hands");
        let connection = client.into_connection().expect("it is as good as new");
        let one = crate::protocol::client::one();
        let mut client = PoolClient::open(connection, &one, patient()).await.expect("hands were shaken");
        assert!(client.run(code("done", json!(7))).await.is_ok());
        assert!(procs::is_running(worker.pid()));
    });
    assert_eq!(worker.finish().code, Some(0));
    assert!(Path::new(&env.path("sock")).exists(), "it is not a tidy one");
}
