//! Sends one JSON line and reads one back, over a Unix socket or a TCP port: for workers of any protocol.

use crate::endpoint::probe::Connection;
use crate::pool::lines::{Deadline, Limit, LineError, LineStream};
use rekindle_core::Endpoint;
use rekindle_core::protocol::{Excerpt, LINE_LEN_MAX};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Why a call got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No whole line arrived, the request could not be sent, or the time was up.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The line is not JSON.
    #[error("the worker's answer is not JSON ({why}): {excerpt}")]
    NotJson {
        /// The parser's complaint.
        why: String,
        /// The beginning of the line.
        excerpt: Excerpt,
    },
}

/// Sends one JSON value as a line and reads one back. The connection is not used again.
///
/// # Errors
/// [`CallError`] names the reason for the missing answer.
///
/// # Cancel safety
/// If dropped, the worker may have received the request.
pub async fn call(
    connection: Connection,
    request: &serde_json::Value,
    within: Duration,
) -> Result<serde_json::Value, CallError> {
    // One deadline for the whole call.
    let deadline = Deadline::from_now(Limit::Answer, within);
    match connection.endpoint() {
        Endpoint::Tcp(_) => {
            let lines = LineStream::open_port(connection, LINE_LEN_MAX)?;
            exchange(lines, request, deadline, within).await
        }
        Endpoint::Unix(_) | Endpoint::None => {
            let lines = LineStream::open(connection, LINE_LEN_MAX)?;
            exchange(lines, request, deadline, within).await
        }
    }
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    mut lines: LineStream<S>,
    request: &serde_json::Value,
    deadline: Deadline,
    within: Duration,
) -> Result<serde_json::Value, CallError> {
    // A worker that left may have answered before.
    let _ = lines.send(&request.to_string(), deadline).await?;
    let line = lines.receive(Some(deadline), within).await?.ok_or(LineError::ClosedEarly { received: 0 })?;
    serde_json::from_str(&line)
        .map_err(|error| CallError::NotJson { why: error.to_string(), excerpt: Excerpt::of(&line) })
}
