//! Each effect of each machine, performed as one step on the simulated kernel.
//!
//! Nothing is decided here: an effect is performed, its answer goes into the machine that asked for it, and the machine
//! says what comes next. Where the kernel leaves open what happens, [`Setting::choices`] offers each possibility.

use super::actor::{Actor, End, Pinned, ReadMark, ReadRecord, Seen, Sub, Task};
use super::kernel::{Kernel, SLOTS};
use super::objects::{ActorId, Files, InodeId, Life, Paper, Process, Record, Role, Socket, StartId};
use super::program::Setting;
use super::sabotage::Sabotage;
use crate::care::{gc, unlock};
use crate::claim::acquire::{self, Acquire, AcquireEffect, AcquireEvent, Judgement, Taken};
use crate::claim::give_up::{GiveUpEffect, GiveUpEvent, GivenUp, Whose};
use crate::claim::{ClaimDecision, ClaimPolicy, Found, HolderEvidence, KeptBy, KernelLock, decide_claim};
use crate::effects::KillSignal;
use crate::ensure::decide::Liveness;
use crate::ensure::{self, Deadline, Ended, Ensure, MayPass, StartKind};
use crate::process::id::Generation;
use crate::process::identity::{DeathProof, Standing};
use crate::session::evidence::{Evidence, LastWorker, Lifeline, LifelineHistory};
use crate::session::plan::KillPolicy;
use crate::session::record::RecordState;
use crate::session::view::assembly::{Assembly, FoundBy, Marked, Recorded};
use crate::session::view::{Contact, RecordIs, View};
use crate::start::order::{self, Begun, Order, OrderEffect, OrderEvent, Room};
use crate::start::resume::{self, Conclusion, Observed, Phase, Resume, Seam};
use crate::start::settle::{self, Heard, Noted, Settle, SettleEffect, SettleEvent};
use crate::stop::session::{self, StopSession};
use crate::stop::{self, Stop, StopEffect, StopEvent, StopPhase, StopStep};

/// Which of several things happens to an actor next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Choice {
    /// It goes on.
    Go,
    /// It has waited long enough.
    GiveUp,
    /// It hears that the worker ended.
    Exit,
    /// It hears that the worker's end cannot be watched.
    ExitFails,
    /// It hears that the socket answers.
    Socket,
    /// It hears that its time is over.
    Time,
}

/// Who left a piece of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Holder;

impl HolderEvidence for Holder {
    fn kept_by(&self) -> KeptBy {
        KeptBy::KernelLock
    }
}

impl Setting {
    /// What may happen to an actor next.
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
            Sub::Watch => self.hear(kernel, &actor.worker, offer),
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

    /// What one that watches may hear next. An exit that can be heard is heard before the time is over.
    fn hear(&self, kernel: &Kernel, worker: &Pinned, mut offer: impl FnMut(Choice)) {
        let are_gone = kernel.are_gone(worker);
        let of_leader = self.conduct.has(Sabotage::ExitOfLeader);
        match worker.lifeline {
            _ if of_leader && are_gone => return offer(Choice::Exit),
            _ if of_leader || !are_gone => {}
            Some(lifeline) if !kernel.is_held(lifeline) => return offer(Choice::Exit),
            Some(_) => {}
            None => offer(Choice::ExitFails),
        }
        if kernel.answers().is_some() {
            offer(Choice::Socket);
        }
        offer(Choice::Time);
    }

    /// One step of an actor.
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
                Task::Dropped | Task::Absent | Task::Done(_) | Task::Crashed => {}
            },
        }
    }

    /// Whether a future can be dropped where an actor is: it awaits something while it holds the claim.
    pub fn can_be_dropped(&self, actor: &Actor) -> bool {
        let Task::Ensure(call) = actor.task else { return false };
        match actor.sub {
            Sub::Watch => true,
            Sub::None => call.holds_claim() && matches!(call.effect(), ensure::Effect::Probe),
            Sub::Acquire(_)
            | Sub::Settle(_)
            | Sub::Order(_)
            | Sub::AwaitChild(_)
            | Sub::ReadMark(_)
            | Sub::Ask(..)
            | Sub::End => false,
        }
    }

    /// The future of an actor is dropped: what it awaited is gone, and its claim is retained.
    pub fn drop_future(&self, kernel: &mut Kernel, id: usize) {
        let actor = &mut kernel.actors[id];
        actor.task = Task::Dropped;
        if self.conduct.has(Sabotage::DroppedLeftHeld) {
            kernel.locks[id] = None;
            *actor = Actor::of(Task::Done(End::Dropped));
            return;
        }
        // Dropping a claim gives it up, and writes nothing into the record.
        actor.record = None;
        actor.sub = Sub::Settle(settle::step(Settle::retained(), SettleEvent::Did));
    }

    fn is_in_place(kernel: &Kernel, id: usize) -> bool {
        kernel.dir.is_some() && kernel.actors[id].dir == kernel.dir
    }

    /// What an actor has locked, or would have.
    fn lock_target(&self, kernel: &Kernel, id: usize) -> Option<InodeId> {
        // Numbers that no directory has.
        let evidence = InodeId::MAX - kernel.evidence_inode;
        if self.conduct.has(Sabotage::LockOnEvidence) { Some(evidence) } else { kernel.actors[id].dir }
    }

    fn is_claimed(&self, kernel: &Kernel, id: usize) -> bool {
        self.lock_target(kernel, id).is_some_and(|target| kernel.is_locked(target))
    }

    fn clear_evidence(&self, kernel: &mut Kernel) {
        kernel.files.evidence = Paper::Absent;
        if self.conduct.has(Sabotage::LockOnEvidence) {
            kernel.evidence_inode += 1;
        }
    }

    /// Unlocks, which takes the lock from every copy of the descriptor.
    fn unlock(kernel: &mut Kernel, id: usize) {
        let Some(lock) = kernel.locks[id].take() else {
            kernel.broken.released_twice = true;
            return;
        };
        if id < SLOTS && kernel.starts[id].claim == Some(lock) {
            kernel.starts[id].claim = None;
        }
    }

    fn acquire_step(&self, kernel: &mut Kernel, id: usize, attempt: Acquire) {
        let event = match attempt.effect() {
            AcquireEffect::Open => {
                let dir = kernel.make_dir();
                // A lock goes with its descriptor.
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
    fn is_taken(&self, kernel: &mut Kernel, id: usize, taken: Taken) {
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
            // It is held by a launcher that lives, and so may pass; nothing else conflicts here.
            (Task::Ensure(_), Taken::Conflict) => {
                self.ensure_hears(kernel, id, ensure::Event::Conflict(MayPass::Yes));
            }
            (Task::Ensure(_), Taken::Failed) => self.ensure_hears(kernel, id, ensure::Event::Failed),
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

    fn settle_step(&self, kernel: &mut Kernel, id: usize, settle: Settle) {
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

    fn give_up(&self, kernel: &mut Kernel, id: usize, effect: GiveUpEffect) -> GiveUpEvent {
        let in_place = Self::is_in_place(kernel, id);
        match effect {
            GiveUpEffect::CheckPlace if in_place => GiveUpEvent::Did,
            GiveUpEffect::CheckPlace => GiveUpEvent::Refused,
            GiveUpEffect::ReadEvidence => GiveUpEvent::Read(match kernel.files.evidence {
                // Whoever removed the directory removed the evidence with it.
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

    /// A claim is given up.
    fn is_given_up(&self, kernel: &mut Kernel, id: usize, given_up: GivenUp) {
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
                    let was_replaced = given_up == GivenUp::Replaced;
                    let ended = ended(resume, actor.abandoned, was_replaced);
                    let deadline = if actor.late { Deadline::Passed } else { Deadline::Ahead };
                    self.ensure_hears(kernel, id, ensure::Event::Ended(ended, deadline));
                }
                (ensure::Effect::ClearClaim, _) => self.ensure_hears(kernel, id, ensure::Event::Did),
                (_, _) if is_released => self.ensure_hears(kernel, id, ensure::Event::Did),
                (_, _) => self.ensure_hears(kernel, id, ensure::Event::Failed),
            },
            Task::Stop(_) => self.stop_hears(kernel, id, session::Event::Did),
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

    fn ensure_step(&self, kernel: &mut Kernel, id: usize, call: Ensure, choice: Choice) {
        use ensure::{Effect as Fx, Event as Ev};
        let event = match call.effect() {
            Fx::Look => {
                kernel.actors[id].seen = self.look(kernel, kernel.files);
                Ev::Looked(kernel.actors[id].seen.view)
            }
            Fx::CheckTarget | Fx::Pause => Ev::Did,
            // Whoever connects learns at once whom.
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
                actor.record = completed(&actor.seen);
                actor.noted = Noted { exit: false, ready: true };
                let settle = Settle::released(actor.noted.heard());
                actor.sub = Sub::Settle(settle);
                return self.settle_step(kernel, id, settle);
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

    fn ensure_hears(&self, kernel: &mut Kernel, id: usize, event: ensure::Event) {
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
            | ensure::Effect::Start(_)
            | ensure::Effect::Release
            | ensure::Effect::Pause
            | ensure::Effect::AwaitAnswer => Task::Ensure(call),
        };
        // What a call learned is of no use once it begins anew, or is over. A descriptor that it may still have open holds
        // no lock then.
        if !call.holds_claim() {
            let late = actor.late;
            *actor = Actor { late: late && !matches!(task, Task::Done(_)), ..Actor::of(task) };
        } else {
            actor.task = task;
        }
    }

    fn begin_start(&self, kernel: &mut Kernel, id: usize, kind: StartKind) {
        let begun = resume::step(Resume::new(&KillPolicy::default()), resume::Event::Begin).0;
        let actor = &mut kernel.actors[id];
        actor.may_release = false;
        actor.peer = None;
        actor.noted = Noted::default();
        actor.abandoned = false;
        match kind {
            StartKind::Fresh => {
                let generation = actor.seen.generation() + 1;
                actor.worker = Pinned { generation, ..Pinned::NOBODY };
                actor.record = None;
                actor.resume = Some(begun);
                actor.sub = Sub::Order(Order::default());
                self.order_step(kernel, id, Order::default());
            }
            StartKind::Adopted | StartKind::AdoptedConnected | StartKind::Attached => {
                actor.worker = actor.seen.pin(actor.seen.lifeline);
                actor.record = completed(&actor.seen);
                actor.resume = Some(resume::step(begun, resume::Event::SpawnStarted).0);
                actor.sub = Sub::Watch;
            }
        }
    }

    fn order_step(&self, kernel: &mut Kernel, id: usize, start: Order) {
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
            OrderEffect::LookAtSocket => OrderEvent::Room(room(kernel)),
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

    fn order_hears(&self, kernel: &mut Kernel, id: usize, start: Order, event: OrderEvent) {
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

    fn fork(&self, kernel: &mut Kernel, id: usize) {
        let claim = kernel.locks[id];
        let Actor { worker, dir, .. } = kernel.actors[id];
        let of_launcher = self.conduct.has(Sabotage::LifelineOfLauncher);
        let start = &mut kernel.starts[id];
        (start.generation, start.claim, start.executed) = (worker.generation, claim, false);
        (start.inode, start.dir) = (worker.lifeline.unwrap_or(id as InodeId), dir);
        (start.left, start.observed, start.unlocked) = (false, false, false);
        start.leader = Life::born(of_launcher);
        start.second = Life::Unborn;
    }

    /// The launcher was suspended until the child had executed its program or ended.
    fn child_is_there(&self, kernel: &mut Kernel, id: usize, start: Order) {
        if !kernel.starts[id].executed {
            kernel.actors[id].abandoned = kernel.starts[id].left;
            return self.order_hears(kernel, id, start, OrderEvent::Failed);
        }
        let worker = &mut kernel.actors[id].worker;
        (worker.leader, worker.ours) = (Some(id as StartId), true);
        self.order_hears(kernel, id, start, OrderEvent::Did);
    }

    fn write_identity(&self, kernel: &mut Kernel, id: usize) {
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

    fn watch_step(&self, kernel: &mut Kernel, id: usize, choice: Choice) {
        let answers = kernel.answers();
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
                actor.peer = answers;
                resume::Event::SocketAlive
            }
            // What was not seen is claimed to have been.
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

    /// Tells the machine of a start, and performs what it answers.
    fn resume_hears(&self, kernel: &mut Kernel, id: usize, event: resume::Event) {
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

    fn stop_step(&self, kernel: &mut Kernel, id: usize, stop: StopSession, choice: Choice) {
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
            Fx::Probe => Ev::Probed(probe(kernel)),
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
            Fx::End => {
                // A background worker's stdin is nobody's: there is no time for it.
                kernel.actors[id].stop = Some(stop::step(Stop::new(), StopEvent::Begin).0);
                kernel.actors[id].sub = Sub::End;
                return self.end_hears(kernel, id, StopEvent::GraceElapsed);
            }
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

    fn stop_hears(&self, kernel: &mut Kernel, id: usize, event: session::Event) {
        let actor = &mut kernel.actors[id];
        let Task::Stop(stop) = actor.task else { return };
        let stop = session::step(stop, event);
        actor.sub = Sub::None;
        actor.stop = None;
        match stop.effect() {
            session::Effect::Done(conclusion) => *actor = Actor::of(Task::Done(End::Stop(conclusion))),
            // Nothing that was seen before is used again.
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

    fn end_hears(&self, kernel: &mut Kernel, id: usize, event: StopEvent) {
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
            self.stop_hears(kernel, id, session::Event::Ended(end));
        }
    }

    /// Locks the directory that has the session's name.
    fn bare_lock(&self, kernel: &mut Kernel, id: usize) -> bool {
        kernel.actors[id].dir = kernel.dir;
        if kernel.dir.is_none() || self.is_claimed(kernel, id) {
            return false;
        }
        kernel.locks[id] = self.lock_target(kernel, id);
        true
    }

    fn unlock_step(&self, kernel: &mut Kernel, id: usize, unlock: unlock::Unlock) {
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

    fn collect_step(&self, kernel: &mut Kernel, id: usize, collect: gc::Collect) {
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
            // Every file can be read, no run is wanted, and no file is another's.
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

    /// The files of the directory that an actor has open.
    fn files_of(&self, kernel: &Kernel, id: usize) -> Files {
        if Self::is_in_place(kernel, id) { kernel.files } else { Files::NONE }
    }

    /// The lifeline that has the name, or one of this session that somebody is seen to hold.
    fn open_lifeline(&self, kernel: &Kernel) -> Option<InodeId> {
        let searched = !self.conduct.has(Sabotage::LostLifelineUnsearched);
        kernel.files.lifeline.or_else(|| kernel.lost_lifeline().filter(|_| searched))
    }

    /// Reads everything at one instant, and writes a lost record anew.
    fn look_under_claim(&self, kernel: &mut Kernel, id: usize) -> Seen {
        let files = self.files_of(kernel, id);
        let seen = self.look(kernel, files);
        let by_record = self.conduct.has(Sabotage::GoneByRecord);
        let lifeline = seen.lifeline.filter(|inode| kernel.is_held(*inode) && !by_record);
        let mark = lifeline.and_then(|inode| kernel.marks[usize::from(inode)]);
        let (Some(worker), None, true) = (mark, files.record, Self::is_in_place(kernel, id)) else {
            return seen;
        };
        let generation = kernel.starts[usize::from(worker)].generation;
        let (state, observed) = (RecordState::Ready, true);
        kernel.write_record(Record { state, generation, worker: Some(worker), peer: None, observed });
        self.look(kernel, kernel.files)
    }

    /// Reads everything at one instant.
    pub fn look(&self, kernel: &Kernel, files: Files) -> Seen {
        let lifeline = files.lifeline.or_else(|| self.open_lifeline(kernel));
        let mark = lifeline.and_then(|inode| kernel.marks[usize::from(inode)]);
        self.assemble(kernel, files.record, mark, lifeline)
    }

    /// Puts together what was read: the record and the mark earlier, the lifeline and the processes now.
    fn assemble(
        &self,
        kernel: &Kernel,
        record: Option<Record>,
        mark: Option<StartId>,
        lifeline: Option<InodeId>,
    ) -> Seen {
        let by_record = self.conduct.has(Sabotage::GoneByRecord);
        let asked = match lifeline {
            _ if by_record => Lifeline::Free,
            None => Lifeline::Missing,
            Some(inode) if kernel.is_held(inode) => Lifeline::Held,
            Some(_) => Lifeline::Free,
        };
        let mark = mark.filter(|_| !by_record).map(|start| read_mark(kernel, start));
        let is_named = lifeline.is_some() && lifeline == kernel.files.lifeline;
        let found_by = if is_named { FoundBy::Name } else { FoundBy::Search };
        let assembly = Assembly::new(record.map_or(ReadRecord::ABSENT, read_record), (asked, found_by), mark);
        let lifeline = lifeline.filter(|_| assembly.lifeline() != Lifeline::Missing);
        let standing = |process: Process| match kernel.life(process) {
            Life::Alive { .. } => Standing::Alive,
            Life::Unborn | Life::Dead => Standing::Dead(DeathProof::NoSuchProcess),
        };
        let evidence = assembly.evidence(assembly.leader.map(standing), assembly.peer.map(standing));
        let mut view = assembly.view(&evidence, Contact::Connect);
        view.last = self.believed(kernel, &evidence, view);
        Seen { record, lifeline, leader: assembly.leader.map(|process| process.start), view }
    }

    /// What the last worker is taken for.
    fn believed(&self, kernel: &Kernel, evidence: &Evidence, view: View) -> LastWorker {
        let exited = evidence.recorded == Some(RecordState::Exited);
        let is_silent = kernel.answers().is_none();
        if (self.conduct.has(Sabotage::GoneByExitedRecord) && exited)
            || (self.conduct.has(Sabotage::GoneByRefusedConnect) && is_silent)
        {
            LastWorker::Gone
        } else {
            view.last
        }
    }

    /// What a stop takes a look for.
    fn stop_view(&self, view: View) -> View {
        let careless =
            self.conduct.has(Sabotage::StopPinsOpenedOnce) || self.conduct.has(Sabotage::StopPinsByName);
        let coherence = if careless { crate::session::view::Coherence::OneStart } else { view.coherence };
        View { coherence, ..view }
    }
}

/// Whether a task waits for something that may never come.
fn waits(task: &Task) -> bool {
    match task {
        Task::Ensure(call) => {
            matches!(call.effect(), ensure::Effect::AwaitClaim | ensure::Effect::AwaitAnswer)
        }
        Task::Stop(stop) => stop.effect() == session::Effect::Pause,
        Task::Unlock(_) | Task::Collect(_) | Task::Dropped | Task::Absent | Task::Done(_) | Task::Crashed => {
            false
        }
    }
}

fn judge_claim(kernel: &Kernel) -> ClaimDecision<Holder> {
    let (found, holder) = match kernel.files.evidence {
        Paper::Absent => (Found::Nothing, None),
        Paper::Held(actor) => (Found::Held(Holder), Some(actor)),
        Paper::Retained(actor) => (Found::Retained(Holder), Some(actor)),
    };
    let is_dead = |actor: ActorId| kernel.actors[usize::from(actor)].task == Task::Crashed;
    let standing = match holder {
        Some(actor) if is_dead(actor) => Standing::Dead(DeathProof::NoSuchProcess),
        Some(_) | None => Standing::Alive,
    };
    decide_claim(ClaimPolicy::dispatch(), KernelLock::Free, found, standing)
}

fn probe(kernel: &Kernel) -> Liveness {
    if kernel.answers().is_some() { Liveness::Live } else { Liveness::Dormant }
}

fn room(kernel: &Kernel) -> Room {
    match kernel.socket {
        Socket::Absent => Room::Free,
        Socket::Stale | Socket::Bound(_) => Room::Stale,
        Socket::Listening(_) => Room::Taken,
    }
}

fn read_record(record: Record) -> ReadRecord {
    let leader = |start| Process { start, role: Role::Leader };
    let was_observed = record.observed.then_some(LifelineHistory::NotKnown);
    Recorded {
        is: if record.worker.is_some() { RecordIs::NamesWorker } else { RecordIs::NamesNobody },
        generation: Some(Generation::new(u64::from(record.generation))),
        nonce: None,
        state: Some(record.state),
        start_observed: record.observed,
        history: was_observed,
        worker: record.worker.map(leader),
        peer: record.peer,
    }
}

fn read_mark(kernel: &Kernel, start: StartId) -> ReadMark {
    let generation = Generation::new(u64::from(kernel.starts[usize::from(start)].generation));
    Marked { generation, nonce: None, worker: Process { start, role: Role::Leader } }
}

/// The record that was seen, with the worker that its mark names.
fn completed(seen: &Seen) -> Option<Record> {
    seen.record.map(|record| Record { worker: record.worker.or(seen.leader), ..record })
}

fn write_observed(kernel: &mut Kernel, id: usize, heard: Heard) {
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

fn ended(resume: Resume, abandoned: bool, was_replaced: bool) -> Ended {
    match resume.phase {
        Phase::Done(Conclusion::Settled(Observed::SocketAlive { .. })) => Ended::Ready,
        Phase::Done(Conclusion::Settled(Observed::ChildExited { .. })) => Ended::Exited,
        Phase::Done(Conclusion::Settled(Observed::SpawnStartFailed)) if abandoned => Ended::Abandoned,
        Phase::Done(Conclusion::Settled(Observed::SpawnStartFailed)) => Ended::NotStarted,
        Phase::Done(Conclusion::ReleaseFailed(Observed::SpawnStartFailed)) if was_replaced => {
            Ended::Abandoned
        }
        Phase::Done(Conclusion::ReleaseFailed(_)) => Ended::ReleaseFailed,
        Phase::Done(Conclusion::Retained(_)) => Ended::Retained,
        Phase::Idle | Phase::Spawning | Phase::Observing | Phase::Ending(_) | Phase::Releasing(_) => {
            Ended::ReleaseFailed
        }
    }
}
