//! Readiness by HTTP: a worker is ready when it answers `GET PATH` with a status from 200 to 399.
//!
//! # Invariants
//! 1. A request goes only to a listener that is the worker's. A TCP port is judged again after the answer: the listener
//!    may have changed before the connect.
//! 2. The bytes and the time of one answer are bounded, and so is the number of requests a second.
//! 3. No connection is handed on: the worker closes each connection after its answer.
//!
//! Checked by `smoke/tests/smoke/ready/http.rs`.

use super::Site;
use crate::endpoint::probe::{Connection, Look, Lookout, Probed};
use crate::ready::listen::pauses;
use crate::ready::port;
use httparse::{EMPTY_HEADER, Error as HeadError, ParserConfig, Response, Status};
use rekindle_core::readiness::RequestPath;
use rekindle_core::shown::Shown;
use rekindle_core::{Endpoint, Pid, WatchError};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// How long the worker may take for one answer. A later answer counts as none, and the request is repeated.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest head of an answer, in bytes.
const HEAD_LEN_MAX: usize = 64 << 10;
/// The number of headers of an answer.
const HEADERS_MAX: usize = 128;
/// The pause after an answer that is not the awaited one: the first, and the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
const PAUSE_LONGEST: Duration = Duration::from_millis(500);
/// How much of a good answer's body is read, in bytes and time: a server may complain about a client that leaves early.
const BODY_LEN_MAX: u64 = 64 << 10;
const BODY_TIMEOUT: Duration = Duration::from_millis(100);

/// Asks until the worker answers well.
pub(super) async fn await_answer(site: &Site<'_>, path: &RequestPath) -> Result<Connection, WatchError> {
    let (mut backoff, mut server) = (pauses(site.endpoint), Server::at(site)?);
    let (mut pause, mut is_answered) = (PAUSE_FIRST, false);
    loop {
        let Some(found) = server.look()? else {
            backoff.wait().await;
            continue;
        };
        let (peer, host) = (found.peer(), host_of(&found));
        if !is_answered {
            site.start.note_seen(format!("GET {path} was not answered"));
        }
        let asked = timeout(ANSWER_TIMEOUT, ask(found, &host, path)).await;
        let answer = asked.unwrap_or(Answer::Late);
        if answer.is_good()
            && let Some(connection) = server.confirm(peer)?
        {
            return Ok(connection);
        }
        site.start.note_seen(answer.in_words(path));
        is_answered = true;
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_LONGEST);
    }
}

/// The worker's listener, looked for before each request.
enum Server<'s> {
    Socket(&'s Site<'s>, &'s Path, Lookout<'s>),
    Port(&'s Site<'s>, SocketAddr),
}

impl<'s> Server<'s> {
    fn at(site: &'s Site<'s>) -> Result<Self, WatchError> {
        match site.endpoint {
            Endpoint::Unix(socket) => Ok(Self::Socket(site, socket, Lookout::at(socket))),
            Endpoint::Tcp(at) => Ok(Self::Port(site, *at)),
            Endpoint::None => Err(WatchError::Unwatchable {
                ready: site.start.readiness().to_string(),
                why: "the worker has no endpoint".to_owned(),
            }),
        }
    }

    /// Looks once; `None` if no process listens yet.
    fn look(&mut self) -> Result<Option<Connection>, WatchError> {
        match self {
            Self::Port(site, at) => port::see_listener(site, *at),
            Self::Socket(site, socket, lookout) => match lookout.look() {
                Look::Found(Probed::Live(connection)) => Ok(Some(connection)),
                Look::Found(Probed::Forged { why } | Probed::Foreign { who: why }) => {
                    Err(WatchError::Forged { path: socket.to_owned(), why })
                }
                Look::Found(Probed::Dormant { why } | Probed::Indeterminate { why }) => {
                    site.start.note_seen(format!("no connection to the socket: {why}"));
                    Ok(None)
                }
                Look::Absent => {
                    site.start.note_seen("the socket was not there");
                    Ok(None)
                }
                Look::Busy => {
                    site.start.note_seen("the socket accepted no connection: its backlog was full");
                    Ok(None)
                }
            },
        }
    }

    /// The worker's endpoint after a good answer; `None` if the listener of a port is gone. A connected socket is judged by
    /// its peer already.
    fn confirm(&mut self, peer: Option<Pid>) -> Result<Option<Connection>, WatchError> {
        match self {
            Self::Port(..) => self.look(),
            Self::Socket(site, ..) => Ok(Some(Connection::deferred(site.endpoint.clone()).known_as(peer))),
        }
    }
}

/// The name for the header `Host`.
fn host_of(found: &Connection) -> String {
    found.endpoint().tcp().map_or_else(|| "localhost".to_owned(), |at| at.to_string())
}

/// The result of one request.
#[derive(Debug)]
enum Answer {
    Status { code: u16, reason: String },
    NoHttp,
    TooLong,
    ClosedEarly,
    Late,
    Failed(io::Error),
}

impl Answer {
    fn is_good(&self) -> bool {
        matches!(self, Self::Status { code: 200..=399, .. })
    }

    /// The finding, for a start that was not ready in time.
    fn in_words(&self, path: &RequestPath) -> String {
        match self {
            Self::Status { code, reason } if reason.is_empty() => {
                format!("GET {path} was answered with {code}")
            }
            Self::Status { code, reason } => {
                format!("GET {path} was answered with {code} {}", Shown(reason))
            }
            Self::NoHttp => format!("the answer to GET {path} was no HTTP"),
            Self::TooLong => format!("the answer to GET {path} had a head of more than {HEAD_LEN_MAX} bytes"),
            Self::ClosedEarly => format!("the connection was closed before an answer to GET {path}"),
            Self::Late => format!("GET {path} was not answered within {} s", ANSWER_TIMEOUT.as_secs()),
            Self::Failed(error) => format!("GET {path} failed: {error}"),
        }
    }
}

async fn ask(found: Connection, host: &str, path: &RequestPath) -> Answer {
    let asked = match found.endpoint().tcp() {
        Some(at) => match TcpStream::connect(at).await {
            Ok(stream) => exchange(stream, host, path).await,
            Err(error) => Err(error),
        },
        None => match found.into_tokio() {
            Ok(stream) => exchange(stream, host, path).await,
            Err(error) => Err(error),
        },
    };
    asked.unwrap_or_else(Answer::Failed)
}

/// Sends the request on a fresh connection, and reads the answer's head.
async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    path: &RequestPath,
) -> io::Result<Answer> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: rekindle\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    loop {
        if let Some(answer) = parse(&mut head) {
            if answer.is_good() {
                read_body(stream).await;
            }
            return Ok(answer);
        }
        if head.len() >= HEAD_LEN_MAX {
            return Ok(Answer::TooLong);
        }
        let room = HEAD_LEN_MAX - head.len();
        if (&mut stream).take(room as u64).read_buf(&mut head).await? == 0 {
            return Ok(Answer::ClosedEarly);
        }
    }
}

/// The answer at the beginning of `head`, if whole. Interim answers (1xx) are removed: the answer comes behind them.
fn parse(head: &mut Vec<u8>) -> Option<Answer> {
    // Only the status counts: the rest may be as odd as a browser would take it.
    let mut lenient = ParserConfig::default();
    lenient.ignore_invalid_headers_in_responses(true);
    lenient.allow_multiple_spaces_in_response_status_delimiters(true);
    loop {
        let mut headers = [EMPTY_HEADER; HEADERS_MAX];
        let mut response = Response::new(&mut headers);
        let len = match lenient.parse_response(&mut response, head) {
            Ok(Status::Complete(len)) => len,
            Ok(Status::Partial) => return None,
            Err(HeadError::TooManyHeaders) => return Some(Answer::TooLong),
            Err(_) => return Some(Answer::NoHttp),
        };
        let code = response.code.unwrap_or_default();
        if !(100..200).contains(&code) {
            return Some(Answer::Status { code, reason: response.reason.unwrap_or_default().to_owned() });
        }
        head.drain(..len);
    }
}

/// Reads what a server still sends, within limits: the content does not matter.
async fn read_body(stream: impl AsyncRead + Unpin) {
    let mut body = stream.take(BODY_LEN_MAX);
    // A failure, or a body that goes on, changes nothing about the answer.
    let _ = timeout(BODY_TIMEOUT, tokio::io::copy(&mut body, &mut tokio::io::sink())).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(head: &[u8]) -> Option<String> {
        let path = "/x".parse().expect("a path");
        parse(&mut head.to_vec()).map(|answer| answer.in_words(&path))
    }

    #[test]
    fn the_answer_behind_interim_answers_counts() {
        let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        assert_eq!(parsed(interim), None);
        let answered = [&interim[..], b"HTTP/1.1 204 No Content\r\nA: b\r\n\r\n"].concat();
        assert_eq!(parsed(&answered).as_deref(), Some("GET /x was answered with 204 No Content"));
    }

    #[test]
    fn a_whole_head_is_needed_and_a_reason_is_not() {
        assert_eq!(parsed(b"HTTP/1.0 200 OK\r\nServer: x\r\n"), None);
        assert_eq!(parsed(b"HTTP/1.0 503\r\n\r\n").as_deref(), Some("GET /x was answered with 503"));
    }

    #[test]
    fn anything_else_is_no_http() {
        for garbage in
            [&b"hello\n"[..], b"\x16\x03\x01\x02\x00", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n"]
        {
            assert_eq!(parsed(garbage).as_deref(), Some("the answer to GET /x was no HTTP"), "{garbage:?}");
        }
    }

    #[test]
    fn only_200_to_399_is_good() {
        for (code, is_good) in
            [(199, false), (200, true), (302, true), (399, true), (400, false), (503, false)]
        {
            assert_eq!(Answer::Status { code, reason: String::new() }.is_good(), is_good, "{code}");
        }
    }
}
