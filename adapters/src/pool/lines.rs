//! Lines on a socket, both ways, with bounds on each line's length and each phase's duration.
//!
//! # Invariants
//! 1. Bounded: the buffer holds at most one line of the greatest length plus one read, whatever the peer sends.
//! 2. Every wait has a `Deadline` that names its [`Limit`], except the wait between two lines, if the caller wants no
//!    limit. A deadline is a point in time: neither a received byte nor a finished phase moves the deadline.
//! 3. A line is whole or an error: bytes without a final newline are never taken for a line.
//!
//! Checked by `smoke/tests/smoke/protocol/client.rs`, `protocol/server.rs` and, on a paused clock, `pool/patience.rs`.

use crate::endpoint::probe::Connection;
use crate::sys::linux::failure::{During, Errno};
use crate::sys::linux::socket::receive_now;
use rekindle_core::OsFailure;
use rekindle_core::protocol::Excerpt;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};
use tokio_util::bytes::BytesMut;
use tokio_util::codec::{Decoder, LinesCodec, LinesCodecError};

/// The size of one read, and the retained capacity of an empty buffer.
const READ_LEN: usize = 64 << 10;

/// The size of one look if no line is expected.
const PIECE_LEN: usize = 4 << 10;

/// A replacement for deadlines beyond the clock's range.
const FAR_AWAY: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);

/// The phase in which a deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Waiting for an accepted connection.
    Connect,
    /// Waiting for the peer to read our line.
    Write,
    /// Waiting for the first byte of the peer's line.
    Answer,
    /// Waiting for the rest of the peer's line.
    Line,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "accept a connection",
            Self::Write => "take the line that it was sent",
            Self::Answer => "begin an answer",
            Self::Line => "end the line that it began",
        })
    }
}

/// The caller's limit behind a deadline: the limit to change for more time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The time until the worker accepts a connection.
    Connect,
    /// The time for the peer to read our line.
    Write,
    /// The time for a whole call without work: a handshake, `status` or `shutdown`.
    Answer,
    /// The time for a whole call with work: `run` or `continue`.
    Work,
    /// The time from the first byte of the peer's line to the last.
    Line,
}

/// A point in time, and the limit behind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    at: Instant,
    limit: Limit,
    after: Duration,
}

impl Deadline {
    /// `after` from now.
    pub(crate) fn from_now(limit: Limit, after: Duration) -> Self {
        let now = Instant::now();
        Self { at: now.checked_add(after).unwrap_or(now + FAR_AWAY), limit, after }
    }

    /// The earlier of two deadlines.
    pub(crate) fn or_sooner(self, other: Self) -> Self {
        if other.at < self.at { other } else { self }
    }

    /// Runs `work` until the deadline.
    pub(crate) async fn bound<T>(self, phase: Phase, work: impl Future<Output = T>) -> Result<T, LineError> {
        let Self { at, limit, after } = self;
        timeout_at(at, work).await.ok().ok_or(LineError::Hung { phase, limit, after })
    }
}

/// The sender of a line that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Ours: nothing was sent.
    Ours,
    /// The peer's line.
    Theirs,
}

/// Why no line was exchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The peer is alive but silent, or does not read.
    #[error("the worker did not {phase} within {} ms", after.as_millis())]
    Hung {
        /// The phase that took too long.
        phase: Phase,
        /// The limit that passed.
        limit: Limit,
        /// The length of the limit. Earlier phases may have used a part.
        after: Duration,
    },
    /// The peer left before its line was whole.
    #[error(
        "the worker closed the connection after {received} bytes of its answer, before the end of the line"
    )]
    ClosedEarly {
        /// The number of received bytes of the line.
        received: usize,
    },
    /// A line exceeds the agreed length.
    #[error(
        "{} longer than {len_max} bytes",
        match whose { Whose::Ours => "the request is", Whose::Theirs => "the worker's answer is" }
    )]
    TooLong {
        /// The sender of the line.
        whose: Whose,
        /// The greatest length, in bytes.
        len_max: usize,
    },
    /// The peer's line is not text.
    #[error("the worker's answer is not UTF-8")]
    NotUtf8,
    /// The peer sent an unsolicited line, so the next line may be the answer to anything.
    #[error("the worker sent what nobody asked for: {excerpt}")]
    Unsolicited {
        /// The beginning of the line.
        excerpt: Excerpt,
    },
    /// A system call failed.
    #[error(transparent)]
    Os(#[from] OsFailure),
}

impl LineError {
    /// The reason as one word, as in JSON.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Hung { .. } => "worker-hung",
            Self::ClosedEarly { .. } => "worker-closed",
            Self::TooLong { whose: Whose::Ours, .. } => "request-too-long",
            Self::TooLong { whose: Whose::Theirs, .. } => "worker-line-too-long",
            Self::NotUtf8 | Self::Unsolicited { .. } => "worker-malformed",
            Self::Os(_) => "system",
        }
    }
}

/// The progress of a line of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "who left may have said why before"]
pub(crate) enum Sent {
    Whole,
    /// The peer has left, and may have given the reason before.
    PeerLeft,
}

/// Unsolicited input.
#[derive(Debug)]
pub(crate) enum Arrived {
    Nothing,
    Line(String),
    Part(Excerpt),
    /// The peer has left.
    End,
}

/// A stream with lines in both directions.
#[derive(Debug)]
pub(crate) struct LineStream<S = UnixStream> {
    stream: S,
    /// The socket, or the text of the endpoint: for messages.
    socket: PathBuf,
    codec: LinesCodec,
    buffer: BytesMut,
    len_max: usize,
}

impl LineStream<TcpStream> {
    /// Lines of at most `len_max` bytes to a worker on a TCP port.
    pub(crate) fn open_port(connection: Connection, len_max: usize) -> Result<Self, LineError> {
        let endpoint = PathBuf::from(connection.endpoint().to_text());
        let stream = connection.into_tokio_tcp().during("use the connection to", &endpoint)?;
        Ok(Self::new(stream, &endpoint, len_max))
    }
}

impl LineStream {
    /// Lines of at most `len_max` bytes to a worker.
    pub(crate) fn open(connection: Connection, len_max: usize) -> Result<Self, LineError> {
        let socket = connection.socket().unwrap_or(Path::new("")).to_owned();
        let stream = connection.into_tokio().during("use the connection to", &socket)?;
        Ok(Self::new(stream, &socket, len_max))
    }

    /// The stream and its socket, if no unread bytes are buffered.
    pub(crate) fn into_parts(self) -> Result<(UnixStream, PathBuf), LineError> {
        match self.buffer.is_empty() {
            true => Ok((self.stream, self.socket)),
            false => Err(LineError::Unsolicited { excerpt: Excerpt::of_bytes(&self.buffer) }),
        }
    }

    /// Looks at the input so far, without waiting.
    pub(crate) fn arrived(&mut self) -> Result<Arrived, LineError> {
        let mut piece = [0; PIECE_LEN];
        loop {
            if let Some(line) = self.decode()? {
                return Ok(Arrived::Line(line));
            }
            // The kernel is asked directly: the runtime may not know of the input yet.
            match receive_now(&self.stream, &mut piece) {
                Ok(0) | Err(Errno::ECONNRESET | Errno::EPIPE) if self.buffer.is_empty() => {
                    return Ok(Arrived::End);
                }
                Err(Errno::EAGAIN) if self.buffer.is_empty() => return Ok(Arrived::Nothing),
                Ok(0) | Err(Errno::EAGAIN | Errno::ECONNRESET | Errno::EPIPE) => {
                    return Ok(Arrived::Part(Excerpt::of_bytes(&self.buffer)));
                }
                Ok(len) => self.buffer.extend_from_slice(&piece[..len]),
                Err(error) => return Err(error).during("read from", &self.socket).map_err(LineError::from),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> LineStream<S> {
    /// Lines of at most `len_max` bytes on `stream`; `socket` is for messages.
    pub(crate) fn new(stream: S, socket: &Path, len_max: usize) -> Self {
        let codec = LinesCodec::new_with_max_length(len_max);
        Self { stream, socket: socket.to_owned(), codec, buffer: BytesMut::new(), len_max }
    }

    /// Sends a line.
    ///
    /// # Cancel safety
    /// If dropped, the peer may have received any part of the line.
    pub(crate) async fn send(&mut self, line: &str, deadline: Deadline) -> Result<Sent, LineError> {
        if line.len() > self.len_max {
            return Err(LineError::TooLong { whose: Whose::Ours, len_max: self.len_max });
        }
        let line = [line.as_bytes(), b"\n"].concat();
        match deadline.bound(Phase::Write, self.stream.write_all(&line)).await? {
            Ok(()) => Ok(Sent::Whole),
            Err(error) if has_left(&error) => Ok(Sent::PeerLeft),
            Err(error) => Err(error).during("write to", &self.socket).map_err(LineError::from),
        }
    }

    /// Waits for a line: until `deadline`, if given, and from the line's first byte at most `line_timeout`. `None` if
    /// the peer leaves between two lines.
    ///
    /// # Cancel safety
    /// Safe: bytes already read stay in the buffer.
    pub(crate) async fn receive(
        &mut self,
        deadline: Option<Deadline>,
        line_timeout: Duration,
    ) -> Result<Option<String>, LineError> {
        if self.buffer.is_empty() {
            let came = match deadline {
                None => self.fill().await?,
                Some(deadline) => deadline.bound(Phase::Answer, self.fill()).await??,
            };
            if !came {
                return Ok(None);
            }
        }
        let rest = Deadline::from_now(Limit::Line, line_timeout);
        let rest = deadline.map_or(rest, |deadline| deadline.or_sooner(rest));
        loop {
            if let Some(line) = self.decode()? {
                return Ok(Some(line));
            }
            if !rest.bound(Phase::Line, self.fill()).await?? {
                return Err(LineError::ClosedEarly { received: self.buffer.len() });
            }
        }
    }

    /// Reads once; `false` if the peer has left.
    async fn fill(&mut self) -> Result<bool, LineError> {
        self.buffer.reserve(READ_LEN);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(len) => Ok(len > 0),
            Err(error) if has_left(&error) => Ok(false),
            Err(error) => Err(error).during("read from", &self.socket).map_err(LineError::from),
        }
    }

    fn decode(&mut self) -> Result<Option<String>, LineError> {
        let decoded = self.codec.decode(&mut self.buffer);
        if self.buffer.is_empty() && self.buffer.capacity() > READ_LEN {
            // A long line must not keep its memory for the life of the connection.
            self.buffer = BytesMut::new();
        }
        decoded.map_err(|error| match error {
            LinesCodecError::MaxLineLengthExceeded => {
                LineError::TooLong { whose: Whose::Theirs, len_max: self.len_max }
            }
            // The codec performs no I/O: `Io` means invalid UTF-8.
            LinesCodecError::Io(_) => LineError::NotUtf8,
        })
    }
}

/// Whether an error only means that the peer has closed its end.
fn has_left(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}
