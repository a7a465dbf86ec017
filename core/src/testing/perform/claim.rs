//! Taking a claim and giving it up.

use crate::claim::acquire::{self, Acquire, AcquireEffect, AcquireEvent, Judgement, Taken};
use crate::claim::give_up::{GiveUpEffect, GiveUpEvent, Whose};
use crate::claim::{ClaimDecision, ClaimPolicy, Found, HolderEvidence, KeptBy, KernelLock, decide_claim};
use crate::ensure::{self, MayPass};
use crate::process::identity::{DeathProof, ProcessLiveness};
use crate::start::settle::Settle;
use crate::stop::session;
use crate::testing::actor::{Sub, Task};
use crate::testing::kernel::{Kernel, SLOTS};
use crate::testing::objects::{ActorId, InodeId, Paper};
use crate::testing::program::Setting;
use crate::testing::sabotage::Sabotage;

/// The holder named in the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holder;

impl HolderEvidence for Holder {
    fn kept_by(&self) -> KeptBy {
        KeptBy::KernelLock
    }
}

impl Setting {
    pub(super) fn is_in_place(kernel: &Kernel, id: usize) -> bool {
        kernel.dir.is_some() && kernel.actors[id].dir == kernel.dir
    }

    /// The object that an actor locks.
    pub(super) fn lock_target(&self, kernel: &Kernel, id: usize) -> Option<InodeId> {
        // Numbers that no directory has.
        let evidence = InodeId::MAX - kernel.evidence_inode;
        if self.conduct.has(Sabotage::LockOnEvidence) { Some(evidence) } else { kernel.actors[id].dir }
    }

    pub(super) fn is_claimed(&self, kernel: &Kernel, id: usize) -> bool {
        self.lock_target(kernel, id).is_some_and(|target| kernel.is_locked(target))
    }

    pub(super) fn clear_evidence(&self, kernel: &mut Kernel) {
        kernel.files.evidence = Paper::Absent;
        if self.conduct.has(Sabotage::LockOnEvidence) {
            kernel.evidence_inode += 1;
        }
    }

    /// Unlocks; the lock is gone from every copy of the descriptor.
    pub(super) fn unlock(kernel: &mut Kernel, id: usize) {
        let Some(lock) = kernel.locks[id].take() else {
            kernel.broken.released_twice = true;
            return;
        };
        kernel.copies[id] = None;
        if id < SLOTS && kernel.starts[id].claim == Some(lock) {
            kernel.starts[id].claim = None;
        }
    }

    pub(super) fn acquire_step(&self, kernel: &mut Kernel, id: usize, attempt: Acquire) {
        let event = match attempt.effect() {
            AcquireEffect::Open => {
                let dir = kernel.make_dir();
                // A lock goes with the descriptor.
                kernel.locks[id] = None;
                kernel.actors[id].dir = Some(dir);
                AcquireEvent::Did
            }
            AcquireEffect::Lock if self.is_claimed(kernel, id) => AcquireEvent::Refused,
            AcquireEffect::Lock => {
                kernel.locks[id] = self.lock_target(kernel, id);
                AcquireEvent::Did
            }
            AcquireEffect::CheckPlace if Self::is_in_place(kernel, id) => AcquireEvent::Did,
            AcquireEffect::CheckPlace => AcquireEvent::Refused,
            AcquireEffect::Describe => AcquireEvent::Did,
            AcquireEffect::Judge => AcquireEvent::Judged(Judgement::from(&judge_claim(kernel))),
            AcquireEffect::WriteEvidence => {
                kernel.actors[id].holds = true;
                if Self::is_in_place(kernel, id) {
                    kernel.files.evidence = Paper::Held(id as ActorId);
                }
                AcquireEvent::Did
            }
            AcquireEffect::Unlock => {
                Self::unlock(kernel, id);
                AcquireEvent::Did
            }
            AcquireEffect::Done(_) => return,
        };
        let attempt = acquire::step(attempt, event);
        match attempt.effect() {
            AcquireEffect::Done(taken) => self.is_taken(kernel, id, taken),
            AcquireEffect::Open
            | AcquireEffect::Lock
            | AcquireEffect::CheckPlace
            | AcquireEffect::Describe
            | AcquireEffect::Judge
            | AcquireEffect::WriteEvidence
            | AcquireEffect::Unlock => kernel.actors[id].sub = Sub::Acquire(attempt),
        }
    }

    /// An attempt to take the claim is over.
    pub(super) fn is_taken(&self, kernel: &mut Kernel, id: usize, taken: Taken) {
        let actor = &mut kernel.actors[id];
        actor.sub = Sub::None;
        actor.may_release = true;
        match (actor.task, taken) {
            (Task::Ensure(call), Taken::Granted) if call.effect() == ensure::Effect::ClearClaim => {
                actor.sub = Sub::Settle(Settle::release_alone());
            }
            (Task::Ensure(call), Taken::Conflict | Taken::Failed)
                if call.effect() == ensure::Effect::ClearClaim =>
            {
                self.ensure_hears(kernel, id, ensure::Event::Did);
            }
            (Task::Ensure(_), Taken::Granted) => self.ensure_hears(kernel, id, ensure::Event::Did),
            // A living launcher holds the claim, so the conflict may pass; there is no other conflict here.
            (Task::Ensure(_), Taken::Conflict) => {
                self.ensure_hears(kernel, id, ensure::Event::Conflict(MayPass::Yes));
            }
            (Task::Ensure(_), Taken::Failed) => self.ensure_hears(kernel, id, ensure::Event::Failed),
            (Task::Hold(_), taken) => self.hold_is_taken(kernel, id, taken),
            (Task::Stop(_), Taken::Granted) => self.stop_hears(kernel, id, session::Event::Did),
            (Task::Stop(_), Taken::Conflict) => self.stop_hears(kernel, id, session::Event::Refused),
            (Task::Stop(_), Taken::Failed) => self.stop_hears(kernel, id, session::Event::Failed),
            (
                Task::Unlock(_)
                | Task::Collect(_)
                | Task::Dropped
                | Task::Absent
                | Task::Done(_)
                | Task::Crashed,
                _,
            ) => {}
        }
    }

    pub(super) fn give_up(&self, kernel: &mut Kernel, id: usize, effect: GiveUpEffect) -> GiveUpEvent {
        let in_place = Self::is_in_place(kernel, id);
        match effect {
            GiveUpEffect::CheckPlace if in_place => GiveUpEvent::Did,
            GiveUpEffect::CheckPlace => GiveUpEvent::Refused,
            GiveUpEffect::ReadEvidence => GiveUpEvent::Read(match kernel.files.evidence {
                // The removal of the directory removed the evidence too.
                _ if !in_place => Whose::Nobodys,
                Paper::Absent => Whose::Nobodys,
                Paper::Held(by) | Paper::Retained(by) if usize::from(by) == id => Whose::Ours,
                Paper::Held(_) | Paper::Retained(_) => Whose::Others,
            }),
            GiveUpEffect::RemoveEvidence => {
                let actor = &mut kernel.actors[id];
                actor.holds = false;
                if !actor.may_release {
                    kernel.broken.released_blindly = true;
                }
                if in_place {
                    self.clear_evidence(kernel);
                }
                GiveUpEvent::Did
            }
            GiveUpEffect::MarkRetained => {
                if in_place {
                    kernel.files.evidence = Paper::Retained(id as ActorId);
                }
                GiveUpEvent::Did
            }
            GiveUpEffect::Unlock => {
                kernel.actors[id].holds = false;
                Self::unlock(kernel, id);
                GiveUpEvent::Did
            }
            GiveUpEffect::Done(_) => GiveUpEvent::Did,
        }
    }
}

pub(super) fn judge_claim(kernel: &Kernel) -> ClaimDecision<Holder> {
    let (found, holder) = match kernel.files.evidence {
        Paper::Absent => (Found::Nothing, None),
        Paper::Held(actor) => (Found::Held(Holder), Some(actor)),
        Paper::Retained(actor) => (Found::Retained(Holder), Some(actor)),
    };
    let is_dead = |actor: ActorId| kernel.actors[usize::from(actor)].task == Task::Crashed;
    let standing = match holder {
        Some(actor) if is_dead(actor) => ProcessLiveness::Dead(DeathProof::NoSuchProcess),
        Some(_) | None => ProcessLiveness::Alive,
    };
    decide_claim(ClaimPolicy::dispatch(), KernelLock::Free, found, standing)
}
