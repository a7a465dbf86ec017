//! One JSON line there, one back.

use crate::os::During;
use crate::probe::Connection;
use rekindle_core::OsFailure;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;

/// The longest line that is accepted, in bytes.
pub const LINE_LEN_MAX: u64 = 16 << 20;

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// It took too long.
    #[error("the worker did not answer within {} ms", after.as_millis())]
    TimedOut {
        /// How long it had.
        after: Duration,
    },
    /// The worker went away before its line was complete.
    #[error("the worker closed the connection before its answer was complete")]
    Closed,
    /// The line is too long to be an answer.
    #[error("the worker's answer is longer than {LINE_LEN_MAX} bytes")]
    TooLong,
    /// The line is not JSON.
    #[error("the worker's answer is not JSON: {why}")]
    NotJson {
        /// What is wrong with it.
        why: String,
    },
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsFailure),
}

/// Sends one JSON value as a line and reads one back. The connection is not used again.
///
/// # Errors
/// [`CallError`] says in which way no answer came.
///
/// # Cancel safety
/// If dropped, the worker may have received the request.
pub async fn call(
    connection: Connection,
    socket: &Path,
    request: &serde_json::Value,
    within: Duration,
) -> Result<serde_json::Value, CallError> {
    timeout(within, exchange(connection, socket, request))
        .await
        .unwrap_or(Err(CallError::TimedOut { after: within }))
}

async fn exchange(
    connection: Connection,
    socket: &Path,
    request: &serde_json::Value,
) -> Result<serde_json::Value, CallError> {
    let mut stream = connection.into_tokio().during("use the connection to", socket)?;
    let mut line = request.to_string().into_bytes();
    line.push(b'\n');
    stream.write_all(&line).await.during("write to", socket)?;
    let mut answer = Vec::new();
    BufReader::new(stream.take(LINE_LEN_MAX))
        .read_until(b'\n', &mut answer)
        .await
        .during("read from", socket)?;
    match answer.strip_suffix(b"\n") {
        Some(line) => {
            serde_json::from_slice(line).map_err(|error| CallError::NotJson { why: error.to_string() })
        }
        None if answer.len() as u64 >= LINE_LEN_MAX => Err(CallError::TooLong),
        None => Err(CallError::Closed),
    }
}
