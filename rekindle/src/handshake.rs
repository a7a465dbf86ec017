//! Whether a worker that was found goes together with the caller: asked when no claim is held any more.
//!
//! # Invariants
//! 1. A worker is never ended for what it answers, or does not: it is rejected, with its version, its words or the phase
//!    in which it hung.
//! 2. The connection that is handed out has been greeted, and no byte of it is lost.
//!
//! Checked by `smoke/tests/smoke/s10_ready.rs`.

use crate::outcome::{Ensured, Rejection, Running};
use rekindle_adapters::lines::LineError;
use rekindle_adapters::pool_client::{Deadlines, Limits, PoolCallError, PoolClient};
use rekindle_core::protocol::Speaking;
use rekindle_core::{Liveness, RejectReason, SessionId};
use std::time::Duration;

/// Shakes hands with a worker, unless that was done on this very connection.
pub(crate) async fn introduce(
    session: &SessionId,
    worker: Running,
    speaking: &Speaking,
    within: Duration,
) -> Ensured {
    let deadlines = Deadlines { write: within, answer: within, line: within, ..Deadlines::default() };
    let limits = Limits { deadlines, ..Limits::default() };
    let greeted = PoolClient::open(worker.connection, speaking, limits).await;
    match greeted.and_then(PoolClient::into_connection) {
        Ok(connection) => Ensured::Running(Box::new(Running { connection, ..worker })),
        Err(error) => {
            let (message, next) = describe(session, &error, worker.managed);
            let rejection = Rejection::new(reason(&error), Some(Liveness::Live), &worker.socket);
            let rejection = Rejection { pid: worker.pid, ..rejection.saying(message, next) };
            Ensured::Rejected(Box::new(rejection))
        }
    }
}

fn reason(error: &PoolCallError) -> RejectReason {
    match error {
        PoolCallError::VersionMismatch(_) | PoolCallError::VersionRefused { .. } => {
            RejectReason::VersionMismatch
        }
        PoolCallError::Line(LineError::Hung { .. } | LineError::ClosedEarly { .. } | LineError::Os(_)) => {
            RejectReason::WorkerUnresponsive
        }
        _ => RejectReason::HandshakeFailed,
    }
}

/// What is wrong, and what to do about it.
fn describe(session: &SessionId, error: &PoolCallError, managed: bool) -> (String, String) {
    let message = format!("session `{session}`: its worker accepts connections, but {error}");
    let end =
        if managed { format!("rekindle stop {session}") } else { "end it the way it was started".into() };
    let next = match error {
        PoolCallError::VersionMismatch(_) | PoolCallError::VersionRefused { .. } => {
            format!("speak its version with --speak, or once it has nothing to do: {end}")
        }
        _ => end,
    };
    (message, next)
}
