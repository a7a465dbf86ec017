//! A stop of the session.

use super::Choice;
use super::look::room;
use crate::claim::acquire::Acquire;
use crate::effects::KillSignal;
use crate::session::record::RecordState;
use crate::start::settle::Settle;
use crate::stop::session::{self, StopSession};
use crate::stop::{self, Stop, StopEffect, StopEvent, StopPhase, StopStep};
use crate::testing::actor::{Actor, End, Sub, Task};
use crate::testing::kernel::Kernel;
use crate::testing::objects::{Place, Record, Socket};
use crate::testing::program::Setting;
use crate::testing::sabotage::Sabotage;

impl Setting {
    pub(super) fn stop_step(&self, kernel: &mut Kernel, id: usize, stop: StopSession, choice: Choice) {
        use session::{Effect as Fx, Event as Ev};
        let without_claim = self.conduct.has(Sabotage::StopWithoutClaim);
        let event = match stop.effect() {
            Fx::AskClaim => {
                kernel.actors[id].dir = kernel.dir;
                if self.is_claimed(kernel, id) { Ev::Did } else { Ev::Refused }
            }
            Fx::Look => {
                kernel.actors[id].sub = Sub::ReadMark(kernel.files.record);
                return;
            }
            Fx::Pause if choice == Choice::GiveUp => Ev::Late,
            Fx::Pause => Ev::Did,
            Fx::Probe => {
                let seen = kernel.actors[id].seen;
                let place = seen.record.map_or(Place::Path, |record| record.place);
                Ev::Probed(self.probe(kernel, place, &self.known_worker(&seen)))
            }
            Fx::Pin => {
                let by_name = self.conduct.has(Sabotage::StopPinsByName);
                let named = kernel.files.lifeline;
                let actor = &mut kernel.actors[id];
                let lifeline = if by_name { named } else { actor.seen.lifeline };
                actor.worker = actor.seen.pin(lifeline);
                Ev::Did
            }
            Fx::CountMembers => {
                let worker = kernel.actors[id].worker;
                let held = worker.lifeline.is_some_and(|lifeline| kernel.is_held(lifeline));
                if held { Ev::Did } else { Ev::Refused }
            }
            Fx::End => return self.begin_end(kernel, id),
            Fx::Acquire if without_claim => {
                kernel.actors[id].dir = kernel.dir;
                Ev::Did
            }
            Fx::Acquire => {
                kernel.actors[id].sub = Sub::Acquire(Acquire::default());
                return self.acquire_step(kernel, id, Acquire::default());
            }
            Fx::LookUnderClaim => {
                let files = self.files_of(kernel, id);
                let seen = self.look(kernel, files);
                kernel.actors[id].seen = seen;
                Ev::Looked(seen.view)
            }
            Fx::LookAtSocket => Ev::Room(room(kernel)),
            Fx::RemoveSocket => {
                kernel.socket = Socket::Absent;
                Ev::Did
            }
            Fx::WriteExited(_) => {
                let record = kernel.actors[id].seen.record;
                let unfinished = record.filter(|record| record.state != RecordState::Exited);
                if let Some(record) = unfinished.filter(|_| Self::is_in_place(kernel, id)) {
                    kernel.write_record(Record { state: RecordState::Exited, ..record });
                }
                Ev::Did
            }
            Fx::Release if without_claim => {
                self.clear_evidence(kernel);
                Ev::Did
            }
            Fx::Release => {
                let settle = Settle::release_alone();
                kernel.actors[id].sub = Sub::Settle(settle);
                return self.settle_step(kernel, id, settle);
            }
            Fx::Done(_) => return,
        };
        self.stop_hears(kernel, id, event);
    }

    pub(super) fn stop_hears(&self, kernel: &mut Kernel, id: usize, event: session::Event) {
        let actor = &mut kernel.actors[id];
        let Task::Stop(stop) = actor.task else { return };
        let stop = session::step(stop, event);
        actor.sub = Sub::None;
        actor.stop = None;
        match stop.effect() {
            session::Effect::Done(conclusion) => *actor = Actor::of(Task::Done(End::Stop(conclusion))),
            // The facts of earlier looks are not used again.
            session::Effect::AskClaim | session::Effect::Pause | session::Effect::Acquire => {
                *actor = Actor::of(Task::Stop(stop));
            }
            session::Effect::Look
            | session::Effect::Probe
            | session::Effect::Pin
            | session::Effect::CountMembers
            | session::Effect::End
            | session::Effect::LookUnderClaim
            | session::Effect::LookAtSocket
            | session::Effect::RemoveSocket
            | session::Effect::WriteExited(_)
            | session::Effect::Release => actor.task = Task::Stop(stop),
        }
    }

    /// Begins to end the pinned worker.
    pub(super) fn begin_end(&self, kernel: &mut Kernel, id: usize) {
        // A background worker has no stdin to close, so the step gets no time.
        kernel.actors[id].stop = Some(stop::step(Stop::new(), StopEvent::Begin).0);
        kernel.actors[id].sub = Sub::End;
        self.end_hears(kernel, id, StopEvent::GraceElapsed);
    }

    pub(super) fn end_hears(&self, kernel: &mut Kernel, id: usize, event: StopEvent) {
        let Actor { stop: Some(stop), worker, .. } = kernel.actors[id] else { return };
        let (stop, effects) = stop::step(stop, event);
        kernel.actors[id].stop = Some(stop);
        for effect in effects {
            match effect {
                StopEffect::Take(StopStep::Terminate) => self.signal(kernel, &worker, KillSignal::Term),
                StopEffect::Take(StopStep::Kill) => self.signal(kernel, &worker, KillSignal::Kill),
                StopEffect::Take(StopStep::CloseStdin) | StopEffect::StartGrace(_) => {}
            }
        }
        if let StopPhase::Done(end) = stop.phase {
            match kernel.actors[id].task {
                Task::Ensure(_) => self.replace_hears(kernel, id, end),
                Task::Stop(_)
                | Task::Unlock(_)
                | Task::Collect(_)
                | Task::Hold(_)
                | Task::Absent
                | Task::Dropped
                | Task::Done(_)
                | Task::Crashed => self.stop_hears(kernel, id, session::Event::Ended(end)),
            }
        }
    }
}
