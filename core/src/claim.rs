//! Decides whether this launcher may decide about the session now.
//!
//! The kernel's lock says whether a claim is held. The evidence file names the holder and says how the claim ended.
//!
//! # Invariants
//! 1. A held kernel lock is a conflict, whatever the file says.
//! 2. No claim is taken because of age: there is no clock in the input.
//! 3. `EPERM` proves no death. A holder in another pid namespace of this boot is not dead either, unless the holder
//!    kept the kernel's lock for life: then a free lock proves the death.
//! 4. One function serves both policies; the policies differ only in the cells with a policy's name.
//!
//! Every cell is checked by `gates/tests/claim.rs`.

pub mod acquire;
pub mod give_up;
pub mod hold;
pub mod home;
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

/// The evidence of a claim, as stored in the claim's file: one flat JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockClaim {
    /// The session of the claim.
    pub session_id: SessionId,
    /// The launcher that holds the claim.
    #[serde(flatten)]
    pub holder: ProcessIdentity,
    /// The launcher's host name, for people to read.
    pub hostname: String,
    /// The launcher's machine id, if the machine has an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<String>,
    /// The time at which the claim was taken, RFC 3339 in UTC.
    pub created_at: Timestamp,
    /// The authority to release the claim. Only this file and the launcher know the nonce.
    pub nonce: Nonce,
    /// The name of the launcher's program, for people to read.
    pub owner: String,
    /// The path of this file.
    #[serde(with = "crate::text::byte_text")]
    pub lock_path: PathBuf,
    /// The time at which the claim was retained: given up without a release, because nothing could be observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retained_at: Option<Timestamp>,
}

impl LockClaim {
    /// The holder's liveness: `standing`, corrected for a holder on another machine, since a pid of another machine
    /// says nothing here.
    pub fn standing(&self, here: &Host, standing: ProcessLiveness) -> ProcessLiveness {
        corrected_for_machine(&self.holder, here, &self.hostname, self.machine_id.as_deref(), standing)
    }
}

/// The proof that a holder keeps while alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeptBy {
    /// The kernel's lock, for as long as the holder lives: a free lock proves the holder's death.
    KernelLock,
    /// The evidence alone: a free lock proves nothing.
    Evidence,
}

/// Evidence of a holder: a claim, or a lifecycle lock's marker.
pub trait HolderEvidence {
    /// The proof that the holder keeps while alive.
    fn kept_by(&self) -> KeptBy;
}

impl HolderEvidence for LockClaim {
    /// Only a process with the claim's lock writes a claim.
    fn kept_by(&self) -> KeptBy {
        KeptBy::KernelLock
    }
}

/// The content of an evidence file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<P> {
    /// There is no file.
    Nothing,
    /// The file is empty: the writer died before writing anything.
    Empty,
    /// The content is no evidence.
    Corrupt {
        /// The error in the content.
        why: String,
    },
    /// The evidence is about another session.
    OtherSession {
        /// The session named in the evidence.
        named: SessionId,
    },
    /// A launcher held the claim.
    Held(P),
    /// A launcher gave the claim up without a release.
    Retained(P),
}

impl Found<LockClaim> {
    /// Reads the content of a session's evidence file; `None` if there is no file.
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
    /// Whether the file blocks every launcher until it is set aside: the content is unreadable, or about another session.
    pub fn is_unusable(&self) -> bool {
        match self {
            Self::Corrupt { .. } | Self::OtherSession { .. } => true,
            Self::Nothing | Self::Empty | Self::Held(_) | Self::Retained(_) => false,
        }
    }

    /// The claim, if the content is readable.
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

/// The state of the kernel's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KernelLock {
    /// This process has the lock now.
    Free,
    /// Another process has the lock.
    Held,
}

/// The rules of a decision about a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClaimPolicy(Rules);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Rules {
    Dispatch,
    Lifecycle,
}

impl ClaimPolicy {
    /// For the claim on a session: a holder that cannot be judged keeps the claim.
    pub const fn dispatch() -> Self {
        Self(Rules::Dispatch)
    }

    /// For a daemon's singleton marker: a marker without a live holder on this machine gives way.
    pub const fn lifecycle() -> Self {
        Self(Rules::Lifecycle)
    }
}

/// The decision about a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a decision that is dropped leaves the kernel's lock without evidence"]
pub enum ClaimDecision<P> {
    /// There was no holder, or the last holder released the claim.
    Fresh,
    /// The last holder left the claim behind.
    TakeOver {
        /// The reason for the take-over.
        why: TakeOverReason,
        /// The claim left behind, if readable.
        previous: Option<P>,
    },
    /// This process may not take the claim; the file stays unchanged.
    Conflict {
        /// The reason for the refusal.
        why: ConflictReason,
        /// The claim in the way, if readable.
        holder: Option<P>,
    },
}

/// The reason why a claim may be taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeOverReason {
    /// The holder is provably gone.
    HolderDead(DeathProof),
    /// The holder gave the claim up without a release: from here on the lifeline and the identities judge the worker.
    Retained,
    /// The holder was on another machine (lifecycle only, with a warning that names the host).
    OtherMachine,
    /// The evidence cannot be read (lifecycle only; the old bytes are kept aside).
    Corrupt,
    /// The evidence is about another session (lifecycle only; the old bytes are kept aside).
    OtherSession,
}

/// The reason why a claim may not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConflictReason {
    /// The kernel's lock is held: a launcher is at work.
    KernelLockHeld,
    /// The holder lives.
    HolderAlive,
    /// The holder cannot be judged.
    HolderUnjudged(UnknownReason),
    /// The file is no evidence.
    Corrupt {
        /// The error in the file.
        why: String,
    },
    /// The file is about another session.
    OtherSession {
        /// The session named in the file.
        named: SessionId,
    },
}

impl ConflictReason {
    /// Decides whether waiting can help: a launcher at work will finish, and a dying launcher will be dead.
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::KernelLockHeld | Self::HolderAlive => true,
            Self::HolderUnjudged(_) | Self::Corrupt { .. } | Self::OtherSession { .. } => false,
        }
    }
}

/// Decides whether a claim may be taken.
///
/// `standing` is the liveness of the holder named in `found`; without such a holder `standing` is ignored.
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
                // A process with the holder's pid counts as the holder.
                ProcessLiveness::Alive | ProcessLiveness::Unjudged(UnknownReason::Unproven) => {
                    conflict(No::HolderAlive, Some(claim))
                }
                ProcessLiveness::Unjudged(doubt) => conflict(No::HolderUnjudged(doubt), Some(claim)),
            }
        }
    }
}

/// The holder's liveness, given that the kernel lock is free: a lock is the same lock in all pid namespaces of a
/// kernel.
fn by_free_lock(claim: &impl HolderEvidence, standing: ProcessLiveness) -> ProcessLiveness {
    match (standing, claim.kept_by()) {
        (ProcessLiveness::Unjudged(UnknownReason::OtherPidNamespace), KeptBy::KernelLock) => {
            ProcessLiveness::Dead(DeathProof::LockFree)
        }
        (standing, KeptBy::KernelLock | KeptBy::Evidence) => standing,
    }
}

/// A retained claim of another machine names a worker that no lock or pid of this machine can judge.
fn is_elsewhere(standing: ProcessLiveness) -> bool {
    standing == ProcessLiveness::Unjudged(UnknownReason::OtherMachine)
}

fn take_over<P>(why: TakeOverReason, previous: Option<P>) -> ClaimDecision<P> {
    ClaimDecision::TakeOver { why, previous }
}

fn conflict<P>(why: ConflictReason, holder: Option<P>) -> ClaimDecision<P> {
    ClaimDecision::Conflict { why, holder }
}
