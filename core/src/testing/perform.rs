//! Each effect of each machine, performed as a single step on the simulated kernel.
//!
//! This module decides nothing: each effect is performed, the answer goes into the machine, and the machine names the
//! next effect. If the kernel permits several events, [`Setting::choices`] offers each event.

mod care;
mod claim;
mod claimer;
mod launcher;
mod look;
mod start;
mod stopper;

use super::actor::{Actor, End, Sub, Task};
use super::kernel::Kernel;
use super::program::Setting;
use super::sabotage::Sabotage;
use crate::claim::hold;
use crate::ensure::{self, decide::Liveness};
use crate::start::settle::{self, Settle, SettleEvent};
use crate::stop::StopEvent;
use crate::stop::session::{self};

/// The next event of an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Choice {
    /// The actor goes on.
    Go,
    /// The actor has waited long enough.
    GiveUp,
    /// The actor hears of the worker's end.
    Exit,
    /// The actor hears that the worker's end cannot be watched.
    ExitFails,
    /// The actor hears that the worker is ready.
    Socket,
    /// The actor hears that a stranger listens at the endpoint.
    Stranger,
    /// The actor hears that its time is over.
    Time,
}

impl Setting {
    /// The possible next events of an actor.
    pub fn choices(&self, kernel: &Kernel, id: usize, mut offer: impl FnMut(Choice)) {
        let actor = &kernel.actors[id];
        if actor.is_over() {
            return;
        }
        match actor.sub {
            Sub::AwaitChild(_) => {
                let start = &kernel.starts[id];
                if start.executed || !start.is_alive() {
                    offer(Choice::Go);
                }
            }
            Sub::Watch => self.hear(kernel, actor, offer),
            Sub::End => {
                let worker = &actor.worker;
                let free = worker.lifeline.is_none_or(|lifeline| !kernel.is_held(lifeline));
                offer(if free && kernel.are_gone(worker) { Choice::Exit } else { Choice::Time });
            }
            Sub::None if waits(&actor.task) => {
                offer(Choice::Go);
                offer(Choice::GiveUp);
            }
            Sub::None
            | Sub::Acquire(_)
            | Sub::Settle(_)
            | Sub::Order(_)
            | Sub::ReadMark(_)
            | Sub::Ask(..) => offer(Choice::Go),
        }
    }

    /// The possible next events of a watching actor. An exit that can be heard is heard before the end of the time.
    fn hear(&self, kernel: &Kernel, actor: &Actor, mut offer: impl FnMut(Choice)) {
        let worker = &actor.worker;
        let are_gone = kernel.are_gone(worker);
        let of_leader = self.conduct.has(Sabotage::ExitOfLeader);
        match worker.lifeline {
            _ if of_leader && are_gone => return offer(Choice::Exit),
            _ if of_leader || !are_gone => {}
            Some(lifeline) if !kernel.is_held(lifeline) => return offer(Choice::Exit),
            Some(_) => {}
            None => offer(Choice::ExitFails),
        }
        match self.shows(kernel, actor.place, worker) {
            // A stranger ends the watch of the endpoint.
            _ if actor.met_stranger => {}
            Liveness::Live => offer(Choice::Socket),
            Liveness::Forged => offer(Choice::Stranger),
            Liveness::Dormant | Liveness::Indeterminate => {}
        }
        offer(Choice::Time);
    }

    /// A step of an actor.
    pub fn actor_step(&self, kernel: &mut Kernel, id: usize, choice: Choice) {
        match kernel.actors[id].sub {
            Sub::Acquire(attempt) => self.acquire_step(kernel, id, attempt),
            Sub::Settle(settle) => self.settle_step(kernel, id, settle),
            Sub::Order(start) => self.order_step(kernel, id, start),
            Sub::AwaitChild(start) => self.child_is_there(kernel, id, start),
            Sub::Watch => self.watch_step(kernel, id, choice),
            Sub::ReadMark(record) => {
                let lifeline = self.open_lifeline(kernel);
                let mark = lifeline.and_then(|inode| kernel.marks[usize::from(inode)]);
                kernel.actors[id].sub = Sub::Ask(record, lifeline, mark);
            }
            Sub::Ask(record, lifeline, mark) => {
                let by_name = self.conduct.has(Sabotage::StopPinsByName);
                let asked = if by_name { kernel.files.lifeline } else { lifeline };
                let seen = self.assemble(kernel, record, mark, asked);
                kernel.actors[id].seen = seen;
                self.stop_hears(kernel, id, session::Event::Looked(self.stop_view(seen.view)));
            }
            Sub::End => {
                let event = if choice == Choice::Exit { StopEvent::Exited } else { StopEvent::GraceElapsed };
                self.end_hears(kernel, id, event);
            }
            Sub::None => match kernel.actors[id].task {
                Task::Ensure(call) => self.ensure_step(kernel, id, call, choice),
                Task::Stop(stop) => self.stop_step(kernel, id, stop, choice),
                Task::Unlock(unlock) => self.unlock_step(kernel, id, unlock),
                Task::Collect(collect) => self.collect_step(kernel, id, collect),
                Task::Hold(hold) => self.hold_step(kernel, id, hold, choice),
                Task::Dropped | Task::Absent | Task::Done(_) | Task::Crashed => {}
            },
        }
    }

    /// Whether the actor's future can be dropped: the actor awaits an answer and holds the claim.
    pub fn can_be_dropped(&self, actor: &Actor) -> bool {
        let Task::Ensure(call) = actor.task else { return false };
        match actor.sub {
            Sub::Watch | Sub::End => true,
            Sub::None => call.holds_claim() && matches!(call.effect(), ensure::Effect::Probe),
            Sub::Acquire(_)
            | Sub::Settle(_)
            | Sub::Order(_)
            | Sub::AwaitChild(_)
            | Sub::ReadMark(_)
            | Sub::Ask(..) => false,
        }
    }

    /// Drops the future of an actor: the awaited answer is lost, and the claim is retained.
    pub fn drop_future(&self, kernel: &mut Kernel, id: usize) {
        let actor = &mut kernel.actors[id];
        actor.task = Task::Dropped;
        if self.conduct.has(Sabotage::DroppedLeftHeld) {
            kernel.locks[id] = None;
            *actor = Actor::of(Task::Done(End::Dropped));
            return;
        }
        // Dropping a claim gives the claim up, and writes nothing into the record.
        actor.record = None;
        actor.sub = Sub::Settle(settle::step(Settle::retained(), SettleEvent::Did));
    }
}

/// Whether a task waits for an event that may never come.
fn waits(task: &Task) -> bool {
    match task {
        Task::Ensure(call) => {
            matches!(call.effect(), ensure::Effect::AwaitClaim | ensure::Effect::AwaitAnswer)
        }
        Task::Stop(stop) => stop.effect() == session::Effect::Pause,
        Task::Hold(hold) => hold.effect() == hold::Effect::AwaitClaim,
        Task::Unlock(_) | Task::Collect(_) | Task::Dropped | Task::Absent | Task::Done(_) | Task::Crashed => {
            false
        }
    }
}
