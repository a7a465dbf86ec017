//! `stop`, as `rekindle/src/end.rs` does it, and `unlock --force`, as the design says.

use super::launcher::Choice;
use super::protocol::{Model, StopCleans, StopPins, Unlock};
use super::survey::{Pinned, Survey};
use super::world::{InodeId, Record, STOP, Socket, StartId, UNLOCK, World};
use rekindle_core::claim::KernelLock;
use rekindle_core::stop::{Stop, StopEffect, StopEvent, StopPhase, StopStep, step};
use rekindle_core::{ClaimDecision, KillSignal, LastWorker, Lifeline, RecordState};

/// A `stop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stopper {
    /// What it does next.
    pub at: StopperAt,
    record: Option<Record>,
    mark: Option<StartId>,
    lifeline: Option<InodeId>,
    generation: u8,
    worker: Option<Pinned>,
    stop: Option<Stop>,
}

/// What a `stop` does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopperAt {
    /// Reads the record.
    Record,
    /// Reads what the worker wrote into its lifeline.
    Mark,
    /// Asks the lifeline, and judges.
    Ask,
    /// Opens the lifeline of what it is about to signal.
    Pin,
    /// Signals and waits.
    Watch,
    /// Tries to lock.
    Lock,
    /// Reads the evidence of the claim.
    ReadEvidence,
    /// Puts its own in place.
    WriteEvidence,
    /// Looks at everything, under the claim.
    Survey,
    /// Looks at the socket.
    LookAtSocket,
    /// Removes it.
    RemoveSocket,
    /// Completes the record.
    WriteExited,
    /// Removes its evidence.
    RemoveEvidence,
    /// Unlocks.
    Unlock,
    /// Nothing more.
    Done,
    /// Nothing more: it was killed.
    Crashed,
}

/// What an `unlock --force` does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unlocker {
    /// Tries to lock.
    Lock,
    /// Removes the evidence.
    RemoveEvidence,
    /// Unlocks.
    Unlock,
    /// Nothing more.
    Done,
    /// Nothing more: it was killed.
    Crashed,
}

impl Stopper {
    /// A `stop` that knows nothing.
    pub const fn at(at: StopperAt) -> Self {
        Self { at, record: None, mark: None, lifeline: None, generation: 0, worker: None, stop: None }
    }

    /// Whether it has anything left to do.
    pub fn is_over(&self) -> bool {
        matches!(self.at, StopperAt::Done | StopperAt::Crashed)
    }

    fn cleans_up(&mut self, model: &Model) {
        let at = match model.protocol.stop {
            StopCleans::UnderTheClaim => StopperAt::Lock,
            StopCleans::WithoutTheClaim => StopperAt::Survey,
        };
        *self = Self { generation: self.generation, ..Self::at(at) };
    }

    /// Whether the evidence in place has to be its own.
    pub fn holds_evidence(&self, model: &Model) -> bool {
        let held = matches!(
            self.at,
            StopperAt::Survey
                | StopperAt::LookAtSocket
                | StopperAt::RemoveSocket
                | StopperAt::WriteExited
                | StopperAt::RemoveEvidence
        );
        held && model.protocol.stop == StopCleans::UnderTheClaim
    }
}

impl Unlocker {
    /// Whether it has anything left to do.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Crashed)
    }
}

impl Model {
    /// What may happen to the `stop` next.
    pub fn stop_choices(&self, world: &World, mut offer: impl FnMut(Choice)) {
        match (world.stopper.at, &world.stopper.worker) {
            (StopperAt::Done | StopperAt::Crashed, _) => {}
            (StopperAt::Watch, Some(worker)) => {
                let free = worker.lifeline.is_none_or(|lifeline| !world.is_held(lifeline));
                let gone = free && worker.processes_are_gone(world);
                offer(if gone { Choice::Exit } else { Choice::Time });
            }
            (_, _) => offer(Choice::Go),
        }
    }

    /// One step of the `stop`.
    pub fn stop_step(&self, world: &mut World, choice: Choice) {
        let this = &mut world.stopper;
        match this.at {
            StopperAt::Record => {
                (this.record, this.at) = (world.record, StopperAt::Mark);
            }
            StopperAt::Mark => {
                (this.lifeline, this.at) = (world.lifeline, StopperAt::Ask);
                this.mark = world.lifeline.and_then(|inode| world.marks[usize::from(inode)]);
            }
            StopperAt::Ask => self.stop_judges(world),
            StopperAt::Pin => self.stop_begins(world),
            StopperAt::Watch => {
                let event = if choice == Choice::Exit { StopEvent::Exited } else { StopEvent::GraceElapsed };
                self.stop_hears(world, event);
            }
            StopperAt::Lock => {
                world.stopper.at = match world.try_lock(STOP) {
                    KernelLock::Free => StopperAt::ReadEvidence,
                    KernelLock::Held => StopperAt::Done,
                };
            }
            StopperAt::ReadEvidence => {
                world.stopper.at = match world.judge_claim(KernelLock::Free) {
                    ClaimDecision::Fresh | ClaimDecision::TakeOver { .. } => StopperAt::WriteEvidence,
                    ClaimDecision::Conflict { .. } => StopperAt::Unlock,
                }
            }
            StopperAt::WriteEvidence => {
                this.at = StopperAt::Survey;
                world.write_evidence(STOP);
            }
            StopperAt::Survey
            | StopperAt::LookAtSocket
            | StopperAt::RemoveSocket
            | StopperAt::WriteExited => self.stop_cleans(world),
            StopperAt::RemoveEvidence => {
                world.stopper.at = self.stop_removes_evidence(world);
            }
            StopperAt::Unlock => {
                world.unlock(STOP);
                world.stopper = Stopper::at(StopperAt::Done);
            }
            StopperAt::Done | StopperAt::Crashed => {}
        }
    }

    /// The lifeline that a `stop` asks: the one that it opened first, or the one that stands there now.
    fn stop_asks(&self, world: &World) -> Option<InodeId> {
        match self.protocol.stop_pins {
            StopPins::OfItsGeneration | StopPins::OpenedOnce => world.stopper.lifeline,
            StopPins::ByName => world.lifeline,
        }
    }

    fn stop_judges(&self, world: &mut World) {
        let inode = self.stop_asks(world);
        let survey = Survey::of(self, world, world.stopper.record, world.stopper.mark, inode);
        let answers = world.answers();
        let marked = inode.and_then(|inode| world.marks[usize::from(inode)]);
        let generation = marked.map(|start| world.starts[usize::from(start)].generation);
        let of_another =
            self.protocol.stop_pins == StopPins::OfItsGeneration && generation != Some(survey.generation);
        if of_another && survey.lifeline == Lifeline::Held {
            // A start is under way, and what was read of the record may be of the one before.
            world.stopper = Stopper::at(StopperAt::Record);
            return;
        }
        let this = &mut world.stopper;
        this.generation = survey.generation;
        if survey.last == LastWorker::Gone && survey.lifeline != Lifeline::Held {
            match answers {
                // Somebody else's.
                Some(_) => *this = Stopper::at(StopperAt::Done),
                None => this.cleans_up(self),
            }
            return;
        }
        this.lifeline = inode.filter(|_| !of_another);
        this.worker = Some(survey.pin(this.lifeline));
        this.at = StopperAt::Pin;
    }

    fn stop_begins(&self, world: &mut World) {
        let lifeline = self.stop_asks(world);
        let this = &mut world.stopper;
        if let Some(worker) = &mut this.worker {
            worker.lifeline = lifeline;
        }
        (this.record, this.mark, this.lifeline) = (None, None, None);
        this.at = StopperAt::Watch;
        // A background worker's stdin is nobody's: there is no time for it.
        this.stop = Some(step(Stop::new(), StopEvent::Begin).0);
        self.stop_hears(world, StopEvent::GraceElapsed);
    }

    fn stop_hears(&self, world: &mut World, event: StopEvent) {
        let (Some(stop), Some(worker)) = (world.stopper.stop, world.stopper.worker) else { return };
        let (stop, effects) = step(stop, event);
        world.stopper.stop = Some(stop);
        for effect in effects {
            match effect {
                StopEffect::Take(StopStep::Terminate) => self.signal(world, &worker, KillSignal::Term),
                StopEffect::Take(StopStep::Kill) => self.signal(world, &worker, KillSignal::Kill),
                StopEffect::Take(StopStep::CloseStdin) | StopEffect::StartGrace(_) => {}
            }
        }
        if matches!(stop.phase, StopPhase::Done(_)) {
            world.stopper.cleans_up(self);
        }
    }

    fn stop_cleans(&self, world: &mut World) {
        let socket = world.socket;
        let survey = Survey::take(self, world);
        let is_stale = matches!(socket, Socket::Stale | Socket::Bound(_));
        let other = survey.generation != world.stopper.generation;
        world.stopper.at = match world.stopper.at {
            StopperAt::Survey if other || survey.last != LastWorker::Gone => StopperAt::RemoveEvidence,
            StopperAt::Survey => {
                world.stopper.record = survey.record;
                StopperAt::LookAtSocket
            }
            StopperAt::LookAtSocket if is_stale => StopperAt::RemoveSocket,
            StopperAt::LookAtSocket => StopperAt::WriteExited,
            StopperAt::RemoveSocket => {
                world.socket = Socket::Absent;
                StopperAt::WriteExited
            }
            _ => {
                let unfinished = world.stopper.record.filter(|record| record.state != RecordState::Exited);
                world.write_record(unfinished.map(|record| Record { state: RecordState::Exited, ..record }));
                StopperAt::RemoveEvidence
            }
        };
    }

    fn stop_removes_evidence(&self, world: &mut World) -> StopperAt {
        match self.protocol.stop {
            StopCleans::UnderTheClaim => {
                World::remove_evidence(world, self, STOP);
                StopperAt::Unlock
            }
            StopCleans::WithoutTheClaim => {
                world.clear_evidence(self);
                StopperAt::Done
            }
        }
    }

    /// One step of the `unlock --force`.
    pub fn unlock_step(&self, world: &mut World) {
        let under_the_lock = self.protocol.unlock == Unlock::UnderTheLock;
        world.unlocker = match world.unlocker {
            Unlocker::Lock if !under_the_lock => Unlocker::RemoveEvidence,
            Unlocker::Lock => match world.try_lock(UNLOCK) {
                KernelLock::Free => Unlocker::RemoveEvidence,
                KernelLock::Held => Unlocker::Done,
            },
            Unlocker::RemoveEvidence => {
                world.clear_evidence(self);
                if under_the_lock { Unlocker::Unlock } else { Unlocker::Done }
            }
            Unlocker::Unlock => {
                world.unlock(UNLOCK);
                Unlocker::Done
            }
            over @ (Unlocker::Done | Unlocker::Crashed) => over,
        };
    }
}
