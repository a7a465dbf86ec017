//! Greets the found worker after the claim was released, and rejects a worker of another version.
//!
//! # Invariants
//! 1. A worker is never ended because of an answer or silence. The rejection names the worker's version, the worker's
//!    words, or the phase in which the worker hung.
//! 2. The handed-out connection has been greeted, and no byte of the connection is lost.
//!
//! Checked by `smoke/tests/smoke/ready/handshake.rs`.

use crate::advice::{Advice, Step};
use crate::outcome::{Ensured, Rejection, Running};
use rekindle_adapters::client::{Deadlines, Limits, PoolCallError, PoolClient};
use rekindle_adapters::lines::LineError;
use rekindle_core::protocol::{Speaking, Version, VersionMismatch};
use rekindle_core::{Endpoint, Liveness, RejectReason, SessionId};
use std::path::PathBuf;
use std::time::Duration;

/// Shakes hands with a worker, unless the handshake was done on this connection.
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
            let elsewhere = worker.endpoint.socket().filter(|_| !worker.managed).map(ToOwned::to_owned);
            let advice = advice(session, &error, elsewhere, recorded);
            let rejection = Rejection::new(reason(&error), Some(Liveness::Live), &worker.endpoint);
            let rejection = Rejection { pid: worker.pid, ..rejection.saying(message, advice) };
            Ensured::Rejected(Box::new(rejection))
        }
    }
}

/// Turns a refusal into a refusal of the version, if the version is the reason.
///
/// A handshake asks only about the version. So a refusal by a worker recorded with another version than the spoken
/// version is a refusal of the version, whatever the worker's words.
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

/// Names the recorded version if the spoken version was wrong.
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

/// The next command. The worker may have work, so no command ends the worker.
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
        (Some(theirs), _) => Step::Attach {
            session: session.clone(),
            address: elsewhere.map(|socket| Endpoint::Unix(socket).into()),
            speak: Some(theirs),
        }
        .into(),
        (None, PoolCallError::VersionRefused { .. }) => Advice::by_hand("speak its version with --speak"),
        (None, PoolCallError::Line(LineError::Hung { .. })) => {
            Advice::from(elsewhere.map_or_else(|| Step::Doctor(session.clone()), Step::Probe))
                .knowing("name a longer --timeout, if it needs more time")
        }
        (None, _) => elsewhere.map_or_else(|| Step::Doctor(session.clone()), Step::Probe).into(),
    }
}
