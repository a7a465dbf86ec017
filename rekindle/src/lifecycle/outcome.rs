//! The outcomes of a lifecycle lock's operations.

use crate::advice::Advice;
use rekindle_adapters::StateRootError;
use rekindle_adapters::lifecycle::LifecycleFileError;
use rekindle_core::claim::{ConflictReason, TakeOverReason};
pub use rekindle_core::lifecycle::LifecycleState;
use rekindle_core::{LifecyclePayload, OsFailure, Pid};
use std::path::PathBuf;

/// The outcome of acquiring the lock.
#[derive(Debug)]
#[must_use = "the lock may be another's"]
pub enum Acquired {
    /// This call took the lock.
    Ours {
        /// The content of our marker.
        payload: Box<LifecyclePayload>,
        /// The replaced marker, if a dead holder left a marker.
        taken_over: Option<Box<TakenOver>>,
    },
    /// Another process holds the lock, or may hold the lock. The marker was left alone.
    Conflict(LifecycleConflict),
}

/// A dead holder's marker that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenOver {
    /// The reason that allowed the replacement.
    pub why: TakeOverReason,
    /// The content of the marker, if readable.
    pub previous: Option<LifecyclePayload>,
    /// The new path of the marker, if unreadable.
    pub kept_aside: Option<PathBuf>,
}

/// The reason why the lock cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleConflict {
    /// The kind of conflict.
    pub why: ConflictReason,
    /// The blocking marker, if readable.
    pub holder: Option<Box<LifecyclePayload>>,
    /// Whether the holder named in the marker is known to run.
    pub holder_runs: bool,
}

/// The outcome of a release. Releasing a lock that is not held is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// The marker was ours and was removed.
    Released,
    /// This value does not hold the lock. Nothing was removed.
    NotHeld {
        /// The present holder, if the marker is readable.
        holder: Option<Box<LifecyclePayload>>,
    },
}

/// The outcome of removing a marker by force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForceUnlocked {
    /// There was no marker.
    NotLocked,
    /// The marker was removed.
    Removed {
        /// The content of the marker, if readable.
        previous: Option<Box<LifecyclePayload>>,
        /// The new path of the marker, if unreadable.
        kept_aside: Option<PathBuf>,
    },
}

/// The state of the lock. May change right after the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleStatus {
    /// The verdict.
    pub state: LifecycleState,
    /// The reason for the verdict, in words.
    pub why: String,
    /// The content of the marker, if readable.
    pub holder: Option<LifecyclePayload>,
}

/// The reason why a lifecycle lock could not be used. A lock held by another process is an outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LifecycleError {
    /// No state directory is known.
    #[error(transparent)]
    StateRoot(#[from] StateRootError),
    /// The marker or the lock file cannot be used.
    #[error(transparent)]
    File(#[from] LifecycleFileError),
    /// The intended holder does not run.
    #[error("process {pid} does not run, so it cannot hold the lock")]
    NoSuchHolder {
        /// The process.
        pid: Pid,
    },
    /// A process has the flock, so nothing was removed.
    #[error("{}", held_text(holder.as_deref()))]
    InUse {
        /// The content of the marker, if readable.
        holder: Option<Box<LifecyclePayload>>,
    },
    /// The system refused an operation.
    #[error(transparent)]
    Os(#[from] OsFailure),
}

fn held_text(holder: Option<&LifecyclePayload>) -> String {
    match holder {
        Some(payload) => {
            format!("process {} has the lock in use, so its marker was left in place", payload.holder.pid)
        }
        None => "a process has the lock in use, so its marker was left in place".to_owned(),
    }
}

impl LifecycleError {
    /// The reason in one word, as in the JSON.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::StateRoot(_) => "state-dir-unusable",
            Self::File(LifecycleFileError::NotAFileName { .. }) => "not-a-file-name",
            Self::File(LifecycleFileError::NoLocks { .. }) => "no-locks",
            Self::File(LifecycleFileError::Untrusted(_)) => "untrusted",
            Self::File(_) | Self::Os(_) => "system",
            Self::NoSuchHolder { .. } => "no-such-holder",
            Self::InUse { .. } => "lifecycle-locked",
        }
    }

    /// Whether the error is a refusal, because something present must not be touched.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::InUse { .. }
                | Self::File(LifecycleFileError::NoLocks { .. } | LifecycleFileError::Untrusted(_))
        )
    }

    /// The next step.
    pub fn advice(&self) -> Advice {
        match self {
            Self::InUse { holder: Some(payload) } => Advice::by_hand(format!(
                "end process {} the way it was started, if it is not wanted",
                payload.holder.pid
            )),
            Self::InUse { holder: None } => Advice::by_hand("look at which process has the marker open"),
            Self::NoSuchHolder { .. } => Advice::by_hand("name a process that runs with --pid"),
            Self::StateRoot(error) => Advice::of_state_root(error),
            Self::File(LifecycleFileError::Untrusted(fault)) => Advice::of_mend(fault.mend()),
            Self::Os(failure) | Self::File(LifecycleFileError::Os(failure)) => Advice::of_failure(failure),
            Self::File(_) => Advice::by_hand("name a file in a directory of your own with --path"),
        }
    }
}
