//! An unlock and a collection.

use super::claim::judge_claim;
use super::look::room;
use crate::care::{gc, unlock};
use crate::claim::acquire::Judgement;
use crate::testing::actor::{Actor, End, Task};
use crate::testing::kernel::Kernel;
use crate::testing::objects::{Files, Paper, Socket};
use crate::testing::program::Setting;
use crate::testing::sabotage::Sabotage;

impl Setting {
    /// Locks the directory under the session's name.
    pub(super) fn bare_lock(&self, kernel: &mut Kernel, id: usize) -> bool {
        kernel.actors[id].dir = kernel.dir;
        if kernel.dir.is_none() || self.is_claimed(kernel, id) {
            return false;
        }
        kernel.locks[id] = self.lock_target(kernel, id);
        true
    }

    pub(super) fn unlock_step(&self, kernel: &mut Kernel, id: usize, unlock: unlock::Unlock) {
        use unlock::{Effect as Fx, Event as Ev};
        let without_lock = self.conduct.has(Sabotage::UnlockWithoutLock);
        let event = match unlock.effect() {
            Fx::Lock if without_lock => {
                kernel.actors[id].dir = kernel.dir;
                Ev::Did
            }
            Fx::Lock if self.bare_lock(kernel, id) => Ev::Did,
            Fx::Lock => Ev::Refused,
            Fx::Judge => {
                let found = match kernel.files.evidence {
                    _ if !Self::is_in_place(kernel, id) => unlock::Evidence::Absent,
                    Paper::Absent => unlock::Evidence::Absent,
                    Paper::Held(_) | Paper::Retained(_) => unlock::Evidence::Present,
                };
                Ev::Judged(unlock::Judgement::of(&judge_claim(kernel), found))
            }
            Fx::Look => {
                let files = self.files_of(kernel, id);
                Ev::Looked(self.look(kernel, files).view)
            }
            Fx::RemoveEvidence => {
                if Self::is_in_place(kernel, id) {
                    self.clear_evidence(kernel);
                }
                Ev::Did
            }
            Fx::Unlock => {
                if !without_lock {
                    Self::unlock(kernel, id);
                }
                Ev::Did
            }
            Fx::Done(_) => return,
        };
        let unlock = unlock::step(unlock, event);
        let actor = &mut kernel.actors[id];
        actor.task = Task::Unlock(unlock);
        if let Fx::Done(conclusion) = unlock.effect() {
            *actor = Actor::of(Task::Done(End::Unlock(conclusion)));
        }
    }

    pub(super) fn collect_step(&self, kernel: &mut Kernel, id: usize, collect: gc::Collect) {
        use gc::{Effect as Fx, Event as Ev, File};
        let without_lock = self.conduct.has(Sabotage::GcWithoutLock);
        let in_place = Self::is_in_place(kernel, id);
        let event = match collect.effect() {
            Fx::Lock if without_lock => {
                kernel.actors[id].dir = kernel.dir;
                Ev::Did
            }
            Fx::Lock if self.bare_lock(kernel, id) => Ev::Did,
            Fx::Lock => Ev::Refused,
            Fx::Sweep | Fx::Recognise => Ev::Did,
            // Every file is readable, no run is wanted, and no file is foreign.
            Fx::Repair | Fx::AskLastRun | Fx::Foresee => Ev::Refused,
            Fx::Judge => Ev::Judged(Judgement::from(&judge_claim(kernel))),
            Fx::Look => {
                let seen = self.look_under_claim(kernel, id);
                kernel.actors[id].seen = seen;
                Ev::Looked(seen.view)
            }
            Fx::LookAtSocket => Ev::Room(room(kernel)),
            Fx::RemoveSocket => {
                kernel.socket = Socket::Absent;
                Ev::Did
            }
            Fx::Remove(file) => {
                if in_place {
                    match file {
                        File::Claim => self.clear_evidence(kernel),
                        File::Record => kernel.files.record = None,
                        File::Lifeline => kernel.files.lifeline = None,
                        File::Logs => {}
                    }
                }
                Ev::Did
            }
            Fx::RemoveDirectory
                if in_place && kernel.files == Files::NONE && kernel.socket == Socket::Absent =>
            {
                kernel.remove_dir();
                Ev::Did
            }
            Fx::RemoveDirectory => Ev::Refused,
            Fx::Unlock => {
                if !without_lock {
                    Self::unlock(kernel, id);
                }
                Ev::Did
            }
            Fx::Done(_) => return,
        };
        let collect = gc::step(collect, event);
        let actor = &mut kernel.actors[id];
        actor.task = Task::Collect(collect);
        if let Fx::Done(conclusion) = collect.effect() {
            *actor = Actor::of(Task::Done(End::Collect(conclusion)));
        }
    }
}
