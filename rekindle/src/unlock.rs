//! Clearing a claim that was left behind.
//!
//! # Invariants
//! 1. The kernel's lock is taken first, and only then is evidence removed: a claim that a live launcher holds is never
//!    cleared, by force or not.
//! 2. Without force only evidence that anybody might take over is cleared.

use crate::error::Error;
use rekindle_adapters::claim_lock::{BareLock, CLAIM_FILE, holder_standing, read_evidence};
use rekindle_adapters::lifeline::LIFELINE_FILE;
use rekindle_adapters::record_file::RECORD_FILE;
use rekindle_adapters::{SessionDir, StateRoot};
use rekindle_core::byte_text;
use rekindle_core::claim::{ConflictReason, Found, KernelLock, TakeOverReason};
use rekindle_core::{
    ClaimDecision, ClaimPolicy, Host, LastWorker, Lifeline, LockClaim, SessionId, decide_claim,
};
use serde::Serialize;
use std::path::PathBuf;

use crate::survey::Survey;

/// How far an unlock may go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Force {
    /// Only a claim whose holder is provably gone.
    #[default]
    No,
    /// Any claim that no launcher holds at this moment.
    Yes,
}

/// What an unlock did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Unlocked {
    /// There was nothing to clear.
    NotLocked,
    /// The claim was cleared.
    Unlocked {
        /// The claim that was there, where it could be read.
        previous: Option<Box<LockClaim>>,
    },
}

/// What was cleared without proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Forgotten {
    /// The claim that was there, where it could be read.
    pub previous: Option<Box<LockClaim>>,
    /// Where the record was set aside, if there was one.
    #[serde(with = "byte_text")]
    pub kept_aside: Option<PathBuf>,
    /// What could not be proved of the worker, one sentence a fact; empty if it was provably gone.
    pub unproven: Vec<String>,
}

/// Clears a session whose worker cannot be judged. Signals nobody.
pub(crate) fn forget(root: &StateRoot, here: &Host, session: &SessionId) -> Result<Forgotten, Error> {
    let dir = root.session(session)?.ok_or_else(|| Error::UnknownSession { session: session.clone() })?;
    let path = dir.path_of(CLAIM_FILE);
    let found = read_evidence(&dir)?;
    let Some(lock) = BareLock::try_take(dir)? else {
        let holder = found.payload().cloned();
        return Err(Error::claimed(session, &path, &ConflictReason::KernelLockHeld, holder, Force::Yes));
    };
    let survey = Survey::take(lock.dir(), here)?;
    survey.require_readable(lock.dir().path(), session)?;
    if let Some(newer) = &survey.newer {
        return Err(Error::RecordNewer { session: session.clone(), schema_version: newer.schema_version });
    }
    match survey.last_worker() {
        LastWorker::Unknown if survey.evidence.lifeline != Lifeline::Held => {}
        LastWorker::Unknown | LastWorker::AliveUnobserved | LastWorker::AliveReady => {
            return Err(Error::StillRuns { session: session.clone() });
        }
        LastWorker::Gone => {}
    }
    let previous = read_evidence(lock.dir())?.payload().cloned().map(Box::new);
    lock.dir().remove(CLAIM_FILE)?;
    if survey.last_worker() == LastWorker::Gone {
        return Ok(Forgotten { previous, kept_aside: None, unproven: Vec::new() });
    }
    // The lifeline first: a record without one is searched for, and a lifeline without a record is a life.
    lock.dir().remove(LIFELINE_FILE)?;
    let kept_aside = survey.record.is_some().then(|| lock.dir().set_aside(RECORD_FILE)).transpose()?;
    Ok(Forgotten { previous, kept_aside, unproven: survey.doubts() })
}

pub(crate) fn unlock(
    root: &StateRoot,
    here: &Host,
    session: &SessionId,
    force: Force,
) -> Result<Unlocked, Error> {
    let dir = root.session(session)?.ok_or_else(|| Error::UnknownSession { session: session.clone() })?;
    let found = read_evidence(&dir)?;
    let path = dir.path_of(CLAIM_FILE);
    let refuse = |why: &ConflictReason, holder: Option<LockClaim>| {
        Err(Error::claimed(session, &path, why, holder, force))
    };
    let Some(lock) = BareLock::try_take(dir)? else {
        return refuse(&ConflictReason::KernelLockHeld, found.payload().cloned());
    };
    // What was read before the lock was taken may have changed hands.
    let found = read_evidence(lock.dir())?;
    if found == Found::Nothing {
        return Ok(Unlocked::NotLocked);
    }
    let previous = found.payload().cloned().map(Box::new);
    let standing = holder_standing(&found, here);
    let decided = match decide_claim(ClaimPolicy::dispatch(), KernelLock::Free, found, standing) {
        // Kept for a worker that may still run: whoever wants it gone ends the worker.
        ClaimDecision::TakeOver { why: TakeOverReason::Retained, previous }
            if worker_may_run(lock.dir(), here) =>
        {
            ClaimDecision::Conflict { why: ConflictReason::HolderAlive, holder: previous }
        }
        decided => decided,
    };
    match decided {
        ClaimDecision::Conflict { why, holder } if force == Force::No => refuse(&why, holder),
        ClaimDecision::Conflict { .. } | ClaimDecision::TakeOver { .. } | ClaimDecision::Fresh => {
            lock.dir().remove(CLAIM_FILE)?;
            Ok(Unlocked::Unlocked { previous })
        }
    }
}

fn worker_may_run(dir: &SessionDir, here: &Host) -> bool {
    Survey::take(dir, here).is_ok_and(|survey| survey.last_worker() != LastWorker::Gone)
}
