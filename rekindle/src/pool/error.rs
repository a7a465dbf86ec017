//! What can go wrong between a host, a pool and a worker.

use crate::advice::{Advice, Step};
use crate::error::Error;
use crate::outcome::{Ensured, Rejection};
use rekindle_adapters::pool_client::PoolCallError;
use rekindle_core::{OsFailure, SessionId};

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
        advice: Box<Advice>,
    },
    /// The worker did not take part in a handshake.
    #[error("the worker of session `{session}` failed the handshake: {source}{}", and(stopped.as_deref()))]
    Handshake {
        /// The session.
        session: SessionId,
        /// What went wrong.
        source: Box<PoolCallError>,
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

fn not_started(outcome: &Ensured) -> String {
    match outcome {
        Ensured::Running(_) => "it runs".to_owned(),
        Ensured::Exited(exited) => {
            let last = exited.stderr_tail.lines().last().unwrap_or_default().escape_debug().to_string();
            let said = if last.is_empty() { String::new() } else { format!("; its last words: {last}") };
            format!("it ended before it accepted ({:?}){said}", exited.exit)
        }
        Ensured::NotStarted(error) => error.to_string(),
        Ensured::Retained(_) => "nothing could be observed of it".to_owned(),
        Ensured::Rejected(rejection) => rejection.message.clone(),
    }
}

impl PoolError {
    pub(super) fn unreachable(session: &SessionId, rejection: Box<Rejection>) -> Self {
        let Rejection { message, advice, .. } = *rejection;
        Self::WorkerUnreachable { session: session.clone(), message, advice: Box::new(advice) }
    }

    /// A worker that lives and was not heard of in time.
    pub(super) fn silent(session: &SessionId, rejection: &Rejection) -> Self {
        let message = format!("it runs and does not answer on `{}`", rejection.socket.display());
        Self::WorkerUnreachable {
            session: session.clone(),
            message,
            advice: Box::new(Step::Doctor(session.clone()).into()),
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

    /// What to do about it. A worker may have paused work, and logs are wanted after a failure: nothing ends or removes them.
    pub fn advice(&self) -> Advice {
        match self {
            Self::UnknownSession { .. } | Self::AmbiguousSession { .. } => Step::PoolList.into(),
            Self::NoProgram => Advice::by_hand("name the worker after `--`"),
            Self::NoVersion => Advice::by_hand("name the version with --speak"),
            Self::NotStarted { session, outcome } => match &**outcome {
                Ensured::NotStarted(error) => Advice::of_start(error),
                Ensured::Rejected(rejection) => rejection.advice.clone(),
                Ensured::Running(_) | Ensured::Exited(_) | Ensured::Retained(_) => {
                    Step::Doctor(session.clone()).into()
                }
            },
            Self::WorkerGone { session } => Step::Doctor(session.clone()).into(),
            Self::WorkerUnreachable { advice, .. } => (**advice).clone(),
            Self::Handshake { stopped: Some(_), .. } => {
                Advice::by_hand("use a worker of the version that is spoken")
            }
            Self::Handshake { session, source, stopped: None } => match &**source {
                PoolCallError::VersionMismatch(found) => {
                    Advice::by_hand(format!("speak its version: --speak {}", found.theirs))
                }
                _ => Step::Doctor(session.clone()).into(),
            },
            Self::NoSession { session } | Self::Call { session, .. } => {
                Step::PoolStatus(session.clone()).into()
            }
            Self::Sessions(error) => error.advice(),
            Self::Os(failure) => Advice::of_failure(failure),
        }
    }
}
