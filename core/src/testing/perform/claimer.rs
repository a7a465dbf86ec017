//! A claimer: a program runs under the claim, with a copy of the locked descriptor.

use super::Choice;
use crate::claim::acquire::{Acquire, Taken};
use crate::claim::hold::{self, Effect as Fx, Event as Ev, Hold, Passes};
use crate::claim::release::SendFinal;
use crate::start::settle::Settle;
use crate::testing::actor::{Actor, End, Sub, Task};
use crate::testing::kernel::Kernel;
use crate::testing::program::Setting;
use crate::testing::sabotage::Sabotage;

impl Setting {
    pub(super) fn hold_step(&self, kernel: &mut Kernel, id: usize, hold: Hold, choice: Choice) {
        let event = match hold.effect() {
            Fx::Acquire => {
                kernel.actors[id].sub = Sub::Acquire(Acquire::default());
                return self.acquire_step(kernel, id, Acquire::default());
            }
            Fx::AwaitClaim if choice == Choice::GiveUp => Ev::Late,
            Fx::AwaitClaim | Fx::Look => Ev::Did,
            Fx::Send if kernel.programs[id].is_none() => {
                kernel.programs[id] = kernel.actors[id].dir;
                if !self.conduct.has(Sabotage::ProgramWithoutAnchor) {
                    kernel.copies[id] = kernel.locks[id];
                }
                return;
            }
            Fx::Send => {
                kernel.end_program(id);
                Ev::Sent(SendFinal::Sent)
            }
            Fx::Release => {
                let settle = Settle::release_alone();
                kernel.actors[id].sub = Sub::Settle(settle);
                return self.settle_step(kernel, id, settle);
            }
            Fx::Done(_) => return,
        };
        self.hold_hears(kernel, id, event);
    }

    pub(super) fn hold_is_taken(&self, kernel: &mut Kernel, id: usize, taken: Taken) {
        self.hold_hears(
            kernel,
            id,
            match taken {
                Taken::Granted => Ev::Did,
                Taken::Conflict => Ev::Conflict(Passes::Yes),
                Taken::Failed => Ev::Failed,
            },
        );
    }

    pub(super) fn hold_hears(&self, kernel: &mut Kernel, id: usize, event: Ev) {
        let actor = &mut kernel.actors[id];
        let Task::Hold(hold) = actor.task else { return };
        let hold = hold::step(hold, event);
        actor.sub = Sub::None;
        match hold.effect() {
            Fx::Done(conclusion) => *actor = Actor::of(Task::Done(End::Hold(conclusion))),
            // The directory of an earlier attempt is not used again.
            Fx::Acquire | Fx::AwaitClaim => *actor = Actor::of(Task::Hold(hold)),
            Fx::Look | Fx::Send | Fx::Release => actor.task = Task::Hold(hold),
        }
    }
}
