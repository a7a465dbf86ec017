//! The claim: an exclusive flock on the session directory, with the evidence in a store of claims.
//!
//! # Invariants
//! 1. The directory itself is locked, so removing a file never removes a lock.
//! 2. The evidence is written and removed only while the lock is held, and removed only if nonce and inode are ours.
//! 3. The lock is given up by an explicit unlock: a child before exec may have a copy of the descriptor, and must not
//!    keep the lock.
//! 4. The steps of acquiring and giving up are the core's machines; they are performed here.
//! 5. A claim dropped unreleased is marked retained first, so a living process never blocks its session.
//!
//! Checked by `smoke/tests/smoke/ground/claim.rs`.

use crate::store::claim_file::CLAIM_FILE;
use crate::store::lock_by_name::{Locked, Named, try_lock};
use crate::store::session_dir::SessionDir;
use crate::store::state_root;
use crate::sys::backoff::Backoff;
use crate::sys::linux::clock;
use crate::sys::linux::failure::{During, Errno, refused};
use crate::sys::linux::fs::flock::{self, LockKind, try_flock};
use crate::sys::linux::fs::watch::Happening;
use crate::sys::linux::procfs;
use crate::sys::linux::random;
use rekindle_core::claim::acquire::{self, Acquire, AcquireEffect, AcquireEvent, Judgement, Taken};
use rekindle_core::claim::give_up::{self, GiveUp, GiveUpEffect, GiveUpEvent, GivenUp};
use rekindle_core::claim::{ConflictReason, Found, KernelLock};
use rekindle_core::identity::{ProcessLiveness, UnknownReason};
use rekindle_core::stores::Grant;
use rekindle_core::{
    ClaimDecision, ClaimPolicy, Generation, Host, LockClaim, OsFailure, ReleaseError, SessionId, decide_claim,
};
use state_root::{StateRoot, StateRootError};
use std::env;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::OnceLock;

/// The result of an attempt to acquire a claim.
#[derive(Debug)]
#[must_use = "a claim that is dropped is marked retained"]
pub enum ClaimAttempt {
    /// We hold the claim.
    Held(Box<HeldClaim>),
    /// We may not take the claim.
    Conflict {
        /// The reason.
        why: ConflictReason,
        /// The claim in the way, if readable.
        holder: Option<Box<LockClaim>>,
    },
}

/// A claim held by this process.
#[derive(Debug)]
pub struct HeldClaim {
    dir: SessionDir,
    grant: Grant,
    given_up: bool,
}

/// Tries to acquire the claim on `session`, creating the session's directory if missing. Never waits.
///
/// # Errors
/// If the directory cannot be used or the evidence cannot be written; nothing is held then.
pub fn try_claim(root: &StateRoot, session: &SessionId, here: &Host) -> Result<ClaimAttempt, StateRootError> {
    ClaimQueue::new(root, session, here).attempt()
}

/// A waiting claimant. The session's directory stays open between two attempts: closing the directory would wake every
/// other waiter, as if the lock might be free.
#[derive(Debug)]
pub struct ClaimQueue<'a> {
    root: &'a StateRoot,
    session: &'a SessionId,
    here: &'a Host,
    dir: Option<SessionDir>,
    backoff: Backoff,
}

impl<'a> ClaimQueue<'a> {
    /// A claimant for the claim on `session`.
    pub fn new(root: &'a StateRoot, session: &'a SessionId, here: &'a Host) -> Self {
        let backoff = Backoff::at(&root.path().join(session.as_str()), Happening::DirectoryChanges);
        Self { root, session, here, dir: None, backoff }
    }

    /// The session's directory, after the first attempt.
    pub fn dir(&self) -> Option<&SessionDir> {
        self.dir.as_ref()
    }

    /// Waits until the claim may have been given up, or the session has changed; never for long.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn wait(&mut self) {
        self.backoff.wait().await;
    }

    /// Tries to acquire the claim, creating the session's directory if missing.
    ///
    /// # Errors
    /// If the directory cannot be used or the evidence cannot be written; nothing is held then.
    pub fn attempt(&mut self) -> Result<ClaimAttempt, StateRootError> {
        let mut taking = Taking::default();
        let mut attempt = Acquire::default();
        loop {
            let event = match attempt.effect() {
                AcquireEffect::Done(taken) => return self.taken(taking, taken),
                effect => self.perform(&mut taking, effect).unwrap_or_else(|error| {
                    taking.error.get_or_insert(error);
                    AcquireEvent::Failed
                }),
            };
            attempt = acquire::step(attempt, event);
        }
    }

    fn perform(
        &mut self,
        taking: &mut Taking,
        effect: AcquireEffect,
    ) -> Result<AcquireEvent, StateRootError> {
        let yes_or_no = |yes| if yes { AcquireEvent::Did } else { AcquireEvent::Refused };
        if effect == AcquireEffect::Open {
            taking.dir = match self.dir.take() {
                Some(dir) if dir.is_still_in_place()? => Some(dir),
                Some(_) | None => Some(self.root.create_session(self.session)?),
            };
            return Ok(AcquireEvent::Did);
        }
        let Some(dir) = &taking.dir else { return Ok(AcquireEvent::Failed) };
        Ok(match effect {
            AcquireEffect::Lock => {
                let locked = try_flock(dir, LockKind::Exclusive);
                yes_or_no(locked.map_err(|errno| dir.not_locked(errno))?)
            }
            AcquireEffect::CheckPlace => yes_or_no(dir.is_still_in_place()?),
            AcquireEffect::Describe => {
                let holder = read_evidence(dir)?.payload().cloned();
                taking.conflict = Some((ConflictReason::KernelLockHeld, holder));
                AcquireEvent::Did
            }
            AcquireEffect::Judge => {
                let decision = judge(read_evidence(dir)?, self.here);
                let judgement = Judgement::from(&decision);
                taking.conflict = conflict(dir.session(), decision);
                AcquireEvent::Judged(judgement)
            }
            AcquireEffect::WriteEvidence => {
                dir.sweep();
                let grant = dir.claims().grant(dir, new_claim(dir, self.here)?)?;
                tracing::info!(session = %dir.session(), "took the claim");
                taking.grant = Some(grant);
                AcquireEvent::Did
            }
            // Explicitly: a child of another thread may have a copy of the descriptor for a moment.
            AcquireEffect::Unlock => {
                unlock(dir)?;
                AcquireEvent::Did
            }
            AcquireEffect::Open | AcquireEffect::Done(_) => AcquireEvent::Did,
        })
    }

    /// The result of an attempt.
    fn taken(&mut self, taking: Taking, taken: Taken) -> Result<ClaimAttempt, StateRootError> {
        let Taking { dir, conflict, grant, error } = taking;
        match (taken, dir, grant) {
            (Taken::Granted, Some(dir), Some(grant)) => {
                Ok(ClaimAttempt::Held(Box::new(HeldClaim { dir, grant, given_up: false })))
            }
            (Taken::Granted | Taken::Conflict | Taken::Failed, dir, _) => {
                if let Some(error) = error {
                    return Err(error);
                }
                self.dir = dir;
                // The process that keeps replacing the directory is at work on the session.
                let (why, holder) = conflict.unwrap_or((ConflictReason::KernelLockHeld, None));
                Ok(ClaimAttempt::Conflict { why, holder: holder.map(Box::new) })
            }
        }
    }
}

/// The open files and the findings of an attempt.
#[derive(Debug, Default)]
struct Taking {
    dir: Option<SessionDir>,
    conflict: Option<(ConflictReason, Option<LockClaim>)>,
    grant: Option<Grant>,
    error: Option<StateRootError>,
}

/// Why the claim is not ours to take; `None` if it is.
fn conflict(
    session: &SessionId,
    decision: ClaimDecision<LockClaim>,
) -> Option<(ConflictReason, Option<LockClaim>)> {
    match decision {
        ClaimDecision::Conflict { why, holder } => Some((why, holder)),
        ClaimDecision::TakeOver { why, previous } => {
            let previous = previous.map(|claim| claim.holder.pid.as_raw());
            tracing::info!(%session, ?why, previous, "taking over a claim that was left behind");
            None
        }
        ClaimDecision::Fresh => None,
    }
}

fn new_claim(dir: &SessionDir, here: &Host) -> Result<LockClaim, OsFailure> {
    Ok(LockClaim {
        session_id: dir.session().clone(),
        holder: procfs::this_process(here),
        hostname: here.hostname.clone(),
        machine_id: here.machine_id.clone(),
        created_at: clock::now(),
        nonce: random::nonce()?,
        owner: program_name(),
        lock_path: dir.path_of(CLAIM_FILE),
        retained_at: None,
    })
}

/// The liveness of the holder named in the evidence.
pub fn holder_standing(found: &Found<LockClaim>, here: &Host) -> ProcessLiveness {
    match found.payload() {
        Some(claim) => claim.standing(here, procfs::standing(&claim.holder, here)),
        None => ProcessLiveness::Unjudged(UnknownReason::NotPermitted),
    }
}

/// Judges the evidence of a claim whose kernel lock we hold.
pub fn judge(found: Found<LockClaim>, here: &Host) -> ClaimDecision<LockClaim> {
    let standing = holder_standing(&found, here);
    decide_claim(ClaimPolicy::dispatch(), KernelLock::Free, found, standing)
}

/// Reads the evidence of a session, with or without the claim.
///
/// # Errors
/// If the file exists and cannot be read.
pub fn read_evidence(dir: &SessionDir) -> Result<Found<LockClaim>, OsFailure> {
    dir.claims().inspect(dir)
}

/// Whether any process holds the claim's kernel lock. For display only: the answer is outdated after the call.
///
/// # Errors
/// If the kernel does not answer.
pub fn is_locked(dir: &SessionDir) -> Result<bool, OsFailure> {
    // On a separate descriptor: if we hold the claim, its lock must not change.
    let asked = dir.reopen()?;
    let is_free = flock::is_free(&asked).during("lock the session directory", dir.path())?;
    Ok(!is_free)
}

/// The kernel lock of a claim, without evidence: for looking after a session, not for deciding.
#[derive(Debug)]
pub struct BareLock {
    dir: SessionDir,
}

impl BareLock {
    /// Locks a session's directory; `None` if another process holds the lock, or the directory is not in place any
    /// more. Never waits.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn try_take(dir: SessionDir) -> Result<Option<Self>, OsFailure> {
        match try_lock(dir)? {
            Locked::Ours(dir) => Ok(Some(Self { dir })),
            Locked::ByAnother(_) | Locked::Replaced => Ok(None),
        }
    }

    /// The locked directory of the session.
    pub fn dir(&self) -> &SessionDir {
        &self.dir
    }
}

impl Drop for BareLock {
    fn drop(&mut self) {
        // Explicitly: a child of another thread may have a copy of the descriptor for a moment.
        let _ = unlock(&self.dir);
    }
}

impl Named for SessionDir {
    fn has_its_name(&self) -> Result<bool, OsFailure> {
        self.is_still_in_place()
    }

    fn not_locked(&self, errno: Errno) -> OsFailure {
        refused("lock the session directory", errno as i32).on(self.path())
    }
}

fn unlock(dir: &SessionDir) -> Result<(), OsFailure> {
    flock::unlock(dir).during("unlock the session directory", dir.path())
}

/// The name of this program, for people.
fn program_name() -> String {
    static NAME: OnceLock<String> = OnceLock::new();
    let read = || {
        let path = env::current_exe().ok().or_else(|| env::args_os().next().map(Into::into));
        path.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned())).unwrap_or_default()
    };
    NAME.get_or_init(read).clone()
}

impl HeldClaim {
    /// The evidence, as written in the file.
    pub fn claim(&self) -> &LockClaim {
        &self.grant.claim
    }

    /// The locked directory of the session.
    pub fn dir(&self) -> &SessionDir {
        &self.dir
    }

    /// The locked descriptor. A child inherits a copy at fork, so the claim outlives its launcher until the child has
    /// taken its lifeline.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.dir.as_fd().as_raw_fd()
    }

    /// Releases the claim: first the evidence, then the kernel lock.
    ///
    /// # Errors
    /// If the directory or the evidence is no longer ours, or the evidence cannot be removed. The kernel lock is given
    /// up all the same, so no waiter is blocked.
    pub fn release(mut self) -> Result<(), ReleaseError> {
        self.give_up(GiveUp::RELEASE)
    }

    /// Keeps the evidence, marked retained, and gives up the kernel's lock: from here on the lifeline and the
    /// identities alone judge the worker.
    ///
    /// # Errors
    /// If the mark cannot be written. The kernel's lock is given up all the same.
    pub fn retain(mut self) -> Result<LockClaim, ReleaseError> {
        self.give_up(GiveUp::RETAIN)?;
        Ok(self.grant.claim.clone())
    }

    fn give_up(&mut self, mut claim: GiveUp) -> Result<(), ReleaseError> {
        let mut trouble = None;
        loop {
            let event = match claim.effect() {
                GiveUpEffect::Done(given_up) => return self.given_up(given_up, trouble),
                effect => self.perform(effect).unwrap_or_else(|error| {
                    trouble.get_or_insert(error);
                    GiveUpEvent::Failed
                }),
            };
            claim = give_up::step(claim, event);
        }
    }

    /// Performs one step of giving up the claim, for a caller with other steps before.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn perform(&mut self, effect: GiveUpEffect) -> Result<GiveUpEvent, OsFailure> {
        self.given_up = true;
        Ok(match effect {
            GiveUpEffect::CheckPlace if self.dir.is_still_in_place()? => GiveUpEvent::Did,
            GiveUpEffect::CheckPlace => GiveUpEvent::Refused,
            GiveUpEffect::ReadEvidence => GiveUpEvent::Read(self.dir.claims().whose(&self.dir, &self.grant)?),
            GiveUpEffect::RemoveEvidence => {
                self.dir.claims().release(&self.dir, &self.grant)?;
                GiveUpEvent::Did
            }
            GiveUpEffect::MarkRetained => {
                self.dir.claims().retain(&self.dir, &mut self.grant, clock::now())?;
                GiveUpEvent::Did
            }
            GiveUpEffect::Unlock => {
                unlock(&self.dir)?;
                tracing::info!(session = %self.dir.session(), "gave the claim up");
                GiveUpEvent::Did
            }
            GiveUpEffect::Done(_) => GiveUpEvent::Did,
        })
    }

    /// The number of the next start under this claim.
    ///
    /// # Errors
    /// If the store of claims does not know.
    pub fn generation(&self, last: Generation) -> Result<Generation, OsFailure> {
        self.dir.claims().generation(&self.dir, &self.grant, last)
    }

    /// The result of giving up, for people.
    ///
    /// # Errors
    /// The failure, if any.
    pub fn given_up(&self, given_up: GivenUp, trouble: Option<OsFailure>) -> Result<(), ReleaseError> {
        match given_up {
            GivenUp::Released | GivenUp::Retained => Ok(()),
            GivenUp::NotOurs => Err(ReleaseError::NotOurs { path: self.grant.claim.lock_path.clone() }),
            GivenUp::Replaced => Err(ReleaseError::DirectoryReplaced { path: self.dir.path().to_owned() }),
            GivenUp::Failed => {
                let unnamed = || OsFailure::new("give up the claim", "a step of it failed");
                Err(trouble.unwrap_or_else(unnamed).into())
            }
        }
    }
}

impl Drop for HeldClaim {
    fn drop(&mut self) {
        if self.given_up {
            return;
        }
        // After a panic or a dropped future, the worker behind the claim may still be alive, and its end was not
        // observed.
        if let Err(error) = self.give_up(GiveUp::RETAIN) {
            tracing::warn!(session = %self.dir.session(), %error, "a claim was dropped and could not be marked retained");
        }
    }
}
