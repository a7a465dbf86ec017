//! Whether a worker that was found goes together with the caller: asked when no claim is held any more.
//!
//! # Invariants
//! 1. A worker is never ended for what it answers, or does not: it is rejected, with its version, its words or the phase
//!    in which it hung.
//! 2. The connection that is handed out has been greeted, and no byte of it is lost.
//!
//! Checked by `smoke/tests/smoke/s10_ready.rs`.

use crate::advice::{Advice, Step};
use crate::outcome::{Ensured, Rejection, Running};
use rekindle_adapters::lines::LineError;
use rekindle_adapters::pool_client::{Deadlines, Limits, PoolCallError, PoolClient};
use rekindle_core::protocol::{Speaking, VersionMismatch};
use rekindle_core::{Liveness, RejectReason, SessionId};
use std::path::PathBuf;
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
    let found = Greeted { managed: worker.managed, socket: worker.socket.clone() };
    let greeted = PoolClient::open(worker.connection, speaking, limits).await;
    match greeted.and_then(PoolClient::into_connection) {
        Ok(connection) => Ensured::Running(Box::new(Running { connection, ..worker })),
        Err(error) => {
            let message = format!("session `{session}`: its worker accepts connections, but {error}");
            let advice = advice(session, &error, &found);
            let rejection = Rejection::new(reason(&error), Some(Liveness::Live), &worker.socket);
            let rejection = Rejection { pid: worker.pid, ..rejection.saying(message, advice) };
            Ensured::Rejected(Box::new(rejection))
        }
    }
}

/// The worker that was asked.
struct Greeted {
    managed: bool,
    socket: PathBuf,
}

fn reason(error: &PoolCallError) -> RejectReason {
    match error {
        PoolCallError::VersionMismatch(_) => RejectReason::VersionMismatch,
        PoolCallError::Line(LineError::Hung { .. } | LineError::ClosedEarly { .. } | LineError::Os(_)) => {
            RejectReason::WorkerUnresponsive
        }
        _ => RejectReason::HandshakeFailed,
    }
}

/// What to do about it. The worker may have work, so nothing ends it.
fn advice(session: &SessionId, error: &PoolCallError, worker: &Greeted) -> Advice {
    let Greeted { managed, socket } = worker;
    let elsewhere = (!managed).then(|| socket.clone());
    match error {
        PoolCallError::VersionMismatch(VersionMismatch { theirs, .. }) => {
            let (session, speak) = (session.clone(), Some(theirs.clone()));
            Step::Attach { session, socket: elsewhere, speak }.into()
        }
        _ => elsewhere.map_or_else(|| Step::Doctor(session.clone()), Step::Probe).into(),
    }
}
