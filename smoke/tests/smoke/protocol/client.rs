//! The client of the pool protocol against peers that hang, lie and flood (S13 to S18, T32).

use rekindle::protocol::{
    Continue, Feed, Malformed, Run, Speaking, StatusRequest, WORKER_NAME_LEN_MAX, WorkerName,
};
use rekindle_adapters::PoolClient;
use rekindle_adapters::client::{Limits, PoolCallError};
use rekindle_adapters::lines::{Limit, LineError, Phase, Whose};
use rekindle_smoke::peers::{GREETING, Peer, greet, hang, take_line, what_came};
use rekindle_smoke::wait::FACT_TIMEOUT;
use rekindle_smoke::{TestEnv, procs, tests, wait};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::pin::pin;
use std::thread;
use std::time::Duration;

tests![
    a_worker_that_is_silent_is_hung,
    a_worker_that_is_silent_at_the_handshake_is_hung,
    a_worker_that_never_accepts_is_hung,
    half_a_line_is_no_answer,
    a_line_that_comes_too_slowly_is_hung,
    a_line_that_comes_byte_by_byte_is_an_answer,
    an_end_at_any_byte_is_no_answer,
    a_line_of_a_gigabyte_costs_no_memory,
    what_is_no_message_is_said_to_be_none,
    two_messages_at_once_are_no_answer,
    what_came_before_the_question_is_no_answer,
    a_refusal_needs_no_question,
    a_worker_that_never_reads_is_hung,
    a_worker_that_reads_slowly_gets_all,
    a_request_that_is_too_long_is_not_sent,
    a_dropped_call_spends_its_connection,
    an_answer_to_another_question_is_none,
    a_socket_without_a_worker_is_unreachable,
    a_connection_is_handed_on_with_its_greeting,
];

/// A deadline that passes before the peer acts.
pub(crate) const SHORT: Duration = Duration::from_millis(150);

/// Deadlines that pass only after a hang.
pub(crate) fn patient() -> Limits {
    let mut limits = Limits::default();
    limits.deadlines.connect = FACT_TIMEOUT;
    limits.deadlines.write = FACT_TIMEOUT;
    limits.deadlines.answer = FACT_TIMEOUT;
    limits.deadlines.work = FACT_TIMEOUT;
    limits.deadlines.line = FACT_TIMEOUT;
    limits
}

pub(crate) fn one() -> Speaking {
    Speaking::exactly("1".parse().expect("a short text is a version"))
}

pub(crate) async fn connect(socket: &Path, limits: Limits) -> Result<PoolClient, PoolCallError> {
    PoolClient::connect(socket, &one(), limits).await
}

/// Connects and begins a session.
pub(crate) async fn run(socket: &Path, limits: Limits) -> Result<Feed, PoolCallError> {
    connect(socket, limits).await?.run(Run::default()).await
}

pub(crate) fn answer(sid: &str, response: &str) -> Continue {
    let sid = sid.parse().expect("a short text is a name");
    Continue { sid, response: response.to_owned(), query_id: None, usage: Value::Null }
}

pub(crate) fn hung(phase: Phase, limit: Limit) -> PoolCallError {
    LineError::Hung { phase, limit, after: SHORT }.into()
}

fn feed_line(result: &Value) -> String {
    json!({ "ok": true, "data": { "kind": "feed", "session_id": "s", "feed_result": result } }).to_string()
        + "\n"
}

/// After any peer, the same process can still talk to a good peer.
fn expect_usable(env: &TestEnv) {
    // The misbehaving peer's socket is not used again.
    let _ = fs::remove_file(env.path("peer"));
    let good = Peer::after_a_request(env, |stream| {
        stream.write_all(feed_line(&json!(7)).as_bytes()).expect("the client takes an answer");
    });
    let feed = wait::run(run(good.socket(), patient())).expect("a good worker answers");
    assert_eq!(feed.feed_result, 7);
    good.finish();
}

/// S13: with phase and deadline; and the connection is spent.
fn a_worker_that_is_silent_is_hung() {
    let env = TestEnv::new();
    let peer = Peer::after_a_request(&env, hang);
    let mut limits = patient();
    limits.deadlines.work = SHORT;
    wait::run(async {
        let mut client = connect(peer.socket(), limits).await.expect("it shakes hands");
        assert_eq!(client.run(Run::default()).await, Err(hung(Phase::Answer, Limit::Work)));
        assert!(!client.is_usable());
        assert_eq!(client.run(Run::default()).await, Err(PoolCallError::Spent));
        assert_eq!(client.status(StatusRequest::default()).await, Err(PoolCallError::Spent));
        assert_eq!(client.into_connection().map(drop), Err(PoolCallError::Spent));
    });
    peer.finish();
    expect_usable(&env);
}

fn a_worker_that_is_silent_at_the_handshake_is_hung() {
    let env = TestEnv::new();
    let peer = Peer::to_one(&env, hang);
    let mut limits = patient();
    limits.deadlines.answer = SHORT;
    assert_eq!(wait::run(run(peer.socket(), limits)), Err(hung(Phase::Answer, Limit::Answer)));
    peer.finish();
    expect_usable(&env);
}

/// The kernel buffers the connection and the line, but no process ever reads them.
fn a_worker_that_never_accepts_is_hung() {
    let env = TestEnv::new();
    let listener = UnixListener::bind(env.path("peer")).expect("a test environment can hold a socket");
    let mut limits = patient();
    limits.deadlines.answer = SHORT;
    assert_eq!(wait::run(run(&env.path("peer"), limits)), Err(hung(Phase::Answer, Limit::Answer)));
    drop(listener);
    expect_usable(&env);
}

fn half_a_line_is_no_answer() {
    let env = TestEnv::new();
    let peer = Peer::after_a_request(&env, |stream| {
        stream.write_all(b"{\"ok\":true,\"data\":{\"kind\":\"feed\"").expect("the client takes it");
        hang(stream);
    });
    let mut limits = patient();
    limits.deadlines.line = SHORT;
    assert_eq!(wait::run(run(peer.socket(), limits)), Err(hung(Phase::Line, Limit::Line)));
    peer.finish();
    expect_usable(&env);
}

/// A byte now and then does not move the deadline.
fn a_line_that_comes_too_slowly_is_hung() {
    let env = TestEnv::new();
    let peer = Peer::after_a_request(&env, |stream| {
        // Until the client leaves.
        while stream.write_all(b" ").is_ok() {
            thread::sleep(SHORT / 8);
        }
    });
    let mut limits = patient();
    limits.deadlines.line = SHORT;
    assert_eq!(wait::run(run(peer.socket(), limits)), Err(hung(Phase::Line, Limit::Line)));
    peer.finish();
    expect_usable(&env);
}

fn a_line_that_comes_byte_by_byte_is_an_answer() {
    let env = TestEnv::new();
    let peer = Peer::after_a_request(&env, |stream| {
        for byte in feed_line(&json!("\u{1f525}\u{0}")).bytes() {
            stream.write_all(&[byte]).expect("the client takes a byte");
            thread::yield_now();
        }
    });
    let feed = wait::run(run(peer.socket(), patient())).expect("all of it came");
    assert_eq!(
        (feed.session_id.as_ref().map(WorkerName::as_str), feed.feed_result),
        (Some("s"), json!("\u{1f525}\u{0}"))
    );
    peer.finish();
}

/// S17: at the handshake and at the answer, after any number of bytes but all; the error has the count.
fn an_end_at_any_byte_is_no_answer() {
    let env = TestEnv::new();
    let answer = feed_line(&json!({ "Accepted": { "remaining": 1 } })).into_bytes();
    let (greeting_len, answer_len) = (GREETING.len(), answer.len());
    let peer = Peer::to_many(&env, greeting_len + answer_len, move |stream, number| {
        take_line(stream);
        match number.checked_sub(greeting_len) {
            None => stream.write_all(&GREETING[..number]).expect("the client takes it"),
            Some(number) => {
                stream.write_all(GREETING).expect("the client takes it");
                take_line(stream);
                stream.write_all(&answer[..number]).expect("the client takes it");
            }
        }
    });
    wait::run(async {
        for received in (0..greeting_len).chain(0..answer_len) {
            let closed = LineError::ClosedEarly { received };
            assert_eq!(run(peer.socket(), patient()).await, Err(closed.into()));
        }
    });
    peer.finish();
    expect_usable(&env);
}

/// T32: a line without an end. The retained part is bounded, and so is the longest accepted line.
fn a_line_of_a_gigabyte_costs_no_memory() {
    const PIECE: usize = 1 << 20;
    let env = TestEnv::new();
    let peer = Peer::after_a_request(&env, |stream| {
        let piece = vec![b'x'; PIECE];
        let sent = (0..1024).take_while(|_| stream.write_all(&piece).is_ok()).count();
        assert!(sent < 1024, "all of it was taken");
    });
    let us = i32::try_from(std::process::id()).expect("a pid is an i32");
    // The peak is measured from here on.
    fs::write("/proc/self/clear_refs", "5").expect("the peak can be reset");
    let before = memory_peak_kib(us);
    let limits = patient();
    let len_max = limits.line_len_max;
    let too_long = LineError::TooLong { whose: Whose::Theirs, len_max };
    assert_eq!(wait::run(run(peer.socket(), limits)), Err(too_long.into()));
    let growth = memory_peak_kib(us).saturating_sub(before) << 10;
    assert!(growth < 5 * len_max, "a line of at most {len_max} bytes cost {growth}");
    peer.finish();
    expect_usable(&env);
}

/// The peak memory of a process, in KiB.
pub(crate) fn memory_peak_kib(pid: i32) -> usize {
    let peak = procs::status(pid, "VmHWM").expect("the process runs");
    peak.trim_end_matches(" kB").parse().expect("the kernel counts in kB")
}

/// T32: each has a distinct error; none is taken for anything else, and each costs only its connection.
fn what_is_no_message_is_said_to_be_none() {
    type Is = fn(&PoolCallError) -> bool;
    let not_json: Is = |it| matches!(it, PoolCallError::Malformed(Malformed::NotJson { .. }));
    let not_protocol: Is = |it| matches!(it, PoolCallError::Malformed(Malformed::NotProtocol { .. }));
    let not_utf8: Is = |it| *it == PoolCallError::Line(LineError::NotUtf8);
    let deep = [b"[".repeat(100_000), b"\n".to_vec()].concat();
    let long_name =
        feed_line(&json!(1)).replace("\"s\"", &format!("\"{}\"", "n".repeat(WORKER_NAME_LEN_MAX + 1)));
    let lines: Vec<(Vec<u8>, Is)> = vec![
        (b"\n".to_vec(), not_json),
        (b"hello\r\n".to_vec(), not_json),
        (b"{\"ok\":true,\0\"data\":{\"kind\":\"shutdown\"}}\n".to_vec(), not_json),
        (b"{\"ok\":false,\"ok\":true,\"data\":{\"kind\":\"shutdown\"}}\n".to_vec(), not_json),
        (deep, not_json),
        (b"{\"ok\":true,\"data\":{\"kind\":\"\xff\xfe\"}}\n".to_vec(), not_utf8),
        (b"{\"ok\":true,\"data\":{\"kind\":\"dance\"}}\n".to_vec(), not_protocol),
        (b"{\"op\":\"run\",\"code\":\"\"}\n".to_vec(), not_protocol),
        (long_name.into_bytes(), not_protocol),
    ];
    let env = TestEnv::new();
    let said: Vec<_> = lines.iter().map(|(line, _)| line.clone()).collect();
    let peer = Peer::to_many(&env, lines.len(), move |stream, number| {
        greet(stream);
        take_line(stream);
        stream.write_all(&said[number]).expect("the client takes it");
        hang(stream);
    });
    wait::run(async {
        for (line, is) in &lines {
            let mut client = connect(peer.socket(), patient()).await.expect("it shakes hands");
            let error = client.run(Run::default()).await.expect_err("this is no answer");
            assert!(is(&error), "{error} for {:?}", String::from_utf8_lossy(&line[..line.len().min(80)]));
            assert!(error.to_string().len() < 1_000 && !client.is_usable(), "{error}");
        }
    });
    peer.finish();
    expect_usable(&env);
}

fn is_unsolicited(error: &PoolCallError) -> bool {
    matches!(error, PoolCallError::Line(LineError::Unsolicited { .. }))
}

/// The right answer of two is unknown; and half of a second answer is no better.
fn two_messages_at_once_are_no_answer() {
    let env = TestEnv::new();
    let peer = Peer::to_many(&env, 2, |stream, number| {
        greet(stream);
        take_line(stream);
        let second = if number == 0 { feed_line(&json!(2)) } else { "{".to_owned() };
        stream.write_all((feed_line(&json!(1)) + &second).as_bytes()).expect("the client takes both");
        hang(stream);
    });
    wait::run(async {
        for _ in 0..2 {
            let error = run(peer.socket(), patient()).await.expect_err("there were two");
            assert!(is_unsolicited(&error), "{error}");
        }
    });
    peer.finish();
    expect_usable(&env);
}

/// A message between two questions is not taken for the answer to the second.
fn what_came_before_the_question_is_no_answer() {
    let env = TestEnv::new();
    let (tell, told) = std::sync::mpsc::channel();
    let (continue_session, may_go_on) = std::sync::mpsc::channel::<()>();
    let may_go_on = std::sync::Mutex::new(may_go_on);
    let peer = Peer::after_a_request(&env, move |stream| {
        stream.write_all(feed_line(&json!(1)).as_bytes()).expect("the client takes an answer");
        let may_go_on = may_go_on.lock().expect("nobody panicked with it");
        may_go_on.recv().expect("the client has its answer");
        stream.write_all(feed_line(&json!(2)).as_bytes()).expect("the client's kernel takes a line");
        tell.send(()).expect("the client waits");
        assert_eq!(what_came(stream), 0, "nothing was asked once it was known");
    });
    wait::run(async {
        let mut client = connect(peer.socket(), patient()).await.expect("it shakes hands");
        assert_eq!(client.run(Run::default()).await.map(|feed| feed.feed_result), Ok(json!(1)));
        continue_session.send(()).expect("the peer waits");
        told.recv().expect("the peer has said it");
        let error =
            client.continue_session(answer("s", "x")).await.expect_err("it answered before it was asked");
        assert!(is_unsolicited(&error), "{error}");
        assert_eq!(client.continue_session(answer("s", "x")).await, Err(PoolCallError::Spent));
    });
    peer.finish();
    expect_usable(&env);
}

/// A worker without room for us refuses and closes, with or without a request.
fn a_refusal_needs_no_question() {
    let env = TestEnv::new();
    let peer = Peer::to_one(&env, |stream| {
        stream.write_all(b"{\"ok\":false,\"error\":\"no room\\u001b[2J\"}\n").expect("the client takes it");
    });
    let error = wait::run(run(peer.socket(), patient())).expect_err("it refused");
    assert!(matches!(error, PoolCallError::Refused(_)), "{error}");
    assert_eq!(error.to_string(), "the worker refused: no room\\u{1b}[2J");
    peer.finish();
    expect_usable(&env);
}

/// S16: our line exceeds the kernel's buffers for a peer that does not read.
fn a_worker_that_never_reads_is_hung() {
    let env = TestEnv::new();
    let (done, may_end) = std::sync::mpsc::channel::<()>();
    let may_end = std::sync::Mutex::new(may_end);
    let peer = Peer::to_one(&env, move |stream| {
        greet(stream);
        // The client drops its end when done.
        let _ = may_end.lock().expect("nobody panicked with it").recv();
    });
    let mut limits = patient();
    limits.deadlines.write = SHORT;
    wait::run(async {
        let mut client = connect(peer.socket(), limits).await.expect("it shakes hands");
        let code = "x".repeat(8 << 20);
        let run = Run { code, ..Run::default() };
        assert_eq!(client.run(run).await, Err(hung(Phase::Write, Limit::Write)));
        assert_eq!(client.shutdown().await, Err(PoolCallError::Spent), "half a line was sent");
    });
    drop(done);
    peer.finish();
    expect_usable(&env);
}

fn a_worker_that_reads_slowly_gets_all() {
    const LEN: usize = 2 << 20;
    let env = TestEnv::new();
    let peer = Peer::to_one(&env, |stream| {
        greet(stream);
        let mut line = Vec::new();
        let mut piece = vec![0; 4096];
        while !line.ends_with(b"\n") {
            let len = stream.read(&mut piece).expect("the client goes on");
            line.extend_from_slice(&piece[..len]);
            thread::yield_now();
        }
        assert!(line.len() > LEN);
        stream.write_all(feed_line(&json!(line.len())).as_bytes()).expect("the client takes an answer");
    });
    wait::run(async {
        let mut client = connect(peer.socket(), patient()).await.expect("it shakes hands");
        let run = Run { code: "x".repeat(LEN), ..Run::default() };
        let feed = client.run(run).await.expect("all of it was taken");
        assert!(feed.feed_result.as_u64() > Some(LEN as u64));
    });
    peer.finish();
}

/// Nothing of the request is sent, so the connection is as good as before.
fn a_request_that_is_too_long_is_not_sent() {
    let env = TestEnv::new();
    let peer = Peer::after_a_request(&env, |stream| {
        stream.write_all(feed_line(&json!(1)).as_bytes()).expect("the client takes an answer");
    });
    let limits = Limits { line_len_max: 1 << 10, ..patient() };
    wait::run(async {
        let mut client = connect(peer.socket(), limits).await.expect("it shakes hands");
        let long = Run { code: "x".repeat(1 << 10), ..Run::default() };
        let too_long = LineError::TooLong { whose: Whose::Ours, len_max: 1 << 10 };
        assert_eq!(client.run(long).await, Err(too_long.into()));
        assert!(client.run(Run::default()).await.is_ok());
    });
    peer.finish();
}

/// The answer to the dropped call is never taken for the answer to another.
fn a_dropped_call_spends_its_connection() {
    let env = TestEnv::new();
    let peer = Peer::after_a_request(&env, hang);
    wait::run(async {
        let mut client = connect(peer.socket(), patient()).await.expect("it shakes hands");
        {
            let mut call = pin!(client.run(Run::default()));
            assert!(wait::is_pending(call.as_mut()).await, "nobody answers");
        }
        assert_eq!(client.run(Run::default()).await, Err(PoolCallError::Spent));
    });
    peer.finish();
    expect_usable(&env);
}

fn an_answer_to_another_question_is_none() {
    let env = TestEnv::new();
    let peer = Peer::to_many(&env, 2, |stream, number| {
        if number == 0 {
            greet(stream);
            take_line(stream);
            stream.write_all(GREETING).expect("the client takes it");
        } else {
            take_line(stream);
            stream
                .write_all(b"{\"ok\":true,\"data\":{\"kind\":\"shutdown\"}}\n")
                .expect("the client takes it");
        }
    });
    wait::run(async {
        let wrong = |op, kind| Err(PoolCallError::WrongKind { op, kind });
        assert_eq!(run(peer.socket(), patient()).await, wrong("run", "handshake"));
        assert_eq!(run(peer.socket(), patient()).await, wrong("handshake", "shutdown"));
    });
    peer.finish();
    expect_usable(&env);
}

fn a_socket_without_a_worker_is_unreachable() {
    let env = TestEnv::new();
    let listener = UnixListener::bind(env.path("left")).expect("a test environment can hold a socket");
    drop(listener);
    env.file("file", "");
    for (name, why) in [("none", "nothing is there"), ("left", "nobody listens"), ("file", "a regular file")]
    {
        let error = wait::run(run(&env.path(name), patient())).expect_err("nobody is there");
        assert!(
            matches!(error, PoolCallError::Unreachable { .. }) && error.to_string().contains(why),
            "{error}"
        );
    }
}

/// No question is repeated, and the worker's greeting is passed on as well.
fn a_connection_is_handed_on_with_its_greeting() {
    let env = TestEnv::new();
    let peer = Peer::after_a_request(&env, |stream: &mut UnixStream| {
        stream.write_all(feed_line(&json!(1)).as_bytes()).expect("the client takes an answer");
        assert_eq!(take_line(stream), b"{\"op\":\"shutdown\"}\n");
        stream.write_all(b"{\"ok\":true,\"data\":{\"kind\":\"shutdown\"}}\n").expect("the client takes it");
    });
    wait::run(async {
        let mut client = connect(peer.socket(), patient()).await.expect("it shakes hands");
        assert!(client.run(Run::default()).await.is_ok());
        let connection = client.into_connection().expect("it is as good as new");
        assert_eq!(connection.greeting().map(|it| it.version.as_str()), Some("1"));
        let two = Speaking::exactly("2".parse().expect("a short text is a version"));
        let mut client = PoolClient::open(connection, &one(), patient()).await.expect("hands were shaken");
        assert_eq!(client.shutdown().await, Ok(()));
        let connection = client.into_connection().expect("it is as good as new");
        let error = PoolClient::open(connection, &two, patient()).await.map(drop);
        assert!(matches!(error, Err(PoolCallError::VersionMismatch(_))), "{error:?}");
    });
    peer.finish();
}
