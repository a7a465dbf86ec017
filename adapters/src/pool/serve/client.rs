//! One client of a worker: its lines, and one answer to each.
//!
//! An invalid request is refused with a reason, and the next line is read. Only a line without an end costs the
//! connection, since the beginning of the next line is unknown.

use super::handler::Handler;
use super::limits::ServeLimits;
use crate::pool::lines::{Deadline, Limit, LineError, LineStream, Sent, Whose};
use rekindle_core::protocol::{Answer, Malformed, Refusal, Request, Response};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The shared state of all clients of a worker.
#[derive(Debug)]
pub(super) struct Shared<H> {
    pub(super) handler: H,
    limits: ServeLimits,
    socket: PathBuf,
    end: CancellationToken,
    asked_to_end: Notify,
    room_is_needed: Notify,
}

impl<H> Shared<H> {
    pub(super) fn new(handler: H, limits: ServeLimits, socket: PathBuf) -> Self {
        Self {
            handler,
            limits,
            socket,
            end: CancellationToken::new(),
            asked_to_end: Notify::new(),
            room_is_needed: Notify::new(),
        }
    }

    /// Closes each client once its answer was sent.
    pub(super) fn end(&self) {
        self.end.cancel();
    }

    /// Resolves once a client has asked for the end and has received the answer.
    pub(super) async fn asked_to_end(&self) {
        self.asked_to_end.notified().await;
    }

    /// Closes the client that has been silent for the longest time.
    pub(super) fn make_room(&self) {
        // Waiters are woken in the order in which they began to wait.
        self.room_is_needed.notify_one();
    }
}

/// Whether a client may send another request.
enum Next {
    Stays,
    Leaves,
    /// The client asked for the end of the worker.
    Ends,
}

/// One client.
#[derive(Debug)]
pub(super) struct Client<H> {
    lines: LineStream,
    shared: Arc<Shared<H>>,
    greeted: bool,
}

impl<H: Handler> Client<H> {
    pub(super) fn new(stream: UnixStream, shared: Arc<Shared<H>>) -> Self {
        let lines = LineStream::new(stream, &shared.socket, shared.limits.line_len_max);
        Self { lines, shared, greeted: false }
    }

    /// Serves the client until the client leaves or is closed.
    pub(super) async fn serve(mut self) {
        loop {
            match self.serve_one().await {
                Ok(Next::Stays) => {}
                Ok(Next::Leaves) => return,
                Ok(Next::Ends) => return self.shared.asked_to_end.notify_one(),
                Err(error) => return tracing::debug!(%error, "a client was let go"),
            }
        }
    }

    async fn serve_one(&mut self) -> Result<Next, LineError> {
        let limits = self.shared.limits;
        // After the handshake a client may be silent for any time.
        let first = (!self.greeted).then(|| Deadline::from_now(Limit::Answer, limits.handshake));
        let received = tokio::select! {
            biased;
            () = self.shared.end.cancelled() => return Ok(Next::Leaves),
            received = self.lines.receive(first, limits.line) => received,
            () = self.shared.room_is_needed.notified() => return Ok(Next::Leaves),
        };
        let (result, next) = match received {
            Ok(None) => return Ok(Next::Leaves),
            Ok(Some(line)) => match Request::read(line.as_bytes()) {
                Ok(request) => self.answer(request).await,
                Err(malformed) => (Err(not_understood(&malformed)), Next::Stays),
            },
            Err(LineError::NotUtf8) => (Err(Refusal::new("the request is not UTF-8")), Next::Stays),
            Err(LineError::TooLong { whose: Whose::Theirs, len_max }) => {
                (Err(Refusal::new(format!("the request is longer than {len_max} bytes"))), Next::Leaves)
            }
            Err(error) => return Err(error),
        };
        match self.send(&Response::from(result)).await? {
            Sent::Whole => Ok(next),
            // The request is carried out all the same.
            Sent::PeerLeft => Ok(if let Next::Ends = next { next } else { Next::Leaves }),
        }
    }

    async fn send(&mut self, response: &Response) -> Result<Sent, LineError> {
        let deadline = Deadline::from_now(Limit::Write, self.shared.limits.write);
        match self.lines.send(&response.to_line(), deadline).await {
            Err(LineError::TooLong { len_max, .. }) => {
                let refusal = Refusal::new(format!("the answer is longer than {len_max} bytes"));
                self.lines.send(&Response::Refused(refusal).to_line(), deadline).await
            }
            sent => sent,
        }
    }

    async fn answer(&mut self, request: Request) -> (Result<Answer, Refusal>, Next) {
        let handler = &self.shared.handler;
        let answer = match request {
            Request::Handshake(theirs) => {
                let greeting = handler.greet(&theirs.version).await;
                self.greeted |= greeting.is_ok();
                greeting.map(Answer::Handshake)
            }
            Request::Run(_) | Request::Continue(_) | Request::Status(_) | Request::Shutdown
                if !self.greeted =>
            {
                Err(Refusal::new("a handshake comes first"))
            }
            Request::Run(run) => handler.run(run).await.map(Answer::Feed),
            Request::Continue(answer) => handler.continue_session(answer).await.map(Answer::Feed),
            Request::Status(request) => handler.status(request).await.map(Answer::Status),
            Request::Shutdown => handler.shutdown().await.map(|()| Answer::Shutdown),
        };
        let next = if let Ok(Answer::Shutdown) = answer { Next::Ends } else { Next::Stays };
        (answer, next)
    }
}

fn not_understood(malformed: &Malformed) -> Refusal {
    Refusal::new(format!("the request cannot be understood: {malformed}"))
}
