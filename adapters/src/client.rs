//! One JSON line there, one back: for workers of any protocol.

use crate::lines::{LineError, LineStream};
use crate::probe::Connection;
use rekindle_core::protocol::{Excerpt, LINE_LEN_MAX};
use std::time::Duration;
use tokio::time::timeout;

/// Why a call got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// It took too long.
    #[error("the worker did not answer within {} ms", after.as_millis())]
    TimedOut {
        /// How long it had.
        after: Duration,
    },
    /// No whole line came, or none could be sent.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The line is not JSON.
    #[error("the worker's answer is not JSON ({why}): {excerpt}")]
    NotJson {
        /// What is wrong with it.
        why: String,
        /// Its beginning.
        excerpt: Excerpt,
    },
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
    request: &serde_json::Value,
    within: Duration,
) -> Result<serde_json::Value, CallError> {
    // All of it has one deadline.
    timeout(within, exchange(connection, request)).await.unwrap_or(Err(CallError::TimedOut { after: within }))
}

async fn exchange(
    connection: Connection,
    request: &serde_json::Value,
) -> Result<serde_json::Value, CallError> {
    let never = Duration::MAX;
    let mut lines = LineStream::open(connection, LINE_LEN_MAX)?;
    // Who leaves may have answered before.
    let _ = lines.send(&request.to_string(), never).await?;
    let line = lines.receive(None, never).await?.ok_or(LineError::ClosedEarly { received: 0 })?;
    serde_json::from_str(&line)
        .map_err(|error| CallError::NotJson { why: error.to_string(), excerpt: Excerpt::of(&line) })
}
