//! An `ensure`.

use super::Choice;
use crate::claim::acquire::Acquire;
use crate::ensure::decide::{Liveness, RejectReason};
use crate::ensure::{self, Conclusion, Ensure};
use crate::session::evidence::LastWorker;
use crate::session::plan::PortChoice;
use crate::start::settle::{Noted, Settle};
use crate::stop::StopEnd;
use crate::testing::actor::{Actor, End, Pinned, Sub, Task};
use crate::testing::kernel::Kernel;
use crate::testing::objects::{Paper, Place, Socket};
use crate::testing::program::Setting;
use crate::testing::sabotage::Sabotage;

impl Setting {
    pub(super) fn ensure_step(&self, kernel: &mut Kernel, id: usize, call: Ensure, choice: Choice) {
        use ensure::{Effect as Fx, Event as Ev};
        let event = match call.effect() {
            Fx::Look => {
                let seen = self.look(kernel, kernel.files);
                self.note_look(kernel, id, seen);
                Ev::Looked(seen.view)
            }
            Fx::CheckTarget | Fx::CheckProgram | Fx::Pause => Ev::Did,
            Fx::Probe => Ev::Probed(self.probe_step(kernel, id)),
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
                self.note_look(kernel, id, seen);
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

    /// A connect reveals the peer at once.
    fn probe_step(&self, kernel: &mut Kernel, id: usize) -> Liveness {
        let actor = &kernel.actors[id];
        let found = self.probe(kernel, actor.place, &actor.worker);
        let (peer, socket) = (kernel.answers(actor.place), kernel.socket_at(actor.place));
        let actor = &mut kernel.actors[id];
        match found {
            Liveness::Live => {
                actor.peer = peer;
                actor.trusts_stranger = socket == Socket::Stranger;
            }
            Liveness::Forged | Liveness::Dormant | Liveness::Indeterminate => actor.peer = None,
        }
        found
    }

    /// The promises broken by the end of a call.
    fn judge_end(&self, kernel: &mut Kernel, id: usize, conclusion: Conclusion) {
        let actor = &kernel.actors[id];
        let conflict = conclusion == Conclusion::Rejected(RejectReason::TargetAddressConflict);
        let may_choose = self.port == PortChoice::Launcher && !actor.late;
        let may_choose = may_choose && actor.seen.view.last == LastWorker::Gone;
        let trusts = actor.trusts_stranger && matches!(conclusion, Conclusion::Running(_));
        kernel.broken.port_not_replaced |= conflict && may_choose;
        kernel.broken.attached_to_a_stranger |= trusts;
    }

    pub(super) fn ensure_hears(&self, kernel: &mut Kernel, id: usize, event: ensure::Event) {
        let actor = &mut kernel.actors[id];
        let Task::Ensure(call) = actor.task else { return };
        let call = ensure::step(call, event);
        if let ensure::Effect::Done(conclusion) = call.effect() {
            self.judge_end(kernel, id, conclusion);
        }
        let actor = &mut kernel.actors[id];
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
        if matches!(task, Task::Done(_)) {
            *actor = Actor::of(task);
        } else if !call.holds_claim() {
            let Actor { late, place, chosen, trusts_stranger, .. } = *actor;
            // The listener is looked for in the worker of the last look.
            let worker = match (call.effect(), place) {
                (ensure::Effect::CheckTarget | ensure::Effect::Probe, Place::Port(_)) => actor.worker,
                (_, Place::Path | Place::Port(_) | Place::Nowhere) => Pinned::NOBODY,
            };
            *actor = Actor { late, place, chosen, trusts_stranger, worker, ..Actor::of(task) };
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
