//! Taking a claim and giving it up, as `adapters/src/store/claim_lock.rs` does.

use super::promises::Promise;
use super::protocol::{Lock, Model};
use super::world::{Actor, Paper, SLOTS, World};
use rekindle_core::claim::{Found, HolderEvidence, KeptBy, KernelLock};
use rekindle_core::identity::{DeathProof, Standing};
use rekindle_core::{ClaimDecision, ClaimPolicy, decide_claim};

/// Who left a piece of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder(pub Actor);

impl HolderEvidence for Holder {
    fn kept_by(&self) -> KeptBy {
        KeptBy::KernelLock
    }
}

impl World {
    /// Whether somebody holds the kernel's lock on what stands there now.
    pub fn is_locked(&self) -> bool {
        let here = Some(self.lock_inode);
        self.locks.contains(&here) || self.starts.iter().any(|start| start.claim == here)
    }

    /// Opens what is locked, and locks it if it is free.
    pub fn try_lock(&mut self, actor: Actor) -> KernelLock {
        if self.is_locked() {
            return KernelLock::Held;
        }
        self.locks[usize::from(actor)] = Some(self.lock_inode);
        KernelLock::Free
    }

    /// Reads the evidence and decides.
    pub fn judge_claim(&self, kernel: KernelLock) -> ClaimDecision<Holder> {
        let (found, holder) = match self.evidence {
            Paper::Absent => (Found::Nothing, None),
            Paper::Held(actor) => (Found::Held(Holder(actor)), Some(actor)),
            Paper::Retained(actor) => (Found::Retained(Holder(actor)), Some(actor)),
        };
        let standing = match holder {
            Some(actor) if self.is_dead(actor) => Standing::Dead(DeathProof::NoSuchProcess),
            Some(_) | None => Standing::Alive,
        };
        decide_claim(ClaimPolicy::dispatch(), kernel, found, standing)
    }

    /// Puts the evidence of `actor` in place.
    pub fn write_evidence(&mut self, actor: Actor) {
        self.evidence = Paper::Held(actor);
    }

    /// Removes the evidence if it is that of `actor`.
    pub fn remove_evidence(&mut self, model: &Model, actor: Actor) {
        if matches!(self.evidence, Paper::Held(by) | Paper::Retained(by) if by == actor) {
            self.clear_evidence(model);
        }
    }

    /// Removes the evidence, whosever it is.
    pub fn clear_evidence(&mut self, model: &Model) {
        self.evidence = Paper::Absent;
        if model.protocol.lock == Lock::File {
            self.lock_inode += 1;
        }
    }

    /// Unlocks, which takes the lock from every copy of the descriptor.
    pub fn unlock(&mut self, actor: Actor) {
        if self.locks[usize::from(actor)].take().is_none() {
            self.broken.add(Promise::ReleasedOnce);
        }
        if usize::from(actor) < SLOTS {
            self.starts[usize::from(actor)].claim = None;
        }
    }
}
