//! Clears the claim of a dead launcher.
//!
//! # Invariants
//! 1. Every decision is made by [`rekindle_core::care`]; this file performs the effects and keeps the findings.

pub(crate) mod hold;

use crate::error::Error;
use crate::json::end::{ForgottenJson, ForgottenWord, UnlockOutcome, UnlockedJson};
use crate::json::path_text;
use crate::json::word::described_as;
use crate::sessions::list::unknown;
use crate::sessions::snapshot::Snapshot;
use rekindle_adapters::claim_file::CLAIM_FILE;
use rekindle_adapters::claim_lock::{BareLock, judge, read_evidence};
use rekindle_adapters::lifeline::LIFELINE_FILE;
use rekindle_adapters::{SessionDir, StateRoot};
use rekindle_core::care::forget::{self, Forget};
pub use rekindle_core::care::unlock::Force;
use rekindle_core::care::unlock::{self, Evidence, Judgement, Unlock};
use rekindle_core::claim::{ConflictReason, Found};
use rekindle_core::shown::Shown;
use rekindle_core::{ClaimDecision, Host, LockClaim, OsFailure, SessionId};
use serde::{Serialize, Serializer};
use std::fmt;
use std::path::PathBuf;

/// The result of an unlock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unlocked {
    /// There was no claim.
    NotLocked,
    /// The claim was cleared.
    Unlocked {
        /// The cleared claim, if readable.
        previous: Option<Box<LockClaim>>,
    },
}

described_as!(Unlocked => UnlockedJson<'static>, Forgotten => ForgottenJson<'static>);

impl Serialize for Unlocked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (outcome, previous) = match self {
            Self::NotLocked => (UnlockOutcome::NotLocked, None),
            Self::Unlocked { previous } => (UnlockOutcome::Unlocked, previous.as_deref()),
        };
        UnlockedJson { outcome, previous: previous.map(Into::into) }.serialize(serializer)
    }
}

impl fmt::Display for Unlocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotLocked => "not locked",
            Self::Unlocked { .. } => "unlocked",
        })
    }
}

/// The result of forgetting a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// The session.
    pub session: SessionId,
    /// The cleared claim, if readable.
    pub previous: Option<Box<LockClaim>>,
    /// The new path of the record, if there was a record.
    pub kept_aside: Option<PathBuf>,
    /// The unproven facts about the worker, one sentence each; empty if the worker was provably gone.
    pub unproven: Vec<String>,
}

impl Serialize for Forgotten {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = ForgottenJson {
            session: &self.session,
            outcome: ForgottenWord,
            unproven: &self.unproven,
            kept_aside: self.kept_aside.as_deref().map(path_text),
            previous: self.previous.as_deref().map(Into::into),
        };
        fields.serialize(serializer)
    }
}

/// A line, then a line for each unproven fact and for the record that was set aside.
impl fmt::Display for Forgotten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "forgot what was known of {}; nobody was signalled", self.session)?;
        self.unproven.iter().try_for_each(|fact| write!(f, "\n  not proved: {fact}"))?;
        let kept = self.kept_aside.as_deref();
        kept.map_or(Ok(()), |path| write!(f, "\n  its record is kept as `{}`", Shown(path)))
    }
}

/// Clears a session whose worker cannot be judged. Sends no signal.
pub(crate) fn forget(root: &StateRoot, here: &Host, session: &SessionId) -> Result<Forgotten, Error> {
    let mut clearing = Clearing::new(root, here, session)?;
    let (mut forgetting, mut kept_aside) = (Forget::default(), None);
    loop {
        use rekindle_core::care::forget::{Effect, Event};
        let effect = forgetting.effect();
        let did = match effect {
            Effect::Done(conclusion) => return clearing.forgotten(conclusion, kept_aside),
            Effect::Lock => clearing.lock(),
            Effect::Look => clearing.look().map(|()| true),
            Effect::RemoveClaim => clearing.remove_claim(),
            Effect::RemoveLifeline => clearing.remove_lifeline(),
            Effect::SetRecordAside => clearing.set_record_aside().map(|path| {
                kept_aside = Some(path);
                true
            }),
            Effect::Unlock => Ok(clearing.unlock()),
        };
        let event = match (clearing.kept(did), effect) {
            (None, _) => Event::Failed,
            (Some(true), Effect::Look) => Event::Looked(clearing.seen.view_of_record()),
            (Some(true), _) => Event::Did,
            (Some(false), _) => Event::Refused,
        };
        forgetting = forget::step(forgetting, event);
    }
}

pub(crate) fn unlock(
    root: &StateRoot,
    here: &Host,
    session: &SessionId,
    force: Force,
) -> Result<Unlocked, Error> {
    let mut clearing = Clearing::new(root, here, session)?;
    let mut unlocking = Unlock::new(force);
    loop {
        use rekindle_core::care::unlock::{Effect, Event};
        let effect = unlocking.effect();
        let did = match effect {
            Effect::Done(conclusion) => return clearing.unlocked(conclusion, force),
            Effect::Lock => clearing.lock(),
            Effect::Judge => clearing.judge().map(|()| true),
            Effect::Look => clearing.look().map(|()| true),
            Effect::RemoveEvidence => clearing.remove_claim(),
            Effect::Unlock => Ok(clearing.unlock()),
        };
        let event = match (clearing.kept(did), effect) {
            (None, _) => Event::Failed,
            (Some(true), Effect::Judge) => Event::Judged(clearing.judgement),
            (Some(true), Effect::Look) => Event::Looked(clearing.seen.view_of_record()),
            (Some(true), _) => Event::Did,
            (Some(false), _) => Event::Refused,
        };
        unlocking = unlock::step(unlocking, event);
    }
}

/// A session whose claim is being cleared, with open resources and findings.
struct Clearing<'c> {
    here: &'c Host,
    session: &'c SessionId,
    claim: PathBuf,
    dir: Option<SessionDir>,
    lock: Option<BareLock>,
    /// The claim as last read.
    found: Found<LockClaim>,
    judgement: Judgement,
    conflict: Option<(ConflictReason, Option<LockClaim>)>,
    seen: Snapshot,
    error: Option<Error>,
}

impl<'c> Clearing<'c> {
    fn new(root: &StateRoot, here: &'c Host, session: &'c SessionId) -> Result<Self, Error> {
        let dir = root.session(session)?.ok_or_else(|| unknown(root, session))?;
        Ok(Self {
            here,
            session,
            claim: dir.path_of(CLAIM_FILE),
            found: read_evidence(&dir)?,
            dir: Some(dir),
            lock: None,
            judgement: Judgement::Nothing,
            conflict: None,
            seen: Snapshot::nothing(),
            error: None,
        })
    }

    /// The result of an effect; an error is kept for the end.
    fn kept(&mut self, did: Result<bool, Error>) -> Option<bool> {
        match did {
            Ok(did) => Some(did),
            Err(error) => {
                self.error.get_or_insert(error);
                None
            }
        }
    }

    fn lock(&mut self) -> Result<bool, Error> {
        self.lock = self.dir.take().map(BareLock::try_take).transpose()?.flatten();
        let Some(lock) = &self.lock else { return Ok(false) };
        // The claim may have changed hands between the first read and the lock.
        self.found = read_evidence(lock.dir())?;
        Ok(true)
    }

    fn held(&self) -> Result<&SessionDir, Error> {
        let unlocked = || OsFailure::new("clear the claim", "the session is not locked");
        Ok(self.lock.as_ref().map(BareLock::dir).ok_or_else(unlocked)?)
    }

    fn judge(&mut self) -> Result<(), Error> {
        let is_there = if self.found == Found::Nothing { Evidence::Absent } else { Evidence::Present };
        let decision = judge(self.found.clone(), self.here);
        self.judgement = Judgement::of(&decision, is_there);
        if let ClaimDecision::Conflict { why, holder } = decision {
            self.conflict = Some((why, holder));
        }
        Ok(())
    }

    fn look(&mut self) -> Result<(), Error> {
        self.seen = Snapshot::take(self.held()?, self.here)?;
        Ok(())
    }

    fn remove_claim(&self) -> Result<bool, Error> {
        let dir = self.held()?;
        dir.claims().force(dir)?;
        Ok(true)
    }

    fn remove_lifeline(&self) -> Result<bool, Error> {
        self.held()?.remove(LIFELINE_FILE)?;
        Ok(true)
    }

    fn set_record_aside(&self) -> Result<PathBuf, Error> {
        let dir = self.held()?;
        Ok(dir.records().set_aside(dir)?)
    }

    fn unlock(&mut self) -> bool {
        self.lock.take().is_some()
    }

    fn previous(&self) -> Option<Box<LockClaim>> {
        self.found.payload().cloned().map(Box::new)
    }

    fn refused(&self, why: &ConflictReason, holder: Option<LockClaim>, force: Force) -> Error {
        Error::claimed(self.session, &self.claim, why, holder, force)
    }

    fn failed(self) -> Error {
        self.error.expect("a step that fails says why")
    }

    fn unlocked(self, conclusion: unlock::Conclusion, force: Force) -> Result<Unlocked, Error> {
        use unlock::Conclusion as C;
        let holder = self.found.payload().cloned();
        match conclusion {
            C::NotLocked => Ok(Unlocked::NotLocked),
            C::Unlocked => Ok(Unlocked::Unlocked { previous: self.previous() }),
            C::Held => Err(self.refused(&ConflictReason::KernelLockHeld, holder, force)),
            C::WorkerMayRun => Err(self.refused(&ConflictReason::HolderAlive, holder, force)),
            C::NotOurs => {
                let (why, holder) = self.conflict.clone().unwrap_or((ConflictReason::HolderAlive, holder));
                Err(self.refused(&why, holder, force))
            }
            C::Failed => Err(self.failed()),
        }
    }

    fn forgotten(
        self,
        conclusion: forget::Conclusion,
        kept_aside: Option<PathBuf>,
    ) -> Result<Forgotten, Error> {
        use forget::Conclusion as C;
        let session = self.session.clone();
        match conclusion {
            C::WasGone => {
                let previous = self.previous();
                Ok(Forgotten { session, previous, kept_aside: None, unproven: Vec::new() })
            }
            C::Forgotten => {
                let (previous, unproven) = (self.previous(), self.seen.doubts());
                Ok(Forgotten { session, previous, kept_aside, unproven })
            }
            C::Held => {
                let holder = self.found.payload().cloned();
                Err(self.refused(&ConflictReason::KernelLockHeld, holder, Force::Yes))
            }
            C::StillRuns => Err(Error::StillRuns { session }),
            C::RecordNewer => {
                let schema_version = self.seen.newer.as_ref().map_or(0, |newer| newer.schema_version);
                Err(Error::RecordNewer { session, schema_version })
            }
            C::RecordCorrupt => {
                let dir = self.claim.parent().unwrap_or(&self.claim);
                self.seen.require_readable(dir, self.session)?;
                Err(self.failed())
            }
            C::Failed => Err(self.failed()),
        }
    }
}
