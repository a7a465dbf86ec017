//! The start or adoption after the verdict, as `adapters/src/start/progress.rs` does: the order of a start, what is watched,
//! and what is written down before the claim goes.

use super::launcher::{At, Choice, End};
use super::promises::Promise;
use super::protocol::{
    Completion, ExitBelieved, Identity, LifelineLock, Lifelines, Model, RecordWritten, StaleSocket, Timeout,
};
use super::survey::Pinned;
use super::world::{Actor, InodeId, Life, Process, Record, Socket, StartId, World};
use rekindle_core::resume::{Conclusion, Effect, Event, Observed, Phase, Resume, Seam, step};
use rekindle_core::{KillPolicy, RecordState};

/// A start in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Started {
    how: How,
    /// The core's machine.
    resume: Option<Resume>,
    /// The record, as this launcher remembers it.
    record: Option<Record>,
    /// Whom it watches.
    worker: Pinned,
    /// The process whose answer was heard.
    peer: Option<Process>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum How {
    Fresh,
    Adopted,
    Attached,
    Rejected,
}

const NOBODY: Pinned = Pinned { leader: None, peer: None, lifeline: None, generation: 0, ours: false };

impl Started {
    /// A start of `generation`.
    pub fn fresh(generation: u8) -> Self {
        let worker = Pinned { generation, ..NOBODY };
        Self { how: How::Fresh, resume: Some(begin()), record: None, worker, peer: None }
    }

    /// A worker whose launcher is gone, watched from now on.
    pub fn adopted(worker: Pinned, record: Option<Record>) -> Self {
        let resume = Some(step(begin(), Event::SpawnStarted).0);
        Self { how: How::Adopted, resume, record, worker, peer: None }
    }

    /// A worker that answers, whose record is to be completed.
    pub fn attached(record: Record) -> Self {
        Self { how: How::Attached, resume: None, record: Some(record), worker: NOBODY, peer: None }
    }

    /// Nothing.
    pub fn rejected() -> Self {
        Self { how: How::Rejected, resume: None, record: None, worker: NOBODY, peer: None }
    }

    /// How the launcher ends.
    pub fn end(&self) -> End {
        let observed = self.resume.map(|resume| resume.phase);
        match (self.how, observed) {
            (How::Attached, _)
            | (How::Fresh | How::Adopted, Some(Phase::Releasing(Observed::SocketAlive { .. }))) => {
                End::Running
            }
            (How::Rejected, _) => End::Rejected,
            (How::Fresh | How::Adopted, _) => End::Otherwise,
        }
    }

    /// The record after what was heard.
    fn complete(&self) -> Option<Record> {
        let Some(resume) = self.resume else { return self.record };
        let mut record = self.record?;
        match resume.phase {
            Phase::Releasing(Observed::SocketAlive { .. }) => {
                (record.state, record.observed) = (RecordState::Ready, true);
                record.peer = self.peer.or(record.peer);
            }
            // Only a wrong protocol comes here without having heard anything.
            Phase::Idle
            | Phase::Spawning
            | Phase::Observing
            | Phase::Ending(_)
            | Phase::Releasing(Observed::SpawnStartFailed | Observed::ChildExited { .. })
            | Phase::Done(_) => record.state = RecordState::Exited,
        }
        Some(record)
    }

    fn exited(&self) -> bool {
        let phase = self.resume.map(|resume| resume.phase);
        matches!(phase, Some(Phase::Releasing(Observed::ChildExited { .. })))
    }
}

fn begin() -> Resume {
    step(Resume::new(&KillPolicy::default()), Event::Begin).0
}

impl Model {
    /// What a launcher that watches may hear next. An exit that can be heard is heard before the time is over.
    pub fn hear(&self, world: &World, launcher: usize, mut offer: impl FnMut(Choice)) {
        let Some(started) = world.launchers[launcher].started else { return };
        let worker = &started.worker;
        let exited = match self.protocol.exit {
            ExitBelieved::OfTheLeader => worker.processes_are_gone(world).then_some(true),
            ExitBelieved::WithItsLifeline if !worker.processes_are_gone(world) => None,
            ExitBelieved::WithItsLifeline => match worker.lifeline {
                Some(lifeline) => (!world.is_held(lifeline)).then_some(true),
                None => Some(false),
            },
        };
        match exited {
            Some(true) => return offer(Choice::Exit),
            Some(false) => offer(Choice::ExitFails),
            None => {}
        }
        if world.answers().is_some() {
            offer(Choice::Socket);
        }
        offer(Choice::Time);
    }

    /// One step of a start.
    pub fn start_step(&self, world: &mut World, launcher: usize, choice: Choice) {
        let this = &mut world.launchers[launcher];
        let Some(started) = &mut this.started else { return };
        match this.at {
            At::RenewLifeline => {
                this.at = At::LookAtSocket;
                self.renew_lifeline(world, launcher);
            }
            At::LookAtSocket if self.protocol.stale_socket == StaleSocket::Left => this.at = self.described(),
            At::LookAtSocket => match world.socket {
                Socket::Listening(_) => self.tell(world, launcher, Event::SpawnFailed),
                Socket::Absent => this.at = self.described(),
                Socket::Stale | Socket::Bound(_) => this.at = At::RemoveSocket,
            },
            At::RemoveSocket => {
                this.at = self.described();
                world.socket = Socket::Absent;
            }
            At::WriteStarting => {
                started.record = Some(Record {
                    state: RecordState::Starting,
                    generation: started.worker.generation,
                    worker: None,
                    peer: None,
                    observed: false,
                });
                this.at = match self.protocol.record {
                    RecordWritten::BeforeFork => At::Fork,
                    RecordWritten::AfterFork => At::WriteWorker,
                };
                let record = started.record;
                world.write_record(record);
            }
            At::Fork => {
                this.at = At::AwaitChild;
                self.fork(world, launcher);
            }
            At::AwaitChild => self.child_is_there(world, launcher),
            At::WriteWorker => self.write_worker(world, launcher),
            At::Watch => self.watch(world, launcher, choice),
            At::WriteObserved => self.write_observed(world, launcher),
            At::LookAtDeadSocket => {
                this.at = match world.socket {
                    Socket::Stale | Socket::Bound(_) => At::RemoveDeadSocket,
                    Socket::Absent | Socket::Listening(_) => At::RemoveEvidence,
                }
            }
            At::RemoveDeadSocket => {
                this.at = At::RemoveEvidence;
                world.socket = Socket::Absent;
            }
            At::WriteRetained => {
                this.at = At::MarkRetained;
                let retained = started.record.map(|record| Record { state: RecordState::Retained, ..record });
                world.write_record(retained);
            }
            _ => {}
        }
    }

    fn described(&self) -> At {
        match self.protocol.record {
            RecordWritten::BeforeFork => At::WriteStarting,
            RecordWritten::AfterFork => At::Fork,
        }
    }

    fn renew_lifeline(&self, world: &mut World, launcher: usize) {
        let inode = match (self.protocol.lifeline, world.lifeline) {
            (Lifelines::Reused, Some(inode)) => inode,
            (Lifelines::Fresh | Lifelines::Reused, _) => launcher as InodeId,
        };
        world.lifeline = Some(inode);
        world.starts[launcher].inode = inode;
        if let Some(started) = &mut world.launchers[launcher].started {
            started.worker.lifeline = Some(inode);
        }
    }

    fn fork(&self, world: &mut World, launcher: usize) {
        let claim = world.locks[launcher];
        let generation = world.launchers[launcher].started.map_or(0, |started| started.worker.generation);
        let start = &mut world.starts[launcher];
        (start.generation, start.claim, start.executed) = (generation, claim, false);
        start.leader = Life::born(self.protocol.lifeline_lock == LifelineLock::Launchers);
        start.second = Life::Unborn;
    }

    /// The launcher was suspended until the child had executed its program or ended.
    fn child_is_there(&self, world: &mut World, launcher: usize) {
        if !world.starts[launcher].executed {
            return self.tell(world, launcher, Event::SpawnFailed);
        }
        let this = &mut world.launchers[launcher];
        if let Some(started) = &mut this.started {
            (started.worker.leader, started.worker.ours) = (Some(launcher as StartId), true);
        }
        this.at = match self.protocol.record {
            RecordWritten::BeforeFork => At::WriteWorker,
            RecordWritten::AfterFork => At::WriteStarting,
        };
    }

    fn write_worker(&self, world: &mut World, launcher: usize) {
        if self.protocol.lifeline_lock == LifelineLock::Launchers && world.starts[launcher].is_alive() {
            world.starts[launcher].unlocked = true;
        }
        let this = &mut world.launchers[launcher];
        let Some(started) = &mut this.started else { return };
        if let Some(record) = &mut started.record {
            record.worker = Some(launcher as StartId);
        }
        started.resume = started.resume.map(|resume| step(resume, Event::SpawnStarted).0);
        this.at = At::Watch;
        let written = started.record.filter(|_| self.protocol.identity == Identity::OnceItRuns);
        world.write_record(written);
    }

    fn watch(&self, world: &mut World, launcher: usize, choice: Choice) {
        let answers = world.answers();
        let this = &mut world.launchers[launcher];
        let Some(started) = &mut this.started else { return };
        let observing = started.resume.is_some_and(|resume| resume.phase == Phase::Observing);
        let event = match choice {
            Choice::Exit => Event::ChildExited,
            Choice::ExitFails => Event::SeamFailed(Seam::Exit),
            Choice::Socket => {
                started.peer = answers;
                Event::SocketAlive
            }
            Choice::Time if observing => {
                this.late = true;
                Event::TimeoutElapsed
            }
            Choice::Time | Choice::Go | Choice::GiveUp => Event::GraceElapsed,
        };
        if event == Event::TimeoutElapsed && self.protocol.timeout == Timeout::Releases {
            this.at = At::RemoveEvidence;
            return;
        }
        self.tell(world, launcher, event);
    }

    /// Tells the core's machine, and performs what it answers.
    fn tell(&self, world: &mut World, launcher: usize, event: Event) {
        let Some(mut started) = world.launchers[launcher].started else { return };
        let Some(resume) = started.resume else { return };
        let (resume, effects) = step(resume, event);
        started.resume = Some(resume);
        let this = &mut world.launchers[launcher];
        this.started = Some(started);
        if let Phase::Done(Conclusion::Retained(_)) = resume.phase {
            this.at = At::WriteRetained;
        }
        for effect in effects {
            match effect {
                Effect::Kill(how) => self.signal(world, &started.worker, how),
                Effect::Release => {
                    let this = &mut world.launchers[launcher];
                    this.may_release = true;
                    this.again = started.how == How::Adopted && started.exited();
                    this.at = match self.protocol.completion {
                        Completion::UnderTheClaim => At::WriteObserved,
                        Completion::Afterwards => At::RemoveEvidence,
                    };
                }
                Effect::Spawn
                | Effect::WatchExit
                | Effect::WatchSocket
                | Effect::StopWatchingSocket
                | Effect::StartTimeout
                | Effect::StartGrace(_) => {}
            }
        }
    }

    fn write_observed(&self, world: &mut World, launcher: usize) {
        let Some(started) = world.launchers[launcher].started else { return };
        world.write_record(started.complete());
        let this = &mut world.launchers[launcher];
        this.at = match self.protocol.completion {
            Completion::Afterwards if started.resume.is_some() => return this.is_released(),
            Completion::UnderTheClaim | Completion::Afterwards if started.exited() => At::LookAtDeadSocket,
            Completion::UnderTheClaim | Completion::Afterwards => At::RemoveEvidence,
        };
    }

    /// Removes the evidence of a launcher, if it still is its own.
    pub fn remove_evidence(&self, world: &mut World, launcher: usize) {
        World::remove_evidence(world, self, launcher as Actor);
        world.launchers[launcher].at = At::Unlock;
    }

    /// Gives up the lock of a launcher.
    pub fn release(&self, world: &mut World, launcher: usize) {
        world.unlock(launcher as Actor);
        if !world.launchers[launcher].may_release {
            world.broken.add(Promise::ReleasedOnAnObservation);
        }
        let this = &mut world.launchers[launcher];
        let left_to_write = this.started.is_some_and(|started| started.resume.is_some());
        if self.protocol.completion == Completion::Afterwards && left_to_write {
            this.at = At::WriteObserved;
        } else {
            this.is_released();
        }
    }
}
