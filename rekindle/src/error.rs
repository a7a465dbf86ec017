//! Errors: failures besides the outcomes, because a session or a state directory cannot be used.

use crate::advice::{Advice, Step};
use crate::json::failure::ErrorJson;
use crate::json::word::described_as;
use crate::project::ProjectError;
use rekindle_adapters::StateRootError;
use rekindle_adapters::call::CallError;
use rekindle_adapters::lines::LineError;
use rekindle_adapters::state_root::Elsewhere;
use rekindle_core::again::NoPlan;
use rekindle_core::execute::Seen;
use rekindle_core::shown::Shown;
use rekindle_core::{Endpoint, Generation, Lifeline, LockClaim, OsFailure, Pid, ReleaseError, SessionId};
use serde::{Serialize, Serializer};
use std::path::PathBuf;

/// The reason why a session could not be used. Nothing was started, stopped or overwritten because of the error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The state directory cannot be used.
    #[error(transparent)]
    StateRoot(#[from] StateRootError),
    /// The project file cannot be used.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// No facts about the session exist.
    #[error("there is no session `{session}`")]
    UnknownSession {
        /// The session.
        session: SessionId,
        /// The session whose name is most similar, if a mistyped name is likely.
        similar: Option<SessionId>,
    },
    /// A start as the record says was asked for, and the record is not enough.
    #[error("session `{session}` cannot be started without naming its program: {why}")]
    NoPlan {
        /// The session.
        session: SessionId,
        /// What is missing.
        why: NoPlan,
        /// The next step.
        advice: Box<Advice>,
    },
    /// The record is unreadable and was left alone.
    #[error("the record `{}` of session `{session}` is corrupt: {why}", Shown(path))]
    RecordCorrupt {
        /// The session.
        session: SessionId,
        /// The record file.
        path: PathBuf,
        /// The problem with the record.
        why: String,
    },
    /// A later version wrote the record. The record was left alone.
    #[error(
        "the record of session `{session}` has schema version {schema_version}, which this version does not know"
    )]
    RecordNewer {
        /// The session.
        session: SessionId,
        /// The schema of the record.
        schema_version: u32,
    },
    /// Rekindle did not start the worker, so rekindle does not stop the worker.
    #[error("the worker on `{address}` was not started by rekindle, so it is not stopped")]
    NotManaged {
        /// The endpoint of the worker.
        address: Endpoint,
    },
    /// Rekindle did not start the worker, so nothing proves which process the worker is.
    #[error("the worker on `{address}` was not started by rekindle, so its end cannot be proved")]
    EndUnprovable {
        /// The endpoint of the worker.
        address: Endpoint,
    },
    /// Nothing proves from here whether the worker runs. So the worker was neither signalled nor taken for dead.
    #[error("whether the worker of session `{session}` runs cannot be told from here, so nothing was signalled: {}", doubts.join("; "))]
    Unjudged {
        /// The session.
        session: SessionId,
        /// The unproven facts.
        doubts: Vec<String>,
        /// Whether the lifeline is held.
        lifeline: Lifeline,
        /// The failure of the search for the lifeline, if any.
        gap: Option<Box<OsFailure>>,
    },
    /// The session has no files, and the search for a living worker was incomplete.
    #[error(
        "session `{session}` has no files, and whether a worker of it lives could not be found out: {why}"
    )]
    Unsearched {
        /// The session.
        session: SessionId,
        /// The place that could not be searched.
        why: OsFailure,
    },
    /// The worker does not run, so there is no process to signal.
    #[error("the worker of session `{session}` does not run, so nothing was signalled")]
    NotRunning {
        /// The session.
        session: SessionId,
    },
    /// The started process has ended, and other processes of the worker run.
    #[error("the process that was started for session `{session}` has ended, so nothing was signalled")]
    LeaderEnded {
        /// The session.
        session: SessionId,
    },
    /// The session cannot be forgotten, since its worker runs.
    #[error("the worker of session `{session}` runs, so the session is not forgotten")]
    StillRuns {
        /// The session.
        session: SessionId,
    },
    /// For a restart, the old worker was told to end, but its end was not seen in time. No new worker was started.
    #[error(
        "the worker of session `{session}` did not end in time{}, so no other was started",
        pids(survivors)
    )]
    NotEnded {
        /// The session.
        session: SessionId,
        /// The processes that still run, as far as visible.
        survivors: Vec<Pid>,
    },
    /// Another launcher stays between two steps of a start.
    #[error("a start of session `{session}` is in progress, so nothing was signalled")]
    StartInProgress {
        /// The session.
        session: SessionId,
    },
    /// The claim must not be cleared.
    #[error("{message}")]
    Claimed {
        /// The holder of the claim, or the reason for the refusal.
        message: String,
        /// The next step.
        advice: Box<Advice>,
        /// The holder of the claim, if known.
        holder: Option<Box<LockClaim>>,
    },
    /// The session may run in another state directory of the same home. No worker was started.
    #[error("{}", elsewhere_text(session, place))]
    Elsewhere {
        /// The session.
        session: SessionId,
        /// The other directory.
        place: Elsewhere,
    },
    /// A call got no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The start has ended and was observed, but its claim could not be released.
    #[error("the claim of session `{session}` could not be released: {source}")]
    Release {
        /// The session.
        session: SessionId,
        /// The observation of the worker.
        observed: Seen,
        /// The failure of the release.
        source: ReleaseError,
    },
    /// The record was written, but the claim held for the update could not be released.
    #[error("the claim of session `{session}` could not be released: {source}")]
    ReleaseAfterUpdate {
        /// The session.
        session: SessionId,
        /// The failure of the release.
        source: ReleaseError,
    },
    /// The record no longer belongs to the expected start.
    #[error("the record of start {generation} of session `{session}` is gone, so nothing was added to it")]
    RecordGone {
        /// The session.
        session: SessionId,
        /// The expected start.
        generation: Generation,
    },
    /// The transaction ended without an outcome: it panicked, or the runtime was shut down.
    #[error("the start of session `{session}` was cut short: {why}")]
    CutShort {
        /// The session.
        session: SessionId,
        /// The failure of the task.
        why: String,
    },
    /// A blocking call inside an async runtime would stall the runtime's other tasks.
    #[error("a blocking call was made inside an async runtime; use rekindle::Sessions there")]
    InsideRuntime,
    /// The system refused an operation.
    #[error(transparent)]
    Os(#[from] OsFailure),
}

/// The pids in brackets, for a message.
fn pids(survivors: &[Pid]) -> String {
    match survivors {
        [] => String::new(),
        survivors => {
            let pids: Vec<String> = survivors.iter().map(ToString::to_string).collect();
            format!(" (pid {})", pids.join(", "))
        }
    }
}

described_as!(Error => ErrorJson<'static>);
fn elsewhere_text(session: &SessionId, place: &Elsewhere) -> String {
    let why = "which was in use when locks held in other places than now";
    match place {
        Elsewhere::At(dir) => {
            format!("session `{session}` may run in the state directory `{}`, {why}", Shown(dir))
        }
        Elsewhere::Hidden(pid) => {
            format!("session `{session}` runs (process {pid}) in a state directory that a mount hides, {why}")
        }
    }
}

/// Serializes as an object of `outcome`, `reason` and `message`, with the `holder` of a blocking claim.
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = ErrorJson::new(self.reason(), self.to_string());
        if let Self::Claimed { holder, .. } = self {
            fields.holder = Some(holder.as_deref().map(Into::into));
        }
        fields.serialize(serializer)
    }
}

impl Error {
    /// The reason in one word, as in the JSON.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::StateRoot(StateRootError::NoLocks { .. }) => "state-dir-without-locks",
            Self::StateRoot(StateRootError::Untrusted { .. }) => "state-dir-untrusted",
            Self::StateRoot(StateRootError::OfOtherProject { .. }) => "state-dir-of-other-project",
            Self::StateRoot(StateRootError::NoteCorrupt { .. }) => "project-note-corrupt",
            Self::StateRoot(_) => "state-dir-unusable",
            Self::Project(error) => error.reason(),
            Self::UnknownSession { .. } => "unknown-session",
            Self::NoPlan { .. } => "no-plan",
            Self::RecordCorrupt { .. } => "record-corrupt",
            Self::RecordNewer { .. } => "record-newer",
            Self::NotManaged { .. } | Self::EndUnprovable { .. } => "not-managed",
            Self::Claimed { .. } => "target-locked",
            Self::Elsewhere { .. } => "session-elsewhere",
            Self::Unjudged { .. } | Self::Unsearched { .. } => "worker-unknown",
            Self::NotRunning { .. } => "not-running",
            Self::LeaderEnded { .. } => "leader-ended",
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

    /// Whether the error is a refusal, because something present must not be touched.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Project(error) => error.is_refusal(),
            Self::StateRoot(
                StateRootError::NoLocks { .. }
                | StateRootError::Untrusted { .. }
                | StateRootError::OfOtherProject { .. }
                | StateRootError::NoteCorrupt { .. },
            )
            | Self::RecordCorrupt { .. }
            | Self::RecordNewer { .. }
            | Self::NotManaged { .. }
            | Self::EndUnprovable { .. }
            | Self::Claimed { .. }
            | Self::Elsewhere { .. }
            | Self::Unjudged { .. }
            | Self::Unsearched { .. }
            | Self::NotRunning { .. }
            | Self::LeaderEnded { .. }
            | Self::StillRuns { .. }
            | Self::StartInProgress { .. } => true,
            Self::StateRoot(_)
            | Self::UnknownSession { .. }
            | Self::NoPlan { .. }
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

    /// The next step.
    pub fn advice(&self) -> Advice {
        match self {
            Self::StateRoot(error) => Advice::of_state_root(error),
            Self::Project(error) => error.advice(),
            Self::UnknownSession { similar, .. } => Advice::of_unknown_session(similar.as_ref()),
            Self::NoPlan { advice, .. } => (**advice).clone(),
            Self::RecordCorrupt { session, .. } => Advice::repair(session),
            Self::RecordNewer { .. } => Advice::use_its_version(),
            Self::NotManaged { .. } => Advice::by_hand("end it the way it was started"),
            Self::EndUnprovable { .. } => {
                Advice::by_hand("watch the connection to it: it ends with the worker")
            }
            Self::Claimed { advice, .. } => (**advice).clone(),
            Self::Elsewhere { session, place: Elsewhere::At(dir) } => {
                Advice::from(Step::ShowIn { session: session.clone(), dir: dir.clone() })
                    .knowing("attach to it or stop it there, with the same --dir")
            }
            Self::Elsewhere { place: Elsewhere::Hidden(pid), .. } => {
                Advice::by_hand(format!("end process {pid} the way it was started, if it is not wanted"))
            }
            Self::StartInProgress { session } => Advice::wait(session),
            Self::Unsearched { session, why } => Advice::of_unjudged(session, Lifeline::Held, Some(why)),
            Self::Unjudged { session, lifeline, gap, .. } => {
                Advice::of_unjudged(session, *lifeline, gap.as_deref())
            }
            Self::InsideRuntime => {
                Advice::by_hand("call the async API there, or block on a thread outside of the runtime")
            }
            Self::NotRunning { session } => Step::Show(session.clone()).into(),
            Self::LeaderEnded { .. } => Advice::by_hand("signal all processes of the worker with --group"),
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
