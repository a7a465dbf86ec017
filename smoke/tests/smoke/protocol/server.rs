//! The worker's side of the pool protocol against clients that hang, lie, flood and leave (S15 to S17, T32).

use crate::protocol::client::{SHORT, answer, connect, patient};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rekindle::protocol::{
    Continue, Feed, FeedResult, Finish, Refusal, Run, StatusReport, StatusRequest, Version,
};
use rekindle::serve::{Ended, Handler, Serve, ServeError, ServeLimits, Signals, async_trait};
use rekindle_adapters::client::PoolCallError;
use rekindle_adapters::lines::LineError;
use rekindle_smoke::{TestEnv, tests, wait};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, spawn_blocking};

tests![
    a_client_that_is_slow_or_silent_holds_up_nobody,
    who_has_been_silent_the_longest_makes_room,
    a_client_that_does_not_shake_hands_is_let_go,
    a_client_that_never_reads_is_let_go,
    what_is_no_request_is_refused_and_costs_nothing,
    a_request_without_an_end_is_refused,
    an_answer_that_is_too_long_is_refused,
    a_handler_that_panics_costs_its_client_alone,
    what_a_client_left_behind_is_done_to_its_end,
    the_answers_that_are_under_way_are_finished_at_the_end,
    an_answer_that_is_never_finished_does_not_put_the_end_off,
    a_worker_without_clients_ends_only_without_a_session,
    a_socket_that_somebody_replaced_is_left_alone,
    a_directory_is_made_for_us_alone_and_others_are_refused,
    a_worker_that_is_dropped_leaves_no_socket,
];

/// The test's view of its worker, and the test's controls.
#[derive(Debug, Default)]
struct Controls {
    /// The number of waiting sessions that may continue.
    may_go_on: Option<Semaphore>,
    begun: AtomicUsize,
    done: AtomicUsize,
    asked_for_status: AtomicUsize,
    has_session: AtomicBool,
}

/// A worker with a `run` controlled by the code: `wait`, `panic`, `big`; any other code is done at once.
struct Puppet(Arc<Controls>);

fn finished(result: Value) -> Feed {
    let state = Finish::Completed { result };
    let name = "s".parse().expect("a short text is a name");
    Feed::new(name, &FeedResult::Finished { state, metrics: Value::Null })
}

#[async_trait]
impl Handler for Puppet {
    fn version(&self) -> Version {
        "1".parse().expect("a short text is a version")
    }

    async fn run(&self, run: Run) -> Result<Feed, Refusal> {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        match run.code.as_str() {
            "panic" => panic!("as it was told"),
            "wait" => {
                let gate = self.0.may_go_on.as_ref().expect("a test that waits has a gate");
                gate.acquire().await.expect("the gate is never closed").forget();
            }
            _ => {}
        }
        self.0.done.fetch_add(1, Ordering::SeqCst);
        Ok(finished(if run.code == "big" { json!("x".repeat(1 << 20)) } else { json!(run.code) }))
    }

    async fn continue_session(&self, answer: Continue) -> Result<Feed, Refusal> {
        Err(Refusal::new(format!("no session {}", answer.sid)))
    }

    async fn status(&self, _request: StatusRequest) -> Result<StatusReport, Refusal> {
        self.0.asked_for_status.fetch_add(1, Ordering::SeqCst);
        let has_session = self.0.has_session.load(Ordering::SeqCst);
        Ok(StatusReport { has_session, ..StatusReport::default() })
    }
}

/// A worker served by a task of the test.
struct Worker {
    env: TestEnv,
    controls: Arc<Controls>,
    task: JoinHandle<Result<Ended, ServeError>>,
}

impl Worker {
    async fn start(change: impl FnOnce(&mut ServeLimits)) -> Self {
        let mut limits = ServeLimits::default();
        change(&mut limits);
        Self::start_as(Controls::default(), |serve| serve.limits(limits)).await
    }

    /// A worker whose `wait` waits for the test.
    async fn with_a_gate(change: impl FnOnce(&mut ServeLimits)) -> Self {
        let mut limits = ServeLimits::default();
        change(&mut limits);
        let controls = Controls { may_go_on: Some(Semaphore::new(0)), ..Controls::default() };
        Self::start_as(controls, |serve| serve.limits(limits)).await
    }

    async fn start_as(controls: Controls, change: impl FnOnce(Serve) -> Serve) -> Self {
        let env = TestEnv::new();
        let controls = Arc::new(controls);
        let serve = change(Serve::on(env.path("sock")).signals(Signals::LeftAlone));
        let task = tokio::spawn(serve.run(Puppet(controls.clone())));
        let worker = Self { env, controls, task };
        until("the worker listens", || worker.socket().exists()).await;
        worker
    }

    fn socket(&self) -> PathBuf {
        self.env.path("sock")
    }

    fn release(&self, sessions: usize) {
        self.controls.may_go_on.as_ref().expect("a test that waits has a gate").add_permits(sessions);
    }

    /// A client with a session that has begun and waits for the test.
    async fn client_that_waits(&self) -> JoinHandle<Result<Feed, PoolCallError>> {
        let (socket, begun) = (self.socket(), self.controls.begun.load(Ordering::SeqCst));
        let client = tokio::spawn(async move {
            connect(&socket, patient()).await.expect("it shakes hands").run(run_of("wait")).await
        });
        until("its session has begun", || self.controls.begun.load(Ordering::SeqCst) > begun).await;
        client
    }

    /// Expects that the worker serves a well-behaved client.
    async fn expect_useful(&self) {
        let mut client = connect(&self.socket(), patient()).await.expect("it shakes hands");
        let feed = client.run(run_of("x")).await.expect("it answers");
        assert_eq!(feed, finished(json!("x")));
    }

    /// Requests the end, and expects that no socket is left.
    async fn end(self) {
        let mut client = connect(&self.socket(), patient()).await.expect("it shakes hands");
        client.shutdown().await.expect("it agrees to end");
        let socket = self.socket();
        let ended = wait::soon("the worker ends", self.task).await.expect("it does not panic");
        assert_eq!(ended, Ok(Ended::Shutdown));
        assert!(!socket.exists(), "its socket is left");
    }
}

fn run_of(code: &str) -> Run {
    Run { code: code.to_owned(), ..Run::default() }
}

/// Waits for a fact brought about by a task on this thread.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(SHORT / 50).await;
        }
    };
    wait::soon(what, waiting).await;
}

/// A client without any protocol.
fn raw(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).expect("the worker listens");
    stream.set_read_timeout(Some(wait::FACT_TIMEOUT)).expect("a time-out can be set");
    stream
}

/// Whether the other side has closed its end, even with unread data left.
fn has_hung_up(stream: &UnixStream) -> bool {
    let mut asked = [PollFd::new(stream.as_fd(), PollFlags::empty())];
    poll(&mut asked, PollTimeout::ZERO).expect("a descriptor can be polled");
    asked[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))
}

/// Reads all data until the worker closes the connection.
async fn all_from(mut stream: UnixStream) -> String {
    let reading = spawn_blocking(move || {
        let mut bytes = Vec::new();
        // A worker that closes during our write resets the connection; a reset is an end too.
        let _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    reading.await.expect("reading does not panic")
}

fn a_client_that_is_slow_or_silent_holds_up_nobody() {
    wait::run(async {
        let worker = Worker::with_a_gate(|_| {}).await;
        let silent = raw(&worker.socket());
        let mut half = raw(&worker.socket());
        half.write_all(b"{\"op\":\"hand").expect("the kernel takes it");
        let slow = worker.client_that_waits().await;
        worker.expect_useful().await;
        worker.release(1);
        let answered = wait::soon("it is answered", slow).await.expect("it does not panic");
        assert_eq!(answered, Ok(finished(json!("wait"))));
        drop((silent, half));
        worker.end().await;
    });
}

fn who_has_been_silent_the_longest_makes_room() {
    wait::run(async {
        let worker = Worker::start(|limits| limits.clients_max = 2).await;
        let mut first = connect(&worker.socket(), patient()).await.expect("it shakes hands");
        let mut second = connect(&worker.socket(), patient()).await.expect("it shakes hands");
        assert!(first.run(run_of("x")).await.is_ok());
        // Now the second client has been silent for longer.
        let mut third = connect(&worker.socket(), patient()).await.expect("it shakes hands");
        assert!(third.run(run_of("x")).await.is_ok());
        assert!(first.run(run_of("x")).await.is_ok());
        let closed = PoolCallError::Line(LineError::ClosedEarly { received: 0 });
        assert_eq!(second.run(run_of("x")).await, Err(closed));
        drop((first, third));
        worker.end().await;
    });
}

fn a_client_that_does_not_shake_hands_is_let_go() {
    wait::run(async {
        let worker = Worker::start(|limits| limits.handshake = SHORT).await;
        assert_eq!(all_from(raw(&worker.socket())).await, "");
        // A client with another first request is refused, and closed once silent.
        let mut rude = raw(&worker.socket());
        rude.write_all(b"{\"op\":\"status\"}\n").expect("the kernel takes it");
        assert_eq!(all_from(rude).await, "{\"ok\":false,\"error\":\"a handshake comes first\"}\n");
        // After a handshake, a client may be silent for longer than before.
        let mut client = connect(&worker.socket(), patient()).await.expect("it shakes hands");
        assert_eq!(all_from(raw(&worker.socket())).await, "");
        assert!(client.run(run_of("x")).await.is_ok());
        worker.end().await;
    });
}

/// S16: the client's answers fill the kernel's buffers, and then the client is closed.
fn a_client_that_never_reads_is_let_go() {
    wait::run(async {
        let worker = Worker::start(|limits| limits.write = SHORT).await;
        let mut deaf = raw(&worker.socket());
        deaf.write_all(b"{\"op\":\"handshake\",\"version\":\"1\"}\n").expect("the kernel takes it");
        for _ in 0..4 {
            deaf.write_all(b"{\"op\":\"run\",\"code\":\"big\"}\n").expect("the kernel takes it");
        }
        until("an answer is under way", || worker.controls.done.load(Ordering::SeqCst) == 1).await;
        worker.expect_useful().await;
        // The received data is cut off, and the other answers are missing.
        until("the deaf one is let go", || has_hung_up(&deaf)).await;
        let came = all_from(deaf).await;
        assert!(came.len() < 1 << 20, "{} bytes came", came.len());
        assert_eq!(
            worker.controls.done.load(Ordering::SeqCst),
            2,
            "nothing was done for the deaf one meanwhile"
        );
        worker.end().await;
    });
}

/// S15: each line is answered, and the next line is understood.
fn what_is_no_request_is_refused_and_costs_nothing() {
    wait::run(async {
        let worker = Worker::start(|_| {}).await;
        let deep = "[".repeat(100_000);
        let lines: [&[u8]; 11] = [
            b"",
            b"\0",
            b"\xff\xfe",
            b"null",
            b"{\"op\":\"shutdown\",\"op\":\"status\"}",
            b"{\"op\":\"dance\"}",
            b"[\"shutdown\"]",
            b"{\"op\":\"run\"}",
            b"{\"op\":\"continue\",\"sid\":\"\",\"response\":\"\"}",
            b"{\"op\":\"handshake\",\"version\":\"\"}",
            deep.as_bytes(),
        ];
        let mut client = raw(&worker.socket());
        client.write_all(b"{\"op\":\"handshake\",\"version\":\"1\"}\n").expect("the kernel takes it");
        for line in lines {
            client.write_all(&[line, b"\r\n"].concat()).expect("the kernel takes it");
        }
        // A request byte by byte, and two requests at once.
        for byte in b"{\"op\":\"status\"}\n" {
            client.write_all(&[*byte]).expect("the kernel takes it");
        }
        client.write_all(b"{\"op\":\"status\"}\n{\"op\":\"shutdown\"}\n").expect("the kernel takes it");
        let came = all_from(client).await;
        let answers: Vec<Value> =
            came.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let ok: Vec<bool> = answers.iter().map(|answer| answer["ok"] == true).collect();
        let refused = [false; 11];
        assert_eq!(ok, [&[true][..], &refused, &[true, true, true]].concat(), "{came}");
        assert_eq!(wait::soon("it ends", worker.task).await.expect("it does not panic"), Ok(Ended::Shutdown));
    });
}

/// The beginning of the next request is unknown.
fn a_request_without_an_end_is_refused() {
    wait::run(async {
        let worker = Worker::start(|limits| limits.line_len_max = 1 << 10).await;
        let mut client = raw(&worker.socket());
        client.write_all(&[b'x'; 2 << 10]).expect("the kernel takes it");
        assert_eq!(
            all_from(client).await,
            "{\"ok\":false,\"error\":\"the request is longer than 1024 bytes\"}\n"
        );
        worker.end().await;
    });
    wait::run(async {
        let worker = Worker::start(|limits| limits.line = SHORT).await;
        let mut client = raw(&worker.socket());
        client.write_all(b"{\"op\":").expect("the kernel takes it");
        assert_eq!(all_from(client).await, "");
        worker.end().await;
    });
}

fn an_answer_that_is_too_long_is_refused() {
    wait::run(async {
        let worker = Worker::start(|limits| limits.line_len_max = 1 << 10).await;
        let mut client = connect(&worker.socket(), patient()).await.expect("it shakes hands");
        let refusal = Refusal::new("the answer is longer than 1024 bytes");
        assert_eq!(client.run(run_of("big")).await, Err(PoolCallError::Refused(refusal)));
        assert!(client.run(run_of("x")).await.is_ok(), "a refusal leaves the connection as it was");
        worker.end().await;
    });
}

fn a_handler_that_panics_costs_its_client_alone() {
    wait::run(async {
        let worker = Worker::start(|_| {}).await;
        let mut other = connect(&worker.socket(), patient()).await.expect("it shakes hands");
        let mut client = connect(&worker.socket(), patient()).await.expect("it shakes hands");
        let closed = PoolCallError::Line(LineError::ClosedEarly { received: 0 });
        assert_eq!(client.run(run_of("panic")).await, Err(closed));
        assert!(other.run(run_of("x")).await.is_ok());
        worker.end().await;
    });
}

fn what_a_client_left_behind_is_done_to_its_end() {
    wait::run(async {
        let worker = Worker::with_a_gate(|_| {}).await;
        let mut client = raw(&worker.socket());
        client
            .write_all(b"{\"op\":\"handshake\",\"version\":\"1\"}\n{\"op\":\"run\",\"code\":\"wait\"}\n")
            .expect("the kernel takes it");
        until("its session has begun", || worker.controls.begun.load(Ordering::SeqCst) == 1).await;
        drop(client);
        worker.expect_useful().await;
        worker.release(1);
        until("both are done", || worker.controls.done.load(Ordering::SeqCst) == 2).await;
        worker.end().await;
    });
}

fn the_answers_that_are_under_way_are_finished_at_the_end() {
    wait::run(async {
        let worker = Worker::with_a_gate(|limits| limits.finish = wait::FACT_TIMEOUT).await;
        let slow = worker.client_that_waits().await;
        let mut silent = connect(&worker.socket(), patient()).await.expect("it shakes hands");
        let mut client = connect(&worker.socket(), patient()).await.expect("it shakes hands");
        client.shutdown().await.expect("it agrees to end");
        // New clients are refused, and clients without work in progress are closed.
        until("nobody listens", || UnixStream::connect(worker.socket()).is_err()).await;
        assert!(silent.status(StatusRequest::default()).await.is_err());
        worker.release(1);
        let answered = wait::soon("the slow one is answered", slow).await.expect("it does not panic");
        assert_eq!(answered, Ok(finished(json!("wait"))));
        let socket = worker.socket();
        assert_eq!(wait::soon("it ends", worker.task).await.expect("it does not panic"), Ok(Ended::Shutdown));
        assert!(!socket.exists());
    });
}

fn an_answer_that_is_never_finished_does_not_put_the_end_off() {
    wait::run(async {
        let worker = Worker::with_a_gate(|limits| limits.finish = SHORT).await;
        let mut client = raw(&worker.socket());
        client
            .write_all(b"{\"op\":\"handshake\",\"version\":\"1\"}\n{\"op\":\"run\",\"code\":\"wait\"}\n")
            .expect("the kernel takes it");
        until("its session has begun", || worker.controls.begun.load(Ordering::SeqCst) == 1).await;
        worker.end().await;
    });
}

/// The idle time passes several times, and a session that waits for its host keeps the worker every time.
fn a_worker_without_clients_ends_only_without_a_session() {
    wait::run(async {
        let controls = Controls { has_session: AtomicBool::new(true), ..Controls::default() };
        let worker = Worker::start_as(controls, |serve| serve.idle_timeout(SHORT / 10)).await;
        until("it was idle a few times", || worker.controls.asked_for_status.load(Ordering::SeqCst) > 3)
            .await;
        let mut client = connect(&worker.socket(), patient()).await.expect("it shakes hands");
        worker.controls.has_session.store(false, Ordering::SeqCst);
        // A silent client keeps the worker as well, while workers without a client end.
        for _ in 0..3 {
            let other = Worker::start_as(Controls::default(), |serve| serve.idle_timeout(SHORT / 10)).await;
            let ended = wait::soon("the other ends", other.task).await.expect("it does not panic");
            assert_eq!(ended, Ok(Ended::Idle));
        }
        assert!(client.run(run_of("x")).await.is_ok());
        drop(client);
        let ended = wait::soon("it ends", worker.task).await.expect("it does not panic");
        assert_eq!(ended, Ok(Ended::Idle));
    });
}

fn a_socket_that_somebody_replaced_is_left_alone() {
    wait::run(async {
        let worker = Worker::start(|_| {}).await;
        let mut client = connect(&worker.socket(), patient()).await.expect("it shakes hands");
        fs::rename(worker.socket(), worker.env.path("away")).expect("the env is ours");
        worker.env.file("sock", "somebody's");
        client.shutdown().await.expect("it agrees to end");
        assert_eq!(wait::soon("it ends", worker.task).await.expect("it does not panic"), Ok(Ended::Shutdown));
        assert_eq!(fs::read(worker.env.path("sock")).expect("it is there"), b"somebody's");
    });
}

fn a_directory_is_made_for_us_alone_and_others_are_refused() {
    wait::run(async {
        let env = TestEnv::new();
        let serve = |name: &str| Serve::on(env.path(name)).signals(Signals::LeftAlone);
        let puppet = || Puppet(Arc::new(Controls::default()));
        let task = tokio::spawn(serve("made/deep/sock").run(puppet()));
        until("the worker listens", || env.path("made/deep/sock").exists()).await;
        let mode = |name: &str| {
            let metadata = fs::metadata(env.path(name)).expect("it is there");
            metadata.permissions().mode() & 0o7777
        };
        assert_eq!((mode("made"), mode("made/deep"), mode("made/deep/sock")), (0o700, 0o700, 0o600));
        assert_eq!(mode("made/deep/sock.lock"), 0o600);
        task.abort();
        fs::create_dir(env.path("open")).expect("the env is ours");
        fs::set_permissions(env.path("open"), fs::Permissions::from_mode(0o777)).expect("it is ours");
        let refused = serve("open/sock").run(puppet()).await;
        assert!(matches!(refused, Err(ServeError::Untrusted { .. })), "{refused:?}");
        assert!(!env.path("open/sock").exists());
        let refused = serve(&"x".repeat(200)).run(puppet()).await;
        assert!(matches!(refused, Err(ServeError::BadSocket(_))), "{refused:?}");
    });
}

fn a_worker_that_is_dropped_leaves_no_socket() {
    wait::run(async {
        let worker = Worker::start(|_| {}).await;
        let mut client = connect(&worker.socket(), patient()).await.expect("it shakes hands");
        worker.task.abort();
        until("its socket is gone", || !worker.socket().exists()).await;
        assert!(client.continue_session(answer("s", "x")).await.is_err(), "its clients are let go");
    });
}
