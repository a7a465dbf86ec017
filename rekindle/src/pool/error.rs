//! What can go wrong between a host, a pool and a worker.

use crate::error::Error;
use crate::outcome::{Ensured, Rejection};
use rekindle_adapters::lines::{Limit, LineError};
use rekindle_adapters::pool_client::PoolCallError;
use rekindle_core::execute::Cause;
use rekindle_core::protocol::Version;
use rekindle_core::shown::Shown;
use rekindle_core::target::SOCKET_PATH_LEN_MAX;
use rekindle_core::{ChildExit, OsFailure, RejectReason, SessionId};
use std::time::Duration;

/// Why a pool could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// No session of the pool has this name, ours or a worker's.
    #[error("there is no session `{}`", name.escape_debug())]
    UnknownSession {
        /// The name.
        name: String,
    },
    /// Several workers gave their sessions this name.
    #[error("several sessions are called `{}`: {}", name.escape_debug(), listed(sessions))]
    AmbiguousSession {
        /// The name.
        name: String,
        /// Those that are called so.
        sessions: Vec<SessionId>,
    },
    /// A run without a program to start.
    #[error("no worker was named that could be started")]
    NoProgram,
    /// A call without a version to speak.
    #[error("no version was named that could be spoken")]
    NoVersion,
    /// The worker did not come up. Nothing of it runs, unless its claim was retained.
    #[error("the worker of session `{session}` did not come up: {}", not_started(outcome))]
    NotStarted {
        /// The session.
        session: SessionId,
        /// How its start turned out.
        outcome: Box<Ensured>,
    },
    /// The worker is gone, and the session with it.
    #[error("the worker of session `{session}` is gone")]
    WorkerGone {
        /// The session.
        session: SessionId,
    },
    /// The worker lives, or may live, and cannot be reached.
    #[error("the worker of session `{session}` cannot be reached: {message}")]
    WorkerUnreachable {
        /// The session.
        session: SessionId,
        /// Why.
        message: String,
        /// What to do about it.
        next: String,
    },
    /// The worker did not take part in a handshake.
    #[error(
        "the worker of session `{session}` failed the handshake: {source}{}{}",
        which_goes(source, recorded.as_ref()),
        and(stopped.as_deref())
    )]
    Handshake {
        /// The session.
        session: SessionId,
        /// What went wrong.
        source: Box<PoolCallError>,
        /// The version that the worker was recorded with, where it was there before.
        recorded: Option<Version>,
        /// What became of the worker, if it was started for this very call.
        stopped: Option<String>,
    },
    /// A call got no answer, or one that is of no use.
    #[error("session `{session}`: {source}")]
    Call {
        /// The session.
        session: SessionId,
        /// What went wrong.
        source: Box<PoolCallError>,
    },
    /// The worker runs and has nothing that could be continued.
    #[error("the worker of session `{session}` has no session that could be continued")]
    NoSession {
        /// The session.
        session: SessionId,
    },
    /// The session or the state directory cannot be worked with.
    #[error(transparent)]
    Sessions(#[from] Error),
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsFailure),
}

fn listed(sessions: &[SessionId]) -> String {
    sessions.iter().map(SessionId::as_str).collect::<Vec<_>>().join(", ")
}

fn and(stopped: Option<&str>) -> String {
    stopped.map_or_else(String::new, |stopped| format!("; {stopped}"))
}

/// The version with which a session can be spoken to, where the one that was spoken is wrong.
fn which_goes(source: &PoolCallError, recorded: Option<&Version>) -> String {
    match (source, recorded) {
        (PoolCallError::VersionMismatch(_) | PoolCallError::VersionRefused { .. }, Some(recorded)) => {
            format!("; the session was recorded with version `{recorded}`")
        }
        _ => String::new(),
    }
}

fn not_started(outcome: &Ensured) -> String {
    match outcome {
        Ensured::Running(_) => "it runs".to_owned(),
        Ensured::Exited(exited) => {
            let last = exited.stderr_tail.lines().last().unwrap_or_default().escape_debug().to_string();
            let said = if last.is_empty() { String::new() } else { format!("; its last words: {last}") };
            let how = match exited.exit {
                ChildExit::Code(code) => format!("exited with {code}"),
                ChildExit::Signal(signal) => format!("was ended by signal {signal}"),
                ChildExit::Unknown => "ended".to_owned(),
            };
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
                Shown(&rejection.socket)
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

/// The length of a socket's path, where that is what was wrong.
fn too_long(rejection: &Rejection) -> Option<usize> {
    let len = rejection.socket.as_os_str().len();
    (rejection.reason == RejectReason::BadTarget && len > SOCKET_PATH_LEN_MAX).then_some(len)
}

/// The option that gives a worker more time.
fn more_time(limit: Limit) -> &'static str {
    match limit {
        Limit::Connect => "--timeout",
        Limit::Answer | Limit::Write | Limit::Line => "--answer-timeout",
        Limit::Work => "--work-timeout",
    }
}

/// The limit that a call met, if that is why it failed.
fn limit_met(source: &PoolCallError) -> Option<Limit> {
    match source {
        PoolCallError::Line(LineError::Hung { limit, .. }) => Some(*limit),
        _ => None,
    }
}

/// What to do about a worker that failed the handshake.
fn next_after_handshake(
    session: &SessionId,
    source: &PoolCallError,
    recorded: Option<&Version>,
    ended: bool,
) -> String {
    let patience = limit_met(source).map(|limit| format!("give it longer with {}", more_time(limit)));
    match (source, recorded, patience) {
        (_, _, Some(patience)) if ended => patience,
        (_, _, Some(patience)) => format!("{patience}, or look at it: rekindle doctor {session}"),
        // Nobody ends work for the version that a caller got wrong.
        (PoolCallError::VersionMismatch(_) | PoolCallError::VersionRefused { .. }, Some(recorded), None) => {
            format!("speak the version that it was recorded with: --speak {recorded}")
        }
        (PoolCallError::VersionMismatch(mismatch), None, None) if !ended => {
            format!("speak the version that it reports: --speak {}", mismatch.theirs)
        }
        (_, _, None) if ended => "use a worker of the version that is spoken".to_owned(),
        (_, _, None) => format!("rekindle doctor {session}"),
    }
}

/// What to do about a worker that did not come up.
fn next_after_start(session: &SessionId, outcome: &Ensured) -> String {
    match outcome {
        Ensured::NotStarted(_) => "name a worker that exists after `--`".to_owned(),
        Ensured::Exited(exited) if matches!(exited.cause, Some(Cause::ObserveTimeout { .. })) => {
            format!(
                "give it longer with {}; what is known of it: rekindle show {session}",
                more_time(Limit::Connect)
            )
        }
        Ensured::Rejected(rejection) if too_long(rejection).is_some() => {
            "name a shorter state directory with --dir".to_owned()
        }
        Ensured::Running(_) | Ensured::Exited(_) | Ensured::Retained(_) | Ensured::Rejected(_) => {
            format!("rekindle show {session}")
        }
    }
}

impl PoolError {
    pub(super) fn unreachable(session: &SessionId, rejection: Box<Rejection>) -> Self {
        let Rejection { message, next, .. } = *rejection;
        Self::WorkerUnreachable { session: session.clone(), message, next }
    }

    /// A worker that was there before a call failed the handshake.
    ///
    /// A handshake says no more than a version. A worker that refuses one, and was recorded with another version than was
    /// spoken, refuses the version, in whatever words.
    pub(super) fn strange(
        session: SessionId,
        source: PoolCallError,
        spoken: &Version,
        recorded: Option<Version>,
    ) -> Self {
        let source = match source {
            PoolCallError::Refused(refusal) if recorded.as_ref().is_some_and(|it| it != spoken) => {
                PoolCallError::VersionRefused { ours: spoken.clone(), refusal }
            }
            source => source,
        };
        Self::Handshake { session, source: Box::new(source), recorded, stopped: None }
    }

    /// A worker that lives and was not heard of in time.
    pub(super) fn silent(session: &SessionId, rejection: &Rejection, within: Duration) -> Self {
        let (socket, within) = (Shown(&rejection.socket), within.as_millis());
        let message = format!("it runs, and did not accept a connection on `{socket}` within {within} ms");
        Self::WorkerUnreachable {
            session: session.clone(),
            message,
            next: format!(
                "give it longer with {}, or look at it: rekindle doctor {session}",
                more_time(Limit::Connect)
            ),
        }
    }

    /// Whether the worker said no, and so did nothing.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Call { source, .. } if matches!(**source, PoolCallError::Refused(_)))
    }

    /// The reason in one word, as JSON has it.
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

    /// The session that it is about, where it is about one.
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

    /// The next command to type, or the next thing to do.
    pub fn next(&self) -> String {
        match self {
            Self::UnknownSession { .. } | Self::AmbiguousSession { .. } => "rekindle pool ls".into(),
            Self::NoProgram => "name the worker after `--`".into(),
            Self::NoVersion => "name the version with --speak".into(),
            Self::NotStarted { session, outcome } => next_after_start(session, outcome),
            Self::WorkerGone { .. } => "rekindle pool gc".into(),
            Self::WorkerUnreachable { next, .. } => next.clone(),
            Self::Handshake { session, source, recorded, stopped } => {
                next_after_handshake(session, source, recorded.as_ref(), stopped.is_some())
            }
            Self::NoSession { session } => format!("rekindle pool shutdown {session}"),
            Self::Call { session, source } => match limit_met(source) {
                Some(limit) => {
                    format!(
                        "give it longer with {}; how it stands: rekindle pool status {session}",
                        more_time(limit)
                    )
                }
                None => format!("rekindle pool status {session}"),
            },
            Self::Sessions(error) => error.next(),
            Self::Os(_) => "rekindle doctor".into(),
        }
    }
}
