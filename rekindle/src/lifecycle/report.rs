//! The outcomes of a lifecycle lock's operations, in words and as JSON. A marker is shown without its nonce.

use super::outcome::{
    Acquired, ForceUnlocked, LifecycleConflict, LifecycleError, LifecycleStatus, Released, TakenOver,
};
use crate::json::end::UnlockOutcome;
use crate::json::failure::{ErrorJson, Failed};
use crate::json::holder::MarkerJson;
use crate::json::path_text;
use crate::json::programs::{
    AcquiredJson, AcquiredWord, Conflict, ConflictJson, ForceUnlockedJson, LifecycleStatusJson,
    ReleaseOutcome, ReleasedJson, TakenOverJson,
};
use crate::json::word::described_as;
use rekindle_core::LifecyclePayload;
use rekindle_core::claim::{ConflictReason, TakeOverReason};
use rekindle_core::shown::Shown;
use serde::{Serialize, Serializer};
use std::fmt;

described_as!(
    Acquired => AcquiredJson<'static>,
    TakenOver => TakenOverJson<'static>,
    LifecycleConflict => ConflictJson<'static>,
    Released => ReleasedJson<'static>,
    ForceUnlocked => ForceUnlockedJson<'static>,
    LifecycleStatus => LifecycleStatusJson<'static>,
    LifecycleError => ErrorJson<'static>,
);

fn shown(payload: Option<&LifecyclePayload>) -> Option<MarkerJson<'_>> {
    payload.map(Into::into)
}

impl TakenOver {
    fn fields(&self) -> TakenOverJson<'_> {
        TakenOverJson {
            why: taken_word(&self.why),
            previous: shown(self.previous.as_ref()),
            kept_aside: self.kept_aside.as_deref().map(path_text),
        }
    }
}

impl Serialize for Acquired {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ours { payload, taken_over } => {
                let fields = AcquiredJson {
                    outcome: AcquiredWord,
                    holder: (&**payload).into(),
                    taken_over: taken_over.as_deref().map(TakenOver::fields),
                };
                fields.serialize(serializer)
            }
            Self::Conflict(conflict) => conflict.serialize(serializer),
        }
    }
}

impl fmt::Display for Acquired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours { payload, taken_over } => {
                write!(f, "process {} holds the lock", payload.holder.pid)?;
                taken_over.as_ref().map_or(Ok(()), |taken| write!(f, ", {taken}"))
            }
            Self::Conflict(conflict) => conflict.fmt(f),
        }
    }
}

/// The reason in one word, as in the JSON.
fn taken_word(why: &TakeOverReason) -> &'static str {
    match why {
        TakeOverReason::HolderDead(_) => "holder-dead",
        TakeOverReason::Retained => "retained",
        TakeOverReason::OtherMachine => "other-machine",
        TakeOverReason::Corrupt | TakeOverReason::OtherSession => "corrupt",
    }
}

impl Serialize for TakenOver {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields().serialize(serializer)
    }
}

impl fmt::Display for TakenOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.previous {
            Some(holder) => write!(f, "taken over from {holder}"),
            None => f.write_str("taken over from a marker that could not be read"),
        }
    }
}

impl Serialize for LifecycleConflict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let why = match &self.why {
            ConflictReason::KernelLockHeld | ConflictReason::HolderAlive => "held",
            ConflictReason::HolderUnjudged(_) => "unjudged",
            ConflictReason::Corrupt { .. } | ConflictReason::OtherSession { .. } => "corrupt",
        };
        let fields =
            ConflictJson { outcome: Failed, reason: Conflict, why, holder: shown(self.holder.as_deref()) };
        fields.serialize(serializer)
    }
}

/// Continues the marker's path: "is held by ...".
impl fmt::Display for LifecycleConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = self.holder.as_ref().map(ToString::to_string);
        let by = by.unwrap_or_else(|| "a process that has not said who it is".to_owned());
        match &self.why {
            ConflictReason::KernelLockHeld | ConflictReason::HolderAlive => write!(f, "is held by {by}"),
            ConflictReason::HolderUnjudged(doubt) => {
                write!(f, "is held by {by}, which cannot be judged: {}", doubt.describe())
            }
            ConflictReason::Corrupt { .. } | ConflictReason::OtherSession { .. } => {
                f.write_str("cannot be read")
            }
        }
    }
}

impl Serialize for Released {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (outcome, holder) = match self {
            Self::Released => (ReleaseOutcome::Released, None),
            Self::NotHeld { holder } => (ReleaseOutcome::NotHeld, holder.as_deref()),
        };
        ReleasedJson { outcome, holder: shown(holder) }.serialize(serializer)
    }
}

impl fmt::Display for Released {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Released => f.write_str("released"),
            Self::NotHeld { holder: None } => f.write_str("not held"),
            Self::NotHeld { holder: Some(holder) } => write!(f, "not held (held by {holder})"),
        }
    }
}

impl Serialize for ForceUnlocked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (outcome, previous, kept_aside) = match self {
            Self::NotLocked => (UnlockOutcome::NotLocked, None, None),
            Self::Removed { previous, kept_aside } => {
                (UnlockOutcome::Unlocked, previous.as_deref(), kept_aside.as_deref())
            }
        };
        let kept_aside = kept_aside.map(path_text);
        ForceUnlockedJson { outcome, previous: shown(previous), kept_aside }.serialize(serializer)
    }
}

impl fmt::Display for ForceUnlocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLocked => f.write_str("there was no marker"),
            Self::Removed { previous, kept_aside } => {
                f.write_str("removed the marker")?;
                if let Some(holder) = previous {
                    write!(f, ", which named {holder}")?;
                }
                kept_aside
                    .as_ref()
                    .map_or(Ok(()), |path| write!(f, "; its bytes are kept as `{}`", Shown(path)))
            }
        }
    }
}

impl Serialize for LifecycleStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { state, why, holder } = self;
        LifecycleStatusJson { status: *state, why, holder: shown(holder.as_ref()) }.serialize(serializer)
    }
}

impl fmt::Display for LifecycleStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.state, self.why)?;
        self.holder.as_ref().map_or(Ok(()), |holder| write!(f, "; the marker names {holder}"))
    }
}

impl Serialize for LifecycleError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ErrorJson::new(self.reason(), self.to_string()).serialize(serializer)
    }
}
