//! What can go wrong besides the outcomes: a session or a state directory that cannot be worked with.

use crate::advice::{Advice, Step};
use crate::json::without_nonce;
use rekindle_adapters::StateRootError;
use rekindle_adapters::call::CallError;
use rekindle_adapters::lines::LineError;
use rekindle_core::execute::Seen;
use rekindle_core::shown::Shown;
use rekindle_core::{Generation, Lifeline, LockClaim, OsFailure, Pid, ReleaseError, SessionId};
use serde::{Serialize, Serializer};
use serde_json::json;
use std::path::PathBuf;

/// Why a session could not be worked with. Nothing was started, stopped or overwritten because of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The state directory cannot be used.
    #[error(transparent)]
    StateRoot(#[from] StateRootError),
    /// Nothing is known of the session.
    #[error("there is no session `{session}`")]
    UnknownSession {
        /// The session.
        session: SessionId,
    },
    /// The record cannot be read. It was left as it is.
    #[error("the record `{}` of session `{session}` is corrupt: {why}", Shown(path))]
    RecordCorrupt {
        /// The session.
        session: SessionId,
        /// Its record.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The record was written by a later version. It was left as it is.
    #[error(
        "the record of session `{session}` has schema version {schema_version}, which this version does not know"
    )]
    RecordNewer {
        /// The session.
        session: SessionId,
        /// Its schema.
        schema_version: u32,
    },
    /// The worker was not started by us, so it is not ours to stop.
    #[error("the worker on `{}` was not started by rekindle, so it is not stopped", Shown(socket))]
    NotManaged {
        /// Where it answers.
        socket: PathBuf,
    },
    /// The worker was not started by us, so nothing proves which process it is.
    #[error("the worker on `{}` was not started by rekindle, so its end cannot be proved", Shown(socket))]
    EndUnprovable {
        /// Where it answers.
        socket: PathBuf,
    },
    /// Whether the worker runs cannot be told from here, so it was neither signalled nor taken for dead.
    #[error("whether the worker of session `{session}` runs cannot be told from here, so nothing was signalled: {}", doubts.join("; "))]
    Unjudged {
        /// The session.
        session: SessionId,
        /// What cannot be proved.
        doubts: Vec<String>,
        /// Whether its lifeline is held, by whom cannot be seen.
        lifeline: Lifeline,
        /// Why its lifeline could not be searched for, if that is why.
        gap: Option<Box<OsFailure>>,
    },
    /// The session has no files, and whether a worker of it lives could not be found out.
    #[error(
        "session `{session}` has no files, and whether a worker of it lives could not be found out: {why}"
    )]
    Unsearched {
        /// The session.
        session: SessionId,
        /// What could not be looked into.
        why: OsFailure,
    },
    /// The worker of a session that was to be forgotten runs.
    #[error("the worker of session `{session}` runs, so the session is not forgotten")]
    StillRuns {
        /// The session.
        session: SessionId,
    },
    /// The worker that was to be restarted was told to go, and its end was not seen in time. No other was started.
    #[error(
        "the worker of session `{session}` did not end in time{}, so no other was started",
        pids(survivors)
    )]
    NotEnded {
        /// The session.
        session: SessionId,
        /// The processes that still run, as far as they are seen.
        survivors: Vec<Pid>,
    },
    /// A launcher is between two steps of a start, and stays there.
    #[error("a start of session `{session}` is in progress, so nothing was signalled")]
    StartInProgress {
        /// The session.
        session: SessionId,
    },
    /// The claim is not to be cleared.
    #[error("{message}")]
    Claimed {
        /// Who holds it, or why it is not to be cleared.
        message: String,
        /// What to do about it.
        advice: Box<Advice>,
        /// Who holds it, where that can be told.
        holder: Option<Box<LockClaim>>,
    },
    /// A call got no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The start is over and was observed, but its claim could not be released.
    #[error("the claim of session `{session}` could not be released: {source}")]
    Release {
        /// The session.
        session: SessionId,
        /// What had been seen of the worker.
        observed: Seen,
        /// Why.
        source: ReleaseError,
    },
    /// The record was written, but the claim under which that was done could not be released.
    #[error("the claim of session `{session}` could not be released: {source}")]
    ReleaseAfterUpdate {
        /// The session.
        session: SessionId,
        /// Why.
        source: ReleaseError,
    },
    /// The record is not that of the start that was seen any more.
    #[error("the record of start {generation} of session `{session}` is gone, so nothing was added to it")]
    RecordGone {
        /// The session.
        session: SessionId,
        /// The start.
        generation: Generation,
    },
    /// The transaction ended without an outcome: it panicked, or the runtime was shut down.
    #[error("the start of session `{session}` was cut short: {why}")]
    CutShort {
        /// The session.
        session: SessionId,
        /// What ended it.
        why: String,
    },
    /// A call that blocks its thread was made inside an async runtime, whose other tasks would stand still.
    #[error("a blocking call was made inside an async runtime; use rekindle::Sessions there")]
    InsideRuntime,
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsFailure),
}

/// The processes that a message names, in brackets.
fn pids(survivors: &[Pid]) -> String {
    match survivors {
        [] => String::new(),
        survivors => {
            let pids: Vec<String> = survivors.iter().map(ToString::to_string).collect();
            format!(" (pid {})", pids.join(", "))
        }
    }
}

/// An object of `outcome`, `reason` and `message`, with the `holder` of a claim that is in the way.
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = json!({ "outcome": "error", "reason": self.reason(), "message": self.to_string() });
        if let Self::Claimed { holder, .. } = self {
            fields["holder"] = json!(holder.as_deref().map(without_nonce));
        }
        fields.serialize(serializer)
    }
}

impl Error {
    /// The reason in one word, as JSON has it.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::StateRoot(StateRootError::NoLocks { .. }) => "state-dir-without-locks",
            Self::StateRoot(StateRootError::Untrusted { .. }) => "state-dir-untrusted",
            Self::StateRoot(_) => "state-dir-unusable",
            Self::UnknownSession { .. } => "unknown-session",
            Self::RecordCorrupt { .. } => "record-corrupt",
            Self::RecordNewer { .. } => "record-newer",
            Self::NotManaged { .. } | Self::EndUnprovable { .. } => "not-managed",
            Self::Claimed { .. } => "target-locked",
            Self::Unjudged { .. } | Self::Unsearched { .. } => "worker-unknown",
            Self::StillRuns { .. } => "still-runs",
            Self::NotEnded { .. } => "worker-not-ended",
            Self::StartInProgress { .. } => "start-in-progress",
            Self::Call(_) => "call-failed",
            Self::Release { .. } | Self::ReleaseAfterUpdate { .. } => "release-failed",
            Self::RecordGone { .. } => "record-gone",
            Self::CutShort { .. } => "cut-short",
            Self::InsideRuntime => "inside-runtime",
            Self::Os(_) => "system",
        }
    }

    /// Whether it is a refusal: something is there that must not be touched.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::StateRoot(StateRootError::NoLocks { .. } | StateRootError::Untrusted { .. })
            | Self::RecordCorrupt { .. }
            | Self::RecordNewer { .. }
            | Self::NotManaged { .. }
            | Self::EndUnprovable { .. }
            | Self::Claimed { .. }
            | Self::Unjudged { .. }
            | Self::Unsearched { .. }
            | Self::StillRuns { .. }
            | Self::StartInProgress { .. } => true,
            Self::StateRoot(_)
            | Self::UnknownSession { .. }
            | Self::Call(_)
            | Self::Release { .. }
            | Self::ReleaseAfterUpdate { .. }
            | Self::RecordGone { .. }
            | Self::CutShort { .. }
            | Self::NotEnded { .. }
            | Self::InsideRuntime
            | Self::Os(_) => false,
        }
    }

    /// What to do about it.
    pub fn advice(&self) -> Advice {
        match self {
            Self::StateRoot(error) => Advice::of_state_root(error),
            Self::UnknownSession { .. } => Step::List.into(),
            Self::RecordCorrupt { session, .. } => Advice::repair(session),
            Self::RecordNewer { .. } => Advice::use_its_version(),
            Self::NotManaged { .. } => Advice::by_hand("end it the way it was started"),
            Self::EndUnprovable { .. } => {
                Advice::by_hand("watch the connection to it: it ends with the worker")
            }
            Self::Claimed { advice, .. } => (**advice).clone(),
            Self::StartInProgress { session } => Advice::wait(session),
            Self::Unsearched { session, why } => Advice::of_unjudged(session, Lifeline::Held, Some(why)),
            Self::Unjudged { session, lifeline, gap, .. } => {
                Advice::of_unjudged(session, *lifeline, gap.as_deref())
            }
            Self::InsideRuntime => {
                Advice::by_hand("call the async API there, or block on a thread outside of the runtime")
            }
            Self::StillRuns { session } => Step::Doctor(session.clone()).into(),
            Self::Call(CallError::Line(LineError::Hung { .. })) => {
                Advice::by_hand("name a longer --timeout, if the worker needs more time")
            }
            Self::Call(_) => Advice::by_hand(
                "look at what the worker speaks: one JSON line is answered with one JSON line",
            ),
            Self::Os(failure) => Advice::of_failure(failure),
            Self::Release { source: ReleaseError::Os(failure), .. }
            | Self::ReleaseAfterUpdate { source: ReleaseError::Os(failure), .. } => {
                Advice::of_failure(failure)
            }
            Self::Release { session, .. }
            | Self::ReleaseAfterUpdate { session, .. }
            | Self::RecordGone { session, .. }
            | Self::CutShort { session, .. }
            | Self::NotEnded { session, .. } => Step::Doctor(session.clone()).into(),
        }
    }
}
