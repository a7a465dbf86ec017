//! What comes of a lifecycle lock's operations.

use crate::advice::Advice;
use rekindle_adapters::StateRootError;
use rekindle_adapters::lifecycle::LifecycleFileError;
use rekindle_core::claim::{ConflictReason, TakeOverReason};
pub use rekindle_core::lifecycle::LifecycleState;
use rekindle_core::{LifecyclePayload, OsFailure, Pid};
use std::path::PathBuf;

/// What came of asking for the lock.
#[derive(Debug)]
#[must_use = "the lock may be another's"]
pub enum Acquired {
    /// It is ours.
    Ours {
        /// What our marker says.
        payload: Box<LifecyclePayload>,
        /// What was there before, if somebody had left it behind.
        taken_over: Option<Box<TakenOver>>,
    },
    /// Another has it, or cannot be proved not to. Its marker was left as it is.
    Conflict(LifecycleConflict),
}

/// A marker that was left behind, and replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenOver {
    /// What allowed it.
    pub why: TakeOverReason,
    /// What it said, where it could be read.
    pub previous: Option<LifecyclePayload>,
    /// Where its bytes were kept, if they could not be read.
    pub kept_aside: Option<PathBuf>,
}

/// Why the lock is not ours to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleConflict {
    /// What forbids it.
    pub why: ConflictReason,
    /// The marker in the way, where it can be read.
    pub holder: Option<Box<LifecyclePayload>>,
    /// Whether the holder that the marker names is known to run.
    pub holder_runs: bool,
}

/// What came of a release. It is no failure to release what is not held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// The marker was ours and is gone.
    Released,
    /// We do not hold it; whatever stands there was left alone.
    NotHeld {
        /// Who holds it now, where the marker can be read.
        holder: Option<Box<LifecyclePayload>>,
    },
}

/// What came of removing a marker by force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForceUnlocked {
    /// There was none.
    NotLocked,
    /// It is gone.
    Removed {
        /// What it said, where it could be read.
        previous: Option<Box<LifecyclePayload>>,
        /// Where its bytes were kept, if they could not be read.
        kept_aside: Option<PathBuf>,
    },
}

/// The lock as it stands. Known for no longer than the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleStatus {
    /// What is to be made of it.
    pub state: LifecycleState,
    /// Why that is believed, in words.
    pub why: String,
    /// What the marker says, where it can be read.
    pub holder: Option<LifecyclePayload>,
}

/// Why a lifecycle lock could not be worked with. That another holds it is an outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LifecycleError {
    /// There is no state directory to find it in.
    #[error(transparent)]
    StateRoot(#[from] StateRootError),
    /// Its files cannot be used.
    #[error(transparent)]
    File(#[from] LifecycleFileError),
    /// The process that is to hold it does not run.
    #[error("process {pid} does not run, so it cannot hold the lock")]
    NoSuchHolder {
        /// The process.
        pid: Pid,
    },
    /// A process has the flock at this moment, so nothing was removed.
    #[error("{}", held_text(holder.as_deref()))]
    InUse {
        /// What the marker says, where it can be read.
        holder: Option<Box<LifecyclePayload>>,
    },
    /// The system refused.
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
    /// The reason in one word, as JSON has it.
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

    /// Whether it is a refusal: something is there that must not be touched.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::InUse { .. }
                | Self::File(LifecycleFileError::NoLocks { .. } | LifecycleFileError::Untrusted(_))
        )
    }

    /// What to do about it.
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
