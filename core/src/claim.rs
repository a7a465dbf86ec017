//! May this launcher decide about the session now?
//!
//! The kernel's lock says whether a claim is held; the evidence file says by whom, and what became of it.
//!
//! # Invariants
//! 1. A held kernel lock is a conflict, whatever the file says.
//! 2. No age ever takes a claim: there is no clock in the input.
//! 3. `EPERM` is not death. Another pid namespace of this boot is not death either, unless the holder kept the kernel's
//!    lock for as long as it lived: then a free lock is.
//! 4. One function serves both policies; they differ only in the cells that name them.
//!
//! Every cell is checked by `gates/tests/claim.rs`.

pub mod acquire;
pub mod give_up;
pub mod lifecycle;
pub mod marker;
pub mod release;
pub mod stores;

use crate::prelude::*;
use crate::process::id::{Nonce, SessionId};
use crate::process::identity::{
    DeathProof, Host, ProcessIdentity, ProcessLiveness, UnknownReason, corrected_for_machine,
};
use crate::text::shown::Shown;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The evidence of a claim, as its file holds it: one flat JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockClaim {
    /// The session that it is about.
    pub session_id: SessionId,
    /// The launcher that holds it.
    #[serde(flatten)]
    pub holder: ProcessIdentity,
    /// The launcher's host, for people to read.
    pub hostname: String,
    /// The launcher's machine, where it has an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<String>,
    /// When it was taken, RFC 3339 in UTC.
    pub created_at: Timestamp,
    /// The authority to release it. It never leaves the launcher but for this file.
    pub nonce: Nonce,
    /// The program that holds it, for people to read.
    pub owner: String,
    /// This file.
    #[serde(with = "crate::text::byte_text")]
    pub lock_path: PathBuf,
    /// When it was retained: given up unreleased, since nothing could be observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retained_at: Option<Timestamp>,
}

impl LockClaim {
    /// Who holds it, with `standing` corrected for a holder on another machine, whose pid says nothing here.
    pub fn standing(&self, here: &Host, standing: ProcessLiveness) -> ProcessLiveness {
        corrected_for_machine(&self.holder, here, &self.hostname, self.machine_id.as_deref(), standing)
    }
}

/// What is kept by whoever a piece of evidence names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeptBy {
    /// The kernel's lock, for as long as the holder lives: a free lock proves its death.
    KernelLock,
    /// The evidence alone: a free lock proves nothing.
    Evidence,
}

/// Evidence of a holder: a claim, or a lifecycle lock's marker.
pub trait HolderEvidence {
    /// What its holder keeps.
    fn kept_by(&self) -> KeptBy;
}

impl HolderEvidence for LockClaim {
    /// A claim is only ever written by whoever has its lock.
    fn kept_by(&self) -> KeptBy {
        KeptBy::KernelLock
    }
}

/// What an evidence file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<P> {
    /// There is no file.
    Nothing,
    /// It has no content: its writer died, and wrote nothing that could be lost.
    Empty,
    /// It is no evidence at all.
    Corrupt {
        /// What is wrong with it.
        why: String,
    },
    /// It is about another session.
    OtherSession {
        /// The session it names.
        named: SessionId,
    },
    /// Somebody held it.
    Held(P),
    /// Somebody gave it up unreleased.
    Retained(P),
}

impl Found<LockClaim> {
    /// Reads the content of a session's evidence file; `None` where there is no file.
    pub fn read(content: Option<&[u8]>, session: &SessionId) -> Self {
        let Some(content) = content else { return Self::Nothing };
        if content.is_empty() {
            return Self::Empty;
        }
        match serde_json::from_slice::<LockClaim>(content) {
            Err(error) => Self::Corrupt { why: Shown(&error.to_string()).to_string() },
            Ok(claim) if claim.session_id != *session => Self::OtherSession { named: claim.session_id },
            Ok(claim) => Self::from(Some(claim)),
        }
    }
}

impl From<Option<LockClaim>> for Found<LockClaim> {
    fn from(claim: Option<LockClaim>) -> Self {
        match claim {
            None => Self::Nothing,
            Some(claim) if claim.retained_at.is_some() => Self::Retained(claim),
            Some(claim) => Self::Held(claim),
        }
    }
}

impl<P> Found<P> {
    /// The claim, where one can be read.
    pub fn payload(&self) -> Option<&P> {
        match self {
            Self::Held(payload) | Self::Retained(payload) => Some(payload),
            Self::Nothing | Self::Empty | Self::Corrupt { .. } | Self::OtherSession { .. } => None,
        }
    }

    fn into_payload(self) -> Option<P> {
        match self {
            Self::Held(payload) | Self::Retained(payload) => Some(payload),
            Self::Nothing | Self::Empty | Self::Corrupt { .. } | Self::OtherSession { .. } => None,
        }
    }
}

/// What the kernel says of the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KernelLock {
    /// We have it now.
    Free,
    /// Somebody else has it.
    Held,
}

/// Whose rules apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClaimPolicy(Rules);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Rules {
    Dispatch,
    Lifecycle,
}

impl ClaimPolicy {
    /// For the claim on a session: what cannot be judged is never taken.
    pub const fn dispatch() -> Self {
        Self(Rules::Dispatch)
    }

    /// For a daemon's singleton marker: what is no live holder of this machine gives way.
    pub const fn lifecycle() -> Self {
        Self(Rules::Lifecycle)
    }
}

/// Whether the claim is ours to take.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a decision that is dropped leaves the kernel's lock without evidence"]
pub enum ClaimDecision<P> {
    /// Nobody ever held it, or its last holder released it.
    Fresh,
    /// It was left behind.
    TakeOver {
        /// What allows it.
        why: TakeOverReason,
        /// The claim that was left, where it can be read.
        previous: Option<P>,
    },
    /// It is not ours to take; the file stays as it is.
    Conflict {
        /// What forbids it.
        why: ConflictReason,
        /// The claim in the way, where it can be read.
        holder: Option<P>,
    },
}

/// What allows a claim to be taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeOverReason {
    /// Its holder is provably gone.
    HolderDead(DeathProof),
    /// Its holder gave it up unreleased: the lifeline and the identities judge the worker from here on.
    Retained,
    /// Its holder was on another machine (lifecycle only, with a warning that names the host).
    OtherMachine,
    /// It cannot be read (lifecycle only; the old bytes are kept aside).
    Corrupt,
    /// It is about another session (lifecycle only; the old bytes are kept aside).
    OtherSession,
}

/// What forbids a claim to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConflictReason {
    /// The kernel's lock is held: a launcher is at work.
    KernelLockHeld,
    /// Its holder lives.
    HolderAlive,
    /// Its holder cannot be judged.
    HolderUnjudged(UnknownReason),
    /// The file is no evidence.
    Corrupt {
        /// What is wrong with it.
        why: String,
    },
    /// The file is about another session.
    OtherSession {
        /// The session it names.
        named: SessionId,
    },
}

impl ConflictReason {
    /// Whether waiting can help: a launcher that is at work will be done, and one that is dying will be dead.
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::KernelLockHeld | Self::HolderAlive => true,
            Self::HolderUnjudged(_) | Self::Corrupt { .. } | Self::OtherSession { .. } => false,
        }
    }
}

/// Decides whether a claim may be taken.
///
/// `standing` is what is known of the holder that `found` names; it is not looked at where `found` names none.
pub fn decide_claim<P: HolderEvidence>(
    policy: ClaimPolicy,
    kernel: KernelLock,
    found: Found<P>,
    standing: ProcessLiveness,
) -> ClaimDecision<P> {
    use {ConflictReason as No, TakeOverReason as Why};
    let lifecycle = policy == ClaimPolicy::lifecycle();
    match (kernel, found) {
        (KernelLock::Held, found) => conflict(No::KernelLockHeld, found.into_payload()),
        (KernelLock::Free, Found::Nothing | Found::Empty) => ClaimDecision::Fresh,
        (KernelLock::Free, Found::Corrupt { .. }) if lifecycle => take_over(Why::Corrupt, None),
        (KernelLock::Free, Found::Corrupt { why }) => conflict(No::Corrupt { why }, None),
        (KernelLock::Free, Found::OtherSession { .. }) if lifecycle => take_over(Why::OtherSession, None),
        (KernelLock::Free, Found::OtherSession { named }) => conflict(No::OtherSession { named }, None),
        (KernelLock::Free, Found::Retained(claim)) if !lifecycle && !is_elsewhere(standing) => {
            take_over(Why::Retained, Some(claim))
        }
        (KernelLock::Free, Found::Held(claim) | Found::Retained(claim)) => {
            match by_free_lock(&claim, standing) {
                ProcessLiveness::Dead(proof) => take_over(Why::HolderDead(proof), Some(claim)),
                ProcessLiveness::Unjudged(UnknownReason::OtherMachine) if lifecycle => {
                    take_over(Why::OtherMachine, Some(claim))
                }
                // A process that has the holder's pid is taken for the holder.
                ProcessLiveness::Alive | ProcessLiveness::Unjudged(UnknownReason::Unproven) => {
                    conflict(No::HolderAlive, Some(claim))
                }
                ProcessLiveness::Unjudged(doubt) => conflict(No::HolderUnjudged(doubt), Some(claim)),
            }
        }
    }
}

/// How a holder stands, now that its kernel lock is known to be free: one lock is one lock in all pid namespaces of a kernel.
fn by_free_lock(claim: &impl HolderEvidence, standing: ProcessLiveness) -> ProcessLiveness {
    match (standing, claim.kept_by()) {
        (ProcessLiveness::Unjudged(UnknownReason::OtherPidNamespace), KeptBy::KernelLock) => {
            ProcessLiveness::Dead(DeathProof::LockFree)
        }
        (standing, KeptBy::KernelLock | KeptBy::Evidence) => standing,
    }
}

/// A retained claim of another machine speaks of a worker that no lock or pid of ours can judge.
fn is_elsewhere(standing: ProcessLiveness) -> bool {
    standing == ProcessLiveness::Unjudged(UnknownReason::OtherMachine)
}

fn take_over<P>(why: TakeOverReason, previous: Option<P>) -> ClaimDecision<P> {
    ClaimDecision::TakeOver { why, previous }
}

fn conflict<P>(why: ConflictReason, holder: Option<P>) -> ClaimDecision<P> {
    ClaimDecision::Conflict { why, holder }
}
