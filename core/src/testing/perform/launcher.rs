//! An `ensure`.

use super::Choice;
use super::look::probe;
use crate::claim::acquire::Acquire;
use crate::ensure::{self, Ensure};
use crate::start::settle::{Noted, Settle};
use crate::stop::StopEnd;
use crate::testing::actor::{Actor, End, Pinned, Sub, Task};
use crate::testing::kernel::Kernel;
use crate::testing::objects::Paper;
use crate::testing::program::Setting;
use crate::testing::sabotage::Sabotage;

impl Setting {
    pub(super) fn ensure_step(&self, kernel: &mut Kernel, id: usize, call: Ensure, choice: Choice) {
        use ensure::{Effect as Fx, Event as Ev};
        let event = match call.effect() {
            Fx::Look => {
                kernel.actors[id].seen = self.look(kernel, kernel.files);
                Ev::Looked(kernel.actors[id].seen.view)
            }
            Fx::CheckTarget | Fx::CheckProgram | Fx::Pause => Ev::Did,
            // A connect reveals the peer at once.
            Fx::Probe => {
                kernel.actors[id].peer = kernel.answers();
                Ev::Probed(probe(kernel))
            }
            Fx::InspectClaim if kernel.files.evidence == Paper::Absent => Ev::Refused,
            Fx::InspectClaim => Ev::Did,
            Fx::Acquire | Fx::ClearClaim => {
                kernel.actors[id].sub = Sub::Acquire(Acquire::default());
                return self.acquire_step(kernel, id, Acquire::default());
            }
            Fx::AwaitClaim | Fx::AwaitAnswer => {
                if choice == Choice::GiveUp {
                    Ev::Late
                } else {
                    Ev::Did
                }
            }
            Fx::LookUnderClaim => {
                let seen = self.look_under_claim(kernel, id);
                kernel.actors[id].seen = seen;
                Ev::Looked(seen.view)
            }
            Fx::Complete => {
                let actor = &mut kernel.actors[id];
                actor.record = actor.seen.completed();
                actor.noted = Noted { exit: false, ready: true };
                let settle = Settle::released(actor.noted.heard());
                actor.sub = Sub::Settle(settle);
                return self.settle_step(kernel, id, settle);
            }
            Fx::EndWorker if self.conduct.has(Sabotage::ReplaceUnended) => Ev::Did,
            Fx::EndWorker => {
                let actor = &mut kernel.actors[id];
                actor.worker = actor.seen.pin(actor.seen.lifeline);
                return self.begin_end(kernel, id);
            }
            Fx::Start(kind) => return self.begin_start(kernel, id, kind),
            Fx::Release => {
                let settle = Settle::release_alone();
                kernel.actors[id].sub = Sub::Settle(settle);
                return self.settle_step(kernel, id, settle);
            }
            Fx::Done(_) => return,
        };
        self.ensure_hears(kernel, id, event);
    }

    pub(super) fn ensure_hears(&self, kernel: &mut Kernel, id: usize, event: ensure::Event) {
        let actor = &mut kernel.actors[id];
        let Task::Ensure(call) = actor.task else { return };
        let call = ensure::step(call, event);
        let task = match call.effect() {
            ensure::Effect::Done(conclusion) => Task::Done(End::Ensure(conclusion)),
            ensure::Effect::Look
            | ensure::Effect::CheckTarget
            | ensure::Effect::Probe
            | ensure::Effect::InspectClaim
            | ensure::Effect::ClearClaim
            | ensure::Effect::Acquire
            | ensure::Effect::AwaitClaim
            | ensure::Effect::LookUnderClaim
            | ensure::Effect::Complete
            | ensure::Effect::CheckProgram
            | ensure::Effect::EndWorker
            | ensure::Effect::Start(_)
            | ensure::Effect::Release
            | ensure::Effect::Pause
            | ensure::Effect::AwaitAnswer => Task::Ensure(call),
        };
        // A call that begins anew, or is over, forgets the learned facts. A descriptor that is still open holds no lock
        // at that time.
        if !call.holds_claim() {
            let late = actor.late;
            *actor = Actor { late: late && !matches!(task, Task::Done(_)), ..Actor::of(task) };
        } else {
            actor.task = task;
        }
    }

    /// Gives a restart the result of the worker's end.
    pub(super) fn replace_hears(&self, kernel: &mut Kernel, id: usize, end: StopEnd) {
        let actor = &mut kernel.actors[id];
        (actor.sub, actor.stop, actor.worker) = (Sub::None, None, Pinned::NOBODY);
        let event = match end {
            StopEnd::Ended { .. } => ensure::Event::Did,
            StopEnd::GaveUp => ensure::Event::Refused,
        };
        self.ensure_hears(kernel, id, event);
    }
}
