//! Errors between a host, a pool and a worker.

use crate::advice::{Advice, Step};
use crate::error::Error;
use crate::outcome::{Ensured, Rejection};
use crate::sessions::handshake::{of_another_version, which_goes};
use rekindle_adapters::client::PoolCallError;
use rekindle_adapters::lines::{Limit, LineError};
use rekindle_core::execute::Cause;
use rekindle_core::protocol::Version;
use rekindle_core::shown::shell_word;
use rekindle_core::target::SOCKET_PATH_LEN_MAX;
use rekindle_core::{OsFailure, RejectReason, SessionId};
use std::time::Duration;

/// The reason why a pool's call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// No session of the pool has the name, neither our name nor a worker's.
    #[error("there is no session `{}`", name.escape_debug())]
    UnknownSession {
        /// The name.
        name: String,
        /// The most similar name, ours or a worker's, if a mistyped name is likely.
        similar: Option<String>,
    },
    /// Several workers gave their sessions the same name.
    #[error("several sessions are called `{}`: {}", name.escape_debug(), listed(sessions))]
    AmbiguousSession {
        /// The name.
        name: String,
        /// The sessions with the name.
        sessions: Vec<SessionId>,
    },
    /// `run` needs a program, but none was named.
    #[error("no worker was named that could be started")]
    NoProgram,
    /// The call needs a version, but none was named.
    #[error("no version was named that could be spoken")]
    NoVersion,
    /// The worker did not become ready. No process of the worker runs, unless the claim was retained.
    #[error("the worker of session `{session}` did not come up: {}", not_started(outcome))]
    NotStarted {
        /// The session.
        session: SessionId,
        /// The outcome of the start.
        outcome: Box<Ensured>,
    },
    /// The worker is gone, and so is the session.
    #[error("the worker of session `{session}` is gone")]
    WorkerGone {
        /// The session.
        session: SessionId,
    },
    /// The worker lives, or may live, but cannot be reached.
    #[error("the worker of session `{session}` cannot be reached: {message}")]
    WorkerUnreachable {
        /// The session.
        session: SessionId,
        /// The reason.
        message: String,
        /// The next step.
        advice: Box<Advice>,
    },
    /// The worker failed the handshake.
    #[error(
        "the worker of session `{session}` failed the handshake: {source}{}{}",
        which_goes(source, recorded.as_ref()),
        and(stopped.as_deref())
    )]
    Handshake {
        /// The session.
        session: SessionId,
        /// The failure.
        source: Box<PoolCallError>,
        /// The recorded version of a worker that ran before the call.
        recorded: Option<Version>,
        /// The end of a worker started by the failed call.
        stopped: Option<String>,
    },
    /// The worker gave no answer, or an unusable answer.
    #[error("session `{session}`: {source}")]
    Call {
        /// The session.
        session: SessionId,
        /// The failure.
        source: Box<PoolCallError>,
    },
    /// The worker runs, but has no session to continue.
    #[error("the worker of session `{session}` has no session that could be continued")]
    NoSession {
        /// The session.
        session: SessionId,
    },
    /// The session or the state directory cannot be used.
    #[error(transparent)]
    Sessions(#[from] Error),
    /// The system refused an operation.
    #[error(transparent)]
    Os(#[from] OsFailure),
}

fn listed(sessions: &[SessionId]) -> String {
    sessions.iter().map(SessionId::as_str).collect::<Vec<_>>().join(", ")
}

fn and(stopped: Option<&str>) -> String {
    stopped.map_or_else(String::new, |stopped| format!("; {stopped}"))
}

fn not_started(outcome: &Ensured) -> String {
    match outcome {
        Ensured::Running(_) => "it runs".to_owned(),
        Ensured::Exited(exited) => {
            let last = exited.stderr_tail.lines().last().unwrap_or_default().escape_debug().to_string();
            let said = if last.is_empty() { String::new() } else { format!("; its last words: {last}") };
            let how = exited.exit;
            match &exited.cause {
                Some(cause) => format!("{}; it was told to go and {how}{said}", caused(cause)),
                None => format!("it {how} before it accepted a connection{said}"),
            }
        }
        Ensured::NotStarted(error) => error.to_string(),
        Ensured::Retained(retained) => {
            format!("{}; its end was not seen, and the claim is kept", caused(&retained.cause))
        }
        Ensured::Rejected(rejection) => match too_long(rejection) {
            Some(len) => format!(
                "its socket would be `{}`, which is {len} bytes long; a socket address holds at most {SOCKET_PATH_LEN_MAX}",
                rejection.endpoint.in_words()
            ),
            None => rejection.message.clone(),
        },
    }
}

fn caused(cause: &Cause) -> String {
    match cause {
        Cause::ObserveTimeout { after } => {
            format!("it did not accept a connection within {} ms", after.as_millis())
        }
        Cause::Seam(_) => cause.to_string(),
    }
}

/// The length of a socket's path, if too long.
fn too_long(rejection: &Rejection) -> Option<usize> {
    let len = rejection.endpoint.socket().map_or(0, |socket| socket.as_os_str().len());
    (rejection.reason == RejectReason::BadTarget && len > SOCKET_PATH_LEN_MAX).then_some(len)
}

/// The option for more time.
fn more_time(limit: Limit) -> String {
    let option = match limit {
        Limit::Connect => "--timeout",
        Limit::Answer | Limit::Write | Limit::Line => "--answer-timeout",
        Limit::Work => "--work-timeout",
    };
    format!("give it longer with {option}")
}

/// The exceeded limit, if the call failed because of a limit.
fn limit_met(source: &PoolCallError) -> Option<Limit> {
    match source {
        PoolCallError::Line(LineError::Hung { limit, .. }) => Some(*limit),
        PoolCallError::Line(
            LineError::ClosedEarly { .. }
            | LineError::TooLong { .. }
            | LineError::NotUtf8
            | LineError::Unsolicited { .. }
            | LineError::Os(_),
        )
        | PoolCallError::Unreachable { .. }
        | PoolCallError::Malformed(_)
        | PoolCallError::WrongKind { .. }
        | PoolCallError::Refused(_)
        | PoolCallError::VersionMismatch(_)
        | PoolCallError::VersionRefused { .. }
        | PoolCallError::WrongSession { .. }
        | PoolCallError::Spent => None,
    }
}

/// Advice about a worker that failed the handshake.
fn after_handshake(
    session: &SessionId,
    source: &PoolCallError,
    recorded: Option<&Version>,
    ended: bool,
) -> Advice {
    let look = || Advice::from(Step::Doctor(session.clone()));
    match (source, recorded, limit_met(source).map(more_time)) {
        (_, _, Some(longer)) if ended => Advice::by_hand(longer),
        (_, _, Some(longer)) => look().knowing(longer),
        // No advice ends a worker because of a caller's wrong version.
        (PoolCallError::VersionMismatch(_) | PoolCallError::VersionRefused { .. }, Some(recorded), None) => {
            Advice::by_hand(format!(
                "speak the version that it was recorded with: --speak {}",
                word(recorded)
            ))
        }
        (PoolCallError::VersionMismatch(mismatch), None, None) if !ended => {
            Advice::by_hand(format!("speak the version that it reports: --speak {}", word(&mismatch.theirs)))
        }
        (_, _, None) if ended => Advice::by_hand("use a worker of the version that is spoken"),
        (_, _, None) => look(),
    }
}

/// A version as typed in a command.
fn word(version: &Version) -> String {
    shell_word(version.as_str().as_ref())
}

/// Advice about a worker that did not become ready.
fn after_start(session: &SessionId, outcome: &Ensured) -> Advice {
    match outcome {
        Ensured::NotStarted(error) => Advice::of_start(error),
        Ensured::Exited(exited) => (*exited.advice).clone(),
        // A pool has no option for a socket.
        Ensured::Rejected(rejection) if too_long(rejection).is_some() => {
            Advice::by_hand("name a shorter state directory with --dir")
        }
        Ensured::Rejected(rejection) => rejection.advice.clone(),
        Ensured::Running(_) | Ensured::Retained(_) => Step::Doctor(session.clone()).into(),
    }
}

impl PoolError {
    pub(super) fn unreachable(session: &SessionId, rejection: Box<Rejection>) -> Self {
        let Rejection { message, advice, .. } = *rejection;
        Self::WorkerUnreachable { session: session.clone(), message, advice: Box::new(advice) }
    }

    /// The error for a worker that ran before the call and failed the handshake.
    pub(super) fn strange(
        session: SessionId,
        source: PoolCallError,
        spoken: &Version,
        recorded: Option<Version>,
    ) -> Self {
        let source = Box::new(of_another_version(source, spoken, recorded.as_ref()));
        Self::Handshake { session, source, recorded, stopped: None }
    }

    /// The error for a living worker that did not accept a connection in time.
    pub(super) fn silent(session: &SessionId, rejection: &Rejection, within: Duration) -> Self {
        let (socket, within) = (rejection.endpoint.in_words(), within.as_millis());
        let message = format!("it runs, and did not accept a connection on `{socket}` within {within} ms");
        Self::WorkerUnreachable {
            session: session.clone(),
            message,
            advice: Box::new(Advice::from(Step::Doctor(session.clone())).knowing(more_time(Limit::Connect))),
        }
    }

    /// Whether the worker refused, and so did nothing.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Call { source, .. } if matches!(**source, PoolCallError::Refused(_)))
    }

    /// The reason in one word, as in the JSON.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::UnknownSession { .. } => "unknown-session",
            Self::AmbiguousSession { .. } => "ambiguous-session",
            Self::NoProgram => "no-program",
            Self::NoVersion => "no-version",
            Self::NotStarted { .. } => "worker-not-started",
            Self::WorkerGone { .. } => "worker-gone",
            Self::WorkerUnreachable { .. } => "worker-unreachable",
            Self::Handshake { source, .. } | Self::Call { source, .. } => source.reason(),
            Self::NoSession { .. } => "no-session",
            Self::Sessions(error) => error.reason(),
            Self::Os(_) => "system",
        }
    }

    /// The session of the error, if any.
    pub fn session(&self) -> Option<&SessionId> {
        match self {
            Self::NotStarted { session, .. }
            | Self::WorkerGone { session }
            | Self::WorkerUnreachable { session, .. }
            | Self::Handshake { session, .. }
            | Self::Call { session, .. }
            | Self::NoSession { session } => Some(session),
            Self::UnknownSession { .. }
            | Self::AmbiguousSession { .. }
            | Self::NoProgram
            | Self::NoVersion
            | Self::Sessions(_)
            | Self::Os(_) => None,
        }
    }

    /// The next step. A worker may have paused work, and logs are wanted after a failure: no advice ends or removes
    /// either.
    pub fn advice(&self) -> Advice {
        match self {
            Self::UnknownSession { similar, .. } => {
                Advice::of_unknown_name(Step::PoolList, similar.as_deref())
            }
            Self::AmbiguousSession { .. } => Step::PoolList.into(),
            Self::NoProgram => Advice::by_hand("name the worker after `--`"),
            Self::NoVersion => Advice::by_hand("name the version with --speak"),
            Self::NotStarted { session, outcome } => after_start(session, outcome),
            Self::WorkerGone { session } => Step::Doctor(session.clone()).into(),
            Self::WorkerUnreachable { advice, .. } => (**advice).clone(),
            Self::Handshake { session, source, recorded, stopped } => {
                after_handshake(session, source, recorded.as_ref(), stopped.is_some())
            }
            Self::NoSession { session } => Advice::from(Step::PoolStatus(session.clone()))
                .knowing("`pool shutdown` ends a worker that has nothing to do"),
            Self::Call { session, source } => {
                let status = Advice::from(Step::PoolStatus(session.clone()));
                match limit_met(source) {
                    Some(limit) => status.knowing(more_time(limit)),
                    None => status,
                }
            }
            Self::Sessions(error) => error.advice(),
            Self::Os(failure) => Advice::of_failure(failure),
        }
    }
}
