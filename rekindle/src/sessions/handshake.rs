//! Whether a worker that was found goes together with the caller: asked when no claim is held any more.
//!
//! # Invariants
//! 1. A worker is never ended for what it answers, or does not: it is rejected, with its version, its words or the phase
//!    in which it hung.
//! 2. The connection that is handed out has been greeted, and no byte of it is lost.
//!
//! Checked by `smoke/tests/smoke/ready/handshake.rs`.

use crate::advice::{Advice, Step};
use crate::outcome::{Ensured, Rejection, Running};
use rekindle_adapters::client::{Deadlines, Limits, PoolCallError, PoolClient};
use rekindle_adapters::lines::LineError;
use rekindle_core::protocol::{Speaking, Version, VersionMismatch};
use rekindle_core::{Liveness, RejectReason, SessionId};
use std::path::PathBuf;
use std::time::Duration;

/// Shakes hands with a worker, unless that was done on this very connection.
pub(crate) async fn introduce(
    session: &SessionId,
    worker: Running,
    speaking: &Speaking,
    within: Duration,
    recorded: impl FnOnce() -> Option<Version>,
) -> Ensured {
    let deadlines = Deadlines { write: within, answer: within, line: within, ..Deadlines::default() };
    let limits = Limits { deadlines, ..Limits::default() };
    let greeted = PoolClient::open(worker.connection, speaking, limits).await;
    match greeted.and_then(PoolClient::into_connection) {
        Ok(connection) => Ensured::Running(Box::new(Running { connection, ..worker })),
        Err(error) => {
            let recorded = if worker.managed { recorded() } else { None };
            let error = of_another_version(error, &speaking.version, recorded.as_ref());
            let goes = which_goes(&error, recorded.as_ref());
            let message = format!("session `{session}`: its worker accepts connections, but {error}{goes}");
            let elsewhere = (!worker.managed).then(|| worker.socket.clone());
            let advice = advice(session, &error, elsewhere, recorded);
            let rejection = Rejection::new(reason(&error), Some(Liveness::Live), &worker.socket);
            let rejection = Rejection { pid: worker.pid, ..rejection.saying(message, advice) };
            Ensured::Rejected(Box::new(rejection))
        }
    }
}

/// Says of a refusal that it is one of the version, where it is.
///
/// A handshake says no more than a version. A worker that refuses one, and was recorded with another version than was
/// spoken, refuses the version, in whatever words.
pub(crate) fn of_another_version(
    error: PoolCallError,
    spoken: &Version,
    recorded: Option<&Version>,
) -> PoolCallError {
    match error {
        PoolCallError::Refused(refusal) if recorded.is_some_and(|it| it != spoken) => {
            PoolCallError::VersionRefused { ours: spoken.clone(), refusal }
        }
        error => error,
    }
}

/// The version with which a session can be spoken to, where the one that was spoken is wrong.
pub(crate) fn which_goes(error: &PoolCallError, recorded: Option<&Version>) -> String {
    let told = recorded.filter(|_| reason(error) == RejectReason::VersionMismatch);
    told.map(|recorded| format!("; the session was recorded with version `{recorded}`")).unwrap_or_default()
}

fn reason(error: &PoolCallError) -> RejectReason {
    match error {
        PoolCallError::VersionMismatch(_) | PoolCallError::VersionRefused { .. } => {
            RejectReason::VersionMismatch
        }
        PoolCallError::Line(LineError::Hung { .. } | LineError::ClosedEarly { .. } | LineError::Os(_)) => {
            RejectReason::WorkerUnresponsive
        }
        PoolCallError::Line(
            LineError::TooLong { .. } | LineError::NotUtf8 | LineError::Unsolicited { .. },
        )
        | PoolCallError::Unreachable { .. }
        | PoolCallError::Malformed(_)
        | PoolCallError::WrongKind { .. }
        | PoolCallError::Refused(_)
        | PoolCallError::WrongSession { .. }
        | PoolCallError::Spent => RejectReason::HandshakeFailed,
    }
}

/// What to do about it. The worker may have work, so nothing ends it.
fn advice(
    session: &SessionId,
    error: &PoolCallError,
    elsewhere: Option<PathBuf>,
    recorded: Option<Version>,
) -> Advice {
    let theirs = match error {
        PoolCallError::VersionMismatch(VersionMismatch { theirs, .. }) => Some(theirs.clone()),
        PoolCallError::VersionRefused { .. } => recorded,
        PoolCallError::Unreachable { .. }
        | PoolCallError::Line(_)
        | PoolCallError::Malformed(_)
        | PoolCallError::WrongKind { .. }
        | PoolCallError::Refused(_)
        | PoolCallError::WrongSession { .. }
        | PoolCallError::Spent => None,
    };
    match (theirs, error) {
        (Some(theirs), _) => {
            Step::Attach { session: session.clone(), socket: elsewhere, speak: Some(theirs) }.into()
        }
        (None, PoolCallError::VersionRefused { .. }) => Advice::by_hand("speak its version with --speak"),
        (None, PoolCallError::Line(LineError::Hung { .. })) => {
            Advice::from(elsewhere.map_or_else(|| Step::Doctor(session.clone()), Step::Probe))
                .knowing("name a longer --timeout, if it needs more time")
        }
        (None, _) => elsewhere.map_or_else(|| Step::Doctor(session.clone()), Step::Probe).into(),
    }
}
