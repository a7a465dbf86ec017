//! A start: the order, the watch, and the writes before the release of the claim.

use super::Choice;
use super::look::room;
use crate::claim::give_up::{GiveUpEffect, GivenUp};
use crate::claim::hold;
use crate::effects::{ChildExit, ReleaseError, SpawnError, WatchError};
use crate::ensure::{self, Deadline, Ended, StartPath, Stranger};
use crate::prelude::*;
use crate::session::endpoint::Endpoint;
use crate::session::plan::KillPolicy;
use crate::session::readiness::ShownBy;
use crate::session::record::RecordState;
use crate::start::execute::{Cause, ExecuteError, Outcome, Seen};
use crate::start::order::{self, Begun, Order, OrderEffect, OrderEvent, Room};
use crate::start::resume::{self, Conclusion, Observed, Phase, Resume, Seam};
use crate::start::settle::{self, Heard, Noted, Settle, SettleEffect, SettleEvent};
use crate::stop::session;
use crate::testing::actor::{Actor, End, Pinned, Sub, Task};
use crate::testing::kernel::Kernel;
use crate::testing::objects::{InodeId, Life, Place, Record, Socket, StartId};
use crate::testing::program::Setting;
use crate::testing::sabotage::Sabotage;

impl Setting {
    pub(super) fn settle_step(&self, kernel: &mut Kernel, id: usize, settle: Settle) {
        let event = match settle.effect() {
            SettleEffect::WriteRecord(heard) => {
                if self.conduct.has(Sabotage::RecordAfterRelease) && kernel.actors[id].resume.is_some() {
                    kernel.actors[id].writes_late = true;
                } else {
                    write_observed(kernel, id, heard);
                }
                SettleEvent::Did
            }
            SettleEffect::WriteRetained => {
                let record = kernel.actors[id].record;
                if let Some(record) = record.filter(|_| Self::is_in_place(kernel, id)) {
                    kernel.write_record(Record { state: RecordState::Retained, ..record });
                }
                SettleEvent::Did
            }
            SettleEffect::LookAtSocket => SettleEvent::Room(room(kernel)),
            SettleEffect::RemoveSocket => {
                kernel.socket = Socket::Absent;
                SettleEvent::Did
            }
            SettleEffect::GiveUp(GiveUpEffect::Done(given_up)) => {
                return self.is_given_up(kernel, id, given_up);
            }
            SettleEffect::GiveUp(effect) => SettleEvent::GaveUp(self.give_up(kernel, id, effect)),
        };
        let settle = settle::step(settle, event);
        kernel.actors[id].sub = Sub::Settle(settle);
        if let SettleEffect::GiveUp(GiveUpEffect::Done(given_up)) = settle.effect()
            && !kernel.actors[id].writes_late
        {
            self.is_given_up(kernel, id, given_up);
        }
    }

    /// A claim is given up.
    pub(super) fn is_given_up(&self, kernel: &mut Kernel, id: usize, given_up: GivenUp) {
        if kernel.actors[id].writes_late {
            let heard = kernel.actors[id].noted.heard();
            write_observed(kernel, id, heard);
        }
        let actor = &mut kernel.actors[id];
        actor.writes_late = false;
        actor.sub = Sub::None;
        actor.holds = false;
        let is_released = match given_up {
            GivenUp::Released | GivenUp::Retained => true,
            GivenUp::NotOurs | GivenUp::Replaced | GivenUp::Failed => false,
        };
        match actor.task {
            Task::Ensure(call) => match (call.effect(), actor.resume) {
                (ensure::Effect::Start(_), Some(resume)) => {
                    let is_retained = matches!(resume.phase, Phase::Done(Conclusion::Retained(_)));
                    let event =
                        if is_released { resume::Event::Released } else { resume::Event::ReleaseFailed };
                    let resume = if is_retained { resume } else { resume::step(resume, event).0 };
                    actor.resume = None;
                    let late = actor.late;
                    let ended = self.ended(kernel, id, resume, given_up);
                    if ended == Ended::AddressTaken && !self.conduct.has(Sabotage::PortKept) {
                        kernel.actors[id].chosen = None;
                    }
                    let deadline = if late { Deadline::Passed } else { Deadline::Ahead };
                    self.ensure_hears(kernel, id, ensure::Event::Ended(ended, deadline));
                }
                (ensure::Effect::ClearClaim, _) => self.ensure_hears(kernel, id, ensure::Event::Did),
                (_, _) if is_released => self.ensure_hears(kernel, id, ensure::Event::Did),
                (_, _) => self.ensure_hears(kernel, id, ensure::Event::Failed),
            },
            Task::Stop(_) => self.stop_hears(kernel, id, session::Event::Did),
            Task::Hold(_) => self.hold_hears(kernel, id, hold::Event::Did),
            Task::Dropped
            | Task::Unlock(_)
            | Task::Collect(_)
            | Task::Absent
            | Task::Done(_)
            | Task::Crashed => {
                *actor = Actor::of(Task::Done(End::Dropped));
            }
        }
    }

    pub(super) fn begin_start(&self, kernel: &mut Kernel, id: usize, kind: StartPath) {
        let begun = resume::step(Resume::new(&KillPolicy::default()), resume::Event::Begin).0;
        let actor = &mut kernel.actors[id];
        actor.may_release = false;
        actor.peer = None;
        actor.noted = Noted::default();
        (actor.abandoned, actor.met_stranger) = (false, false);
        match kind {
            StartPath::Fresh => {
                let generation = actor.seen.generation() + 1;
                actor.worker = Pinned { generation, ..Pinned::NOBODY };
                actor.record = None;
                actor.resume = Some(begun);
                actor.sub = Sub::Order(Order::default());
                self.order_step(kernel, id, Order::default());
            }
            StartPath::Adopted | StartPath::AdoptedConnected | StartPath::Attached => {
                actor.worker = actor.seen.pin(actor.seen.lifeline);
                actor.record = actor.seen.completed();
                actor.resume = Some(resume::step(begun, resume::Event::SpawnStarted).0);
                actor.sub = Sub::Watch;
            }
        }
    }

    pub(super) fn order_step(&self, kernel: &mut Kernel, id: usize, start: Order) {
        let in_place = Self::is_in_place(kernel, id);
        let event = match start.effect() {
            OrderEffect::CheckPlace if in_place => OrderEvent::Did,
            OrderEffect::CheckPlace => OrderEvent::Failed,
            OrderEffect::RenewLifeline => {
                let reused = kernel.files.lifeline.filter(|_| self.conduct.has(Sabotage::LifelineReused));
                let inode = reused.unwrap_or(id as InodeId);
                if reused.is_none() {
                    kernel.marks[id] = None;
                }
                if in_place {
                    kernel.files.lifeline = Some(inode);
                }
                kernel.actors[id].worker.lifeline = Some(inode);
                OrderEvent::Did
            }
            OrderEffect::LookAtSocket if self.conduct.has(Sabotage::StaleSocketLeft) => {
                OrderEvent::Room(Room::Free)
            }
            OrderEffect::LookAtSocket => {
                let room = self.room_at(kernel, kernel.actors[id].place);
                kernel.actors[id].abandoned |= room == Room::Taken;
                OrderEvent::Room(room)
            }
            OrderEffect::RemoveSocket => {
                kernel.socket = Socket::Absent;
                OrderEvent::Did
            }
            OrderEffect::WriteStarting => {
                let generation = kernel.actors[id].worker.generation;
                let record = Record {
                    state: RecordState::Starting,
                    generation,
                    worker: None,
                    peer: None,
                    observed: false,
                    place: kernel.actors[id].place,
                };
                kernel.actors[id].record = Some(record);
                if in_place && !self.conduct.has(Sabotage::RecordAfterFork) {
                    kernel.write_record(record);
                }
                OrderEvent::Did
            }
            OrderEffect::Provide => OrderEvent::Did,
            OrderEffect::Fork => {
                self.fork(kernel, id);
                kernel.actors[id].sub = Sub::AwaitChild(start);
                return;
            }
            OrderEffect::WriteIdentity => {
                self.write_identity(kernel, id);
                OrderEvent::Did
            }
            OrderEffect::Done(_) => return,
        };
        self.order_hears(kernel, id, start, event);
    }

    pub(super) fn order_hears(&self, kernel: &mut Kernel, id: usize, start: Order, event: OrderEvent) {
        let was_checking = start.effect() == OrderEffect::CheckPlace;
        let start = order::step(start, event);
        let actor = &mut kernel.actors[id];
        match start.effect() {
            OrderEffect::Done(Begun::Started) => self.resume_hears(kernel, id, resume::Event::SpawnStarted),
            OrderEffect::Done(Begun::NotStarted) => {
                actor.abandoned |= was_checking;
                actor.may_release = true;
                self.resume_hears(kernel, id, resume::Event::SpawnFailed);
            }
            OrderEffect::CheckPlace
            | OrderEffect::RenewLifeline
            | OrderEffect::LookAtSocket
            | OrderEffect::RemoveSocket
            | OrderEffect::WriteStarting
            | OrderEffect::Provide
            | OrderEffect::Fork
            | OrderEffect::WriteIdentity => actor.sub = Sub::Order(start),
        }
    }

    pub(super) fn fork(&self, kernel: &mut Kernel, id: usize) {
        let claim = kernel.locks[id];
        let Actor { worker, dir, place, .. } = kernel.actors[id];
        let of_launcher = self.conduct.has(Sabotage::LifelineOfLauncher);
        let start = &mut kernel.starts[id];
        (start.generation, start.claim, start.executed) = (worker.generation, claim, false);
        (start.place, start.inode, start.dir) = (place, worker.lifeline.unwrap_or(id as InodeId), dir);
        (start.left, start.observed, start.unlocked) = (false, false, false);
        start.leader = Life::born(of_launcher);
        start.second = Life::Unborn;
    }

    /// The launcher was suspended until the child had executed its program or ended.
    pub(super) fn child_is_there(&self, kernel: &mut Kernel, id: usize, start: Order) {
        if !kernel.starts[id].executed {
            kernel.actors[id].abandoned = kernel.starts[id].left;
            return self.order_hears(kernel, id, start, OrderEvent::Failed);
        }
        let worker = &mut kernel.actors[id].worker;
        (worker.leader, worker.ours) = (Some(id as StartId), true);
        self.order_hears(kernel, id, start, OrderEvent::Did);
    }

    pub(super) fn write_identity(&self, kernel: &mut Kernel, id: usize) {
        if self.conduct.has(Sabotage::LifelineOfLauncher) && kernel.starts[id].is_alive() {
            kernel.starts[id].unlocked = true;
        }
        let actor = &mut kernel.actors[id];
        let Some(record) = &mut actor.record else { return };
        record.worker = Some(id as StartId);
        let record = *record;
        if Self::is_in_place(kernel, id) && !self.conduct.has(Sabotage::IdentityWhenObserved) {
            kernel.write_record(record);
        }
    }

    pub(super) fn watch_step(&self, kernel: &mut Kernel, id: usize, choice: Choice) {
        let place = kernel.actors[id].place;
        let (answers, socket) = (kernel.answers(place), kernel.socket_at(place));
        let by_listener = self.endpoint.shown_by == ShownBy::Listener;
        let actor = &mut kernel.actors[id];
        let observing = actor.resume.is_some_and(|resume| resume.phase == Phase::Observing);
        let event = match choice {
            Choice::Exit => {
                (actor.noted.exit, actor.may_release) = (true, true);
                resume::Event::ChildExited
            }
            Choice::ExitFails => resume::Event::SeamFailed(Seam::Exit),
            Choice::Socket => {
                (actor.noted.ready, actor.may_release) = (true, true);
                // Nobody connects to a worker that its process shows to be live.
                actor.peer = answers.filter(|_| by_listener);
                actor.trusts_stranger = by_listener && socket == Socket::Stranger;
                resume::Event::SocketAlive
            }
            Choice::Stranger => {
                actor.met_stranger = true;
                resume::Event::SeamFailed(Seam::Socket)
            }
            // Sabotage: claims an exit without an observation.
            Choice::Time if observing && self.conduct.has(Sabotage::TimeoutReleases) => {
                resume::Event::ChildExited
            }
            Choice::Time if observing => {
                actor.late = true;
                resume::Event::TimeoutElapsed
            }
            Choice::Time | Choice::Go | Choice::GiveUp => resume::Event::GraceElapsed,
        };
        self.resume_hears(kernel, id, event);
    }

    /// Gives an event to the machine of a start, and performs the effects.
    pub(super) fn resume_hears(&self, kernel: &mut Kernel, id: usize, event: resume::Event) {
        let Some(resume) = kernel.actors[id].resume else { return };
        let (resume, effects) = resume::step(resume, event);
        let actor = &mut kernel.actors[id];
        actor.resume = Some(resume);
        match resume.phase {
            Phase::Observing | Phase::Ending(_) => actor.sub = Sub::Watch,
            Phase::Done(Conclusion::Retained(_)) => actor.sub = Sub::Settle(Settle::retained()),
            Phase::Idle
            | Phase::Spawning
            | Phase::Releasing(_)
            | Phase::Done(Conclusion::Settled(_) | Conclusion::ReleaseFailed(_)) => {}
        }
        for effect in effects {
            match effect {
                resume::Effect::Kill(how) => {
                    let worker = kernel.actors[id].worker;
                    self.signal(kernel, &worker, how);
                }
                resume::Effect::Release => {
                    let heard = kernel.actors[id].noted.heard();
                    kernel.actors[id].sub = Sub::Settle(Settle::released(heard));
                }
                resume::Effect::Spawn
                | resume::Effect::WatchExit
                | resume::Effect::WatchSocket
                | resume::Effect::StopWatchingSocket
                | resume::Effect::StartTimeout
                | resume::Effect::StartGrace(_) => {}
            }
        }
    }
}

pub(super) fn write_observed(kernel: &mut Kernel, id: usize, heard: Heard) {
    let actor = &kernel.actors[id];
    let Some(mut record) = actor.record else { return };
    match heard {
        Heard::Ready => {
            (record.state, record.observed) = (RecordState::Ready, true);
            record.peer = actor.peer.or(record.peer);
        }
        Heard::Exit | Heard::Nothing => record.state = RecordState::Exited,
    }
    if Setting::is_in_place(kernel, id) {
        kernel.write_record(record);
    }
}

impl Setting {
    /// The end of a start, judged as in production: from the outcome, and from a look at the endpoint afterwards.
    fn ended(&self, kernel: &Kernel, id: usize, resume: Resume, given_up: GivenUp) -> Ended {
        let Actor { place, abandoned, met_stranger, late, .. } = kernel.actors[id];
        let is_taken = matches!(place, Place::Port(_)) && self.room_at(kernel, place) == Room::Taken;
        let stranger = if is_taken { Stranger::Listens } else { Stranger::Absent };
        let met = || WatchError::Stranger { address: Endpoint::None, who: String::new() };
        let timed_out = || Cause::ObserveTimeout { after: Duration::ZERO };
        let release = |observed, source| Err(ExecuteError::Release { observed, source });
        let outcome: Result<Outcome<()>, ExecuteError> = match resume.phase {
            Phase::Done(Conclusion::Settled(Observed::SocketAlive { after_kill })) => {
                Ok(Outcome::SocketAlive { pid: None, connection: (), after_kill: after_kill.as_bool() })
            }
            Phase::Done(Conclusion::Settled(Observed::ChildExited { after_kill })) => {
                // The first cause counts.
                let why = || if met_stranger && !late { Cause::Seam(met()) } else { timed_out() };
                let after_kill = after_kill.as_bool();
                let cause = after_kill.then(why);
                Ok(Outcome::ChildExited { exit: ChildExit::Unknown, pid: None, after_kill, cause })
            }
            Phase::Done(Conclusion::Settled(Observed::SpawnStartFailed)) => {
                let error = match abandoned {
                    true => SpawnError::Abandoned { why: String::new() },
                    false => SpawnError::NoProgram,
                };
                Ok(Outcome::SpawnStartFailed { error })
            }
            Phase::Done(Conclusion::ReleaseFailed(observed)) => {
                let path = PathBuf::new();
                let source = match given_up {
                    GivenUp::Replaced => ReleaseError::DirectoryReplaced { path },
                    GivenUp::NotOurs | GivenUp::Failed | GivenUp::Released | GivenUp::Retained => {
                        ReleaseError::NotHeld { path }
                    }
                };
                release(seen_of(observed), source)
            }
            Phase::Done(Conclusion::Retained(_)) => return Ended::Retained,
            Phase::Idle | Phase::Spawning | Phase::Observing | Phase::Ending(_) | Phase::Releasing(_) => {
                return Ended::ReleaseFailed;
            }
        };
        Ended::of(&outcome, stranger)
    }
}

fn seen_of(observed: Observed) -> Seen {
    match observed {
        Observed::SpawnStartFailed => Seen::SpawnStartFailed,
        Observed::SocketAlive { .. } => Seen::SocketAlive { pid: None },
        Observed::ChildExited { .. } => Seen::ChildExited { exit: ChildExit::Unknown },
    }
}
