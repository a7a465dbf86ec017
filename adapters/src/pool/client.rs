//! The client's side of the pool protocol: one connection to one worker.
//!
//! # Invariants
//! 1. The handshake comes first, and a worker with another version is left alone.
//! 2. Each call has one deadline, from the first byte to the last, and each phase has a deadline inside; each line has
//!    a greatest length.
//! 3. After a failed or dropped call the connection is never used again: the next line could be the answer to anything.
//! 4. An unsolicited line is never taken for an answer.
//!
//! Checked by `smoke/tests/smoke/protocol/client.rs` and, on a paused clock, `pool/patience.rs`.

use crate::endpoint::probe::{Connection, Probed, probe};
use crate::pool::lines::{Arrived, Deadline, Limit, LineError, LineStream, Phase, Sent, Whose};
use crate::sys::linux::failure::During;
use rekindle_core::protocol::{
    Answer, Continue, Excerpt, Feed, Greeting, Handshake, LINE_LEN_MAX, Malformed, Refusal, Request,
    Response, Run, Speaking, StatusReport, StatusRequest, Version, VersionMismatch, WorkerName,
};
use rekindle_core::shown::Shown;
use rekindle_core::{Liveness, Pid};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The limits of a call and its phases. The earliest limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Until the worker accepts a connection: 5 s.
    pub connect: Duration,
    /// A whole handshake, `status` or `shutdown`, to the last byte of the answer: 10 s.
    pub answer: Duration,
    /// A whole `run` or `continue`, to the last byte of the answer: 10 min.
    pub work: Duration,
    /// In any call, until the worker has read our line: 10 s.
    pub write: Duration,
    /// In any call, from the first byte of the answer to the last: 30 s.
    pub line: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            write: Duration::from_secs(10),
            answer: Duration::from_secs(10),
            work: Duration::from_secs(600),
            line: Duration::from_secs(30),
        }
    }
}

/// The limits of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The limit of each phase.
    pub deadlines: Deadlines,
    /// The longest line, sent or received, in bytes without the newline: 16 MiB.
    pub line_len_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadlines: Deadlines::default(), line_len_max: LINE_LEN_MAX }
    }
}

impl Limits {
    /// The usual length, and no deadlines: for callers that drop the call at their own deadline.
    pub(crate) fn without_deadlines() -> Self {
        let never = Duration::MAX;
        let deadlines = Deadlines { connect: never, write: never, answer: never, work: never, line: never };
        Self { deadlines, ..Self::default() }
    }
}

/// Why a call to a worker failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolCallError {
    /// No worker accepts connections.
    #[error("the worker on `{}` cannot be reached: {why}", Shown(socket))]
    Unreachable {
        /// The worker's socket.
        socket: PathBuf,
        /// The verdict of the probe.
        liveness: Liveness,
        /// The reason.
        why: String,
    },
    /// No whole line arrived, or the request could not be sent.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The received line is not a message.
    #[error("the worker's answer cannot be understood: {0}")]
    Malformed(#[from] Malformed),
    /// The answer belongs to another question.
    #[error("the worker answered `{op}` with `{kind}`")]
    WrongKind {
        /// The question.
        op: &'static str,
        /// The answer's kind.
        kind: &'static str,
    },
    /// The worker refused the request.
    #[error("the worker refused: {0}")]
    Refused(Refusal),
    /// The worker speaks another version.
    #[error("{0}; use a worker and a caller of one version")]
    VersionMismatch(#[from] VersionMismatch),
    /// The worker refuses our version, without reporting its own.
    #[error("the worker refused version `{ours}`: {refusal}")]
    VersionRefused {
        /// Our version.
        ours: Version,
        /// The worker's words.
        refusal: Refusal,
    },
    /// The worker answered for another session.
    #[error("the worker answered for session `{answered}`, not for `{asked}`")]
    WrongSession {
        /// The session of the question, under the worker's name.
        asked: WorkerName,
        /// The session of the answer.
        answered: WorkerName,
    },
    /// An earlier call on this connection failed half-way.
    #[error(
        "an earlier call on this connection failed, so the next line could be the answer to anything; connect again"
    )]
    Spent,
}

impl PoolCallError {
    /// The reason as one word, as in JSON.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "worker-unreachable",
            Self::Line(error) => error.reason(),
            Self::Malformed(_) | Self::WrongKind { .. } => "worker-malformed",
            Self::Refused(_) => "worker-refused",
            Self::VersionMismatch(_) | Self::VersionRefused { .. } => "version-mismatch",
            Self::WrongSession { .. } => "wrong-session",
            Self::Spent => "connection-spent",
        }
    }
}

/// A connection to a worker, after the handshake.
#[derive(Debug)]
pub struct PoolClient {
    /// `None` during a call, and after a failed call.
    lines: Option<LineStream>,
    greeting: Greeting,
    peer: Option<Pid>,
    limits: Limits,
}

impl PoolClient {
    /// Makes the handshake on `connection`, or judges an earlier greeting.
    ///
    /// # Errors
    /// [`PoolCallError`]; the connection is closed then, and the worker is left alone.
    ///
    /// # Cancel safety
    /// Safe; the connection is closed.
    pub async fn open(
        connection: Connection,
        speaking: &Speaking,
        limits: Limits,
    ) -> Result<Self, PoolCallError> {
        let peer = connection.peer();
        let greeted = connection.greeting().cloned();
        let mut lines = LineStream::open(connection, limits.line_len_max)?;
        let greeting = match greeted {
            Some(greeting) => greeting,
            None => shake_hands(&mut lines, speaking, limits.deadlines).await?,
        };
        speaking.judge(&greeting.version)?;
        Ok(Self { lines: Some(lines), greeting, peer, limits })
    }

    /// Connects to the worker on `socket`, as [`probe`] does, and shakes hands.
    ///
    /// # Errors
    /// As for [`Self::open`], or [`PoolCallError::Unreachable`].
    ///
    /// # Cancel safety
    /// Safe; the connection is closed.
    pub async fn connect(socket: &Path, speaking: &Speaking, limits: Limits) -> Result<Self, PoolCallError> {
        let deadline = Deadline::from_now(Limit::Connect, limits.deadlines.connect);
        match deadline.bound(Phase::Connect, probe(socket)).await? {
            Probed::Live(connection) => Self::open(connection, speaking, limits).await,
            other => Err(PoolCallError::Unreachable {
                socket: socket.to_owned(),
                liveness: other.liveness(),
                why: other.why().to_owned(),
            }),
        }
    }

    /// The worker's greeting.
    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// The listening process, as named by the kernel.
    pub fn peer(&self) -> Option<Pid> {
        self.peer
    }

    /// Whether the connection can be used for another call.
    pub fn is_usable(&self) -> bool {
        self.lines.is_some()
    }

    /// The connection, for another owner; no second handshake is needed.
    ///
    /// # Errors
    /// If the connection is spent, or the worker has sent an unsolicited line.
    pub fn into_connection(self) -> Result<Connection, PoolCallError> {
        let (stream, socket) = self.lines.ok_or(PoolCallError::Spent)?.into_parts()?;
        let stream =
            stream.into_std().during("hand on the connection to", &socket).map_err(LineError::from)?;
        Ok(Connection::greeted(stream, socket, self.peer, self.greeting))
    }

    /// Begins a session.
    ///
    /// # Errors
    /// [`PoolCallError`]. After [`PoolCallError::Refused`] the connection can still be used; after others see
    /// [`Self::is_usable`].
    ///
    /// # Cancel safety
    /// If dropped, the worker may have begun the session; the connection is spent.
    pub async fn run(&mut self, run: Run) -> Result<Feed, PoolCallError> {
        self.feed(&Request::Run(run)).await
    }

    /// Continues a session with an answer. If the worker names a session, the name must match.
    ///
    /// # Errors
    /// As for [`Self::run`].
    ///
    /// # Cancel safety
    /// If dropped, the worker may have taken the answer; the connection is spent.
    pub async fn continue_session(&mut self, answer: Continue) -> Result<Feed, PoolCallError> {
        let asked = answer.sid.clone();
        let feed = self.feed(&Request::Continue(answer)).await?;
        match &feed.session_id {
            Some(answered) if *answered != asked => {
                let answered = answered.clone();
                self.lines = None;
                Err(PoolCallError::WrongSession { asked, answered })
            }
            Some(_) | None => Ok(feed),
        }
    }

    /// Asks for the state of the session.
    ///
    /// # Errors
    /// As for [`Self::run`].
    ///
    /// # Cancel safety
    /// If dropped, the connection is spent.
    pub async fn status(&mut self, request: StatusRequest) -> Result<StatusReport, PoolCallError> {
        let request = Request::Status(request);
        match self.call(&request).await? {
            Answer::Status(report) => Ok(report),
            other => Err(self.wrong_kind(&request, &other)),
        }
    }

    /// Asks the worker to end. On return the worker has agreed, but may still run.
    ///
    /// # Errors
    /// As for [`Self::run`].
    ///
    /// # Cancel safety
    /// If dropped, the worker may be ending; the connection is spent.
    pub async fn shutdown(&mut self) -> Result<(), PoolCallError> {
        match self.call(&Request::Shutdown).await? {
            Answer::Shutdown => Ok(()),
            other => Err(self.wrong_kind(&Request::Shutdown, &other)),
        }
    }

    async fn feed(&mut self, request: &Request) -> Result<Feed, PoolCallError> {
        match self.call(request).await? {
            Answer::Feed(feed) => Ok(feed),
            other => Err(self.wrong_kind(request, &other)),
        }
    }

    fn wrong_kind(&mut self, request: &Request, answer: &Answer) -> PoolCallError {
        self.lines = None;
        PoolCallError::WrongKind { op: request.op(), kind: answer.kind() }
    }

    /// The connection is taken out during the call, and put back only if clean.
    async fn call(&mut self, request: &Request) -> Result<Answer, PoolCallError> {
        let mut lines = self.lines.take().ok_or(PoolCallError::Spent)?;
        let exchanged = exchange(&mut lines, request, self.limits.deadlines).await;
        let nothing_sent = Err(PoolCallError::Line(LineError::TooLong {
            whose: Whose::Ours,
            len_max: self.limits.line_len_max,
        }));
        if exchanged.is_ok() || exchanged == nothing_sent {
            self.lines = Some(lines);
        }
        exchanged?.map_err(PoolCallError::Refused)
    }
}

async fn shake_hands(
    lines: &mut LineStream,
    speaking: &Speaking,
    deadlines: Deadlines,
) -> Result<Greeting, PoolCallError> {
    let request = Request::Handshake(Handshake { version: speaking.version.clone() });
    match exchange(lines, &request, deadlines).await? {
        Ok(Answer::Handshake(greeting)) => Ok(greeting),
        Ok(other) => Err(PoolCallError::WrongKind { op: request.op(), kind: other.kind() }),
        Err(refusal) if names_the_version(&refusal) => {
            Err(PoolCallError::VersionRefused { ours: speaking.version.clone(), refusal })
        }
        Err(refusal) => Err(PoolCallError::Refused(refusal)),
    }
}

/// Whether a handshake was refused because of the version. The protocol has only words for this refusal.
fn names_the_version(refusal: &Refusal) -> bool {
    refusal.as_str().to_lowercase().contains("version")
}

/// The deadline of a whole call.
fn deadline_of(request: &Request, deadlines: Deadlines) -> Deadline {
    match request {
        Request::Run(_) | Request::Continue(_) => Deadline::from_now(Limit::Work, deadlines.work),
        Request::Handshake(_) | Request::Status(_) | Request::Shutdown => {
            Deadline::from_now(Limit::Answer, deadlines.answer)
        }
    }
}

/// Exchanges one line for one line, with no line before or after.
async fn exchange(
    lines: &mut LineStream,
    request: &Request,
    deadlines: Deadlines,
) -> Result<Result<Answer, Refusal>, PoolCallError> {
    let deadline = deadline_of(request, deadlines);
    match lines.arrived()? {
        Arrived::Nothing | Arrived::End => {}
        Arrived::Part(excerpt) => return Err(LineError::Unsolicited { excerpt }.into()),
        // Only a refusal needs no question, for example if the worker has no room for us.
        Arrived::Line(line) => match Response::read(line.as_bytes()) {
            Ok(Response::Refused(refusal)) => return Err(PoolCallError::Refused(refusal)),
            Ok(Response::Answer(_)) | Err(_) => return Err(unsolicited(&line)),
        },
    }
    let write = Deadline::from_now(Limit::Write, deadlines.write);
    let sent = lines.send(&request.to_line(), deadline.or_sooner(write)).await?;
    let line = lines.receive(Some(deadline), deadlines.line).await?;
    let line = line.ok_or(LineError::ClosedEarly { received: 0 })?;
    let response = Response::read(line.as_bytes())?;
    match lines.arrived()? {
        // A worker that leaves after the answer is noticed by the next call.
        Arrived::Nothing | Arrived::End => {}
        Arrived::Part(excerpt) => return Err(LineError::Unsolicited { excerpt }.into()),
        Arrived::Line(line) => return Err(unsolicited(&line)),
    }
    match (response, sent) {
        (Response::Refused(refusal), _) => Ok(Err(refusal)),
        (Response::Answer(answer), Sent::Whole) => Ok(Ok(answer)),
        // The worker answered without the question.
        (Response::Answer(_), Sent::PeerLeft) => Err(unsolicited(&line)),
    }
}

fn unsolicited(line: &str) -> PoolCallError {
    LineError::Unsolicited { excerpt: Excerpt::of(line) }.into()
}
