//! One `ensure` up to its verdict, as `rekindle/src/ensure.rs` does: look without a lock, take the claim, look again,
//! decide.

use super::protocol::{GoneBy, Model};
use super::start::Started;
use super::survey::Survey;
use super::world::{Actor, InodeId, Paper, World};
use rekindle_core::claim::KernelLock;
use rekindle_core::{ClaimDecision, Finding, Intent, LastWorker, RecordState, Verdict, decide};

/// A launcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Launcher {
    /// What it does next.
    pub at: At,
    /// What it takes the claim for.
    pub purpose: Purpose,
    /// What it learned under the claim.
    pub survey: Survey,
    /// The lifeline that it opened under the claim.
    pub lifeline: Option<InodeId>,
    /// Its start or adoption, once there is one.
    pub started: Option<Started>,
    /// Whether its deadline has passed.
    pub late: bool,
    /// Whether the claim may be released: something was observed, or nothing was begun.
    pub may_release: bool,
    /// Whether it begins anew once the claim is released.
    pub again: bool,
}

/// What a launcher takes the claim for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To decide about the session.
    Decide,
    /// To clear a claim that was left behind by the launcher of a worker that answers.
    Clear,
}

/// What a launcher does next. Each is one step that nobody can see half of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum At {
    /// Nothing; it does not take part yet.
    Absent,
    /// Looks at the record and the evidence, without a lock.
    Look,
    /// Connects, without a lock.
    Connect,
    /// Looks whether a claim was left behind, without a lock.
    Inspect,
    /// Tries to lock.
    Lock,
    /// Reads the evidence of the claim.
    ReadEvidence,
    /// Unlocks, since the claim is not its to take.
    LetGo,
    /// Puts its evidence in place.
    WriteEvidence,
    /// Looks at everything, under the claim.
    Survey,
    /// Connects under the claim, and decides.
    Decide,
    /// Puts a fresh lifeline in place (1).
    RenewLifeline,
    /// Looks at the stale socket (2).
    LookAtSocket,
    /// Removes it (2).
    RemoveSocket,
    /// Writes the record (3).
    WriteStarting,
    /// Forks (4).
    Fork,
    /// Waits until the child has executed its program or ended (5 to 8).
    AwaitChild,
    /// Completes the record (9).
    WriteWorker,
    /// Watches (10).
    Watch,
    /// Writes down what was observed.
    WriteObserved,
    /// Looks at the socket of a worker that ended.
    LookAtDeadSocket,
    /// Removes it.
    RemoveDeadSocket,
    /// Removes its evidence.
    RemoveEvidence,
    /// Unlocks.
    Unlock,
    /// Writes down that nothing could be observed.
    WriteRetained,
    /// Marks its evidence retained.
    MarkRetained,
    /// Unlocks, and keeps the evidence.
    UnlockRetained,
    /// Nothing more.
    Done(End),
    /// Nothing more: it was killed.
    Crashed,
}

/// How a launcher ended. Only the one that comes afterwards needs to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// With a worker that answers.
    Running,
    /// With a refusal.
    Rejected,
    /// Otherwise.
    Otherwise,
}

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

impl Launcher {
    /// A launcher that knows nothing.
    pub const fn at(at: At) -> Self {
        Self {
            at,
            purpose: Purpose::Decide,
            survey: Survey::NOTHING,
            lifeline: None,
            started: None,
            late: false,
            may_release: false,
            again: false,
        }
    }

    /// Whether it has anything left to do.
    pub fn is_over(&self) -> bool {
        matches!(self.at, At::Absent | At::Done(_) | At::Crashed)
    }

    /// Whether the evidence in place has to be its own.
    pub fn holds_evidence(&self) -> bool {
        match self.at {
            At::Survey
            | At::Decide
            | At::RenewLifeline
            | At::LookAtSocket
            | At::RemoveSocket
            | At::WriteStarting
            | At::Fork
            | At::AwaitChild
            | At::WriteWorker
            | At::Watch
            | At::WriteObserved
            | At::LookAtDeadSocket
            | At::RemoveDeadSocket
            | At::RemoveEvidence
            | At::WriteRetained
            | At::MarkRetained
            | At::UnlockRetained => true,
            At::Absent
            | At::Look
            | At::Connect
            | At::Inspect
            | At::Lock
            | At::ReadEvidence
            | At::LetGo
            | At::WriteEvidence
            | At::Unlock
            | At::Done(_)
            | At::Crashed => false,
        }
    }

    /// Whether it awaits something while it holds the claim, so that its future can be dropped there.
    pub fn can_be_dropped(&self) -> bool {
        matches!(self.at, At::Decide | At::Watch)
    }

    /// Forgets everything but where it is.
    fn goes_to(&mut self, at: At) {
        *self = Self { late: self.late && at == At::Look, ..Self::at(at) };
    }
}

impl Model {
    /// What may happen to a launcher next.
    pub fn choices(&self, world: &World, launcher: usize, mut offer: impl FnMut(Choice)) {
        match world.launchers[launcher].at {
            At::Absent | At::Done(_) | At::Crashed => {}
            At::Lock if world.is_locked() => {
                offer(Choice::Go);
                offer(Choice::GiveUp);
            }
            At::LetGo => {
                offer(Choice::Go);
                offer(Choice::GiveUp);
            }
            At::AwaitChild => {
                let start = world.start(launcher);
                if start.executed || !start.is_alive() {
                    offer(Choice::Go);
                }
            }
            At::Watch => self.hear(world, launcher, offer),
            At::Look
            | At::Connect
            | At::Inspect
            | At::Lock
            | At::ReadEvidence
            | At::WriteEvidence
            | At::Survey
            | At::Decide
            | At::RenewLifeline
            | At::LookAtSocket
            | At::RemoveSocket
            | At::WriteStarting
            | At::Fork
            | At::WriteWorker
            | At::WriteObserved
            | At::LookAtDeadSocket
            | At::RemoveDeadSocket
            | At::RemoveEvidence
            | At::Unlock
            | At::WriteRetained
            | At::MarkRetained
            | At::UnlockRetained => offer(Choice::Go),
        }
    }

    /// One step of a launcher.
    pub fn launcher_step(&self, world: &mut World, launcher: usize, choice: Choice) {
        let actor = launcher as Actor;
        let this = &mut world.launchers[launcher];
        match this.at {
            At::Look => self.look(world, launcher),
            At::Connect => match world.answers() {
                Some(_) => world.launchers[launcher].goes_to(At::Inspect),
                None => world.launchers[launcher].goes_to(At::Lock),
            },
            At::Inspect if world.evidence == Paper::Absent => this.goes_to(At::Done(End::Running)),
            At::Inspect => {
                this.goes_to(At::Lock);
                this.purpose = Purpose::Clear;
            }
            At::Lock | At::ReadEvidence | At::LetGo | At::WriteEvidence => {
                self.take_claim(world, launcher, choice);
            }
            At::Survey => {
                let survey = Survey::take(self, world);
                let this = &mut world.launchers[launcher];
                (this.survey, this.lifeline, this.at) = (survey, world.lifeline, At::Decide);
            }
            At::Decide => self.decide(world, launcher),
            At::RemoveEvidence => self.remove_evidence(world, launcher),
            At::Unlock => self.release(world, launcher),
            At::MarkRetained => {
                if world.evidence == Paper::Held(actor) {
                    world.evidence = Paper::Retained(actor);
                }
                world.launchers[launcher].at = At::UnlockRetained;
            }
            At::UnlockRetained => {
                world.unlock(actor);
                world.launchers[launcher].goes_to(At::Done(End::Otherwise));
            }
            At::RenewLifeline
            | At::LookAtSocket
            | At::RemoveSocket
            | At::WriteStarting
            | At::Fork
            | At::AwaitChild
            | At::WriteWorker
            | At::Watch
            | At::WriteObserved
            | At::LookAtDeadSocket
            | At::RemoveDeadSocket
            | At::WriteRetained => self.start_step(world, launcher, choice),
            At::Absent | At::Done(_) | At::Crashed => {}
        }
    }

    /// Step 2 of an `ensure`.
    fn take_claim(&self, world: &mut World, launcher: usize, choice: Choice) {
        let actor = launcher as Actor;
        match world.launchers[launcher].at {
            At::Lock => {
                let kernel = world.try_lock(actor);
                let decision = world.judge_claim(kernel);
                let this = &mut world.launchers[launcher];
                match (kernel, decision) {
                    (KernelLock::Free, _) => this.at = At::ReadEvidence,
                    (KernelLock::Held, ClaimDecision::Conflict { .. }) => this.waits(choice),
                    // Only a wrong decision comes here.
                    (KernelLock::Held, ClaimDecision::Fresh | ClaimDecision::TakeOver { .. }) => {
                        this.at = At::WriteEvidence;
                    }
                }
            }
            At::ReadEvidence => {
                let decision = world.judge_claim(KernelLock::Free);
                world.launchers[launcher].at = match decision {
                    ClaimDecision::Fresh | ClaimDecision::TakeOver { .. } => At::WriteEvidence,
                    ClaimDecision::Conflict { .. } => At::LetGo,
                };
            }
            At::LetGo => {
                world.unlock(actor);
                // It is held by a launcher that lives, and so may pass; nothing else conflicts here.
                world.launchers[launcher].waits(choice);
            }
            At::WriteEvidence => {
                world.write_evidence(actor);
                let this = &mut world.launchers[launcher];
                if this.purpose == Purpose::Clear {
                    (this.at, this.may_release) = (At::RemoveEvidence, true);
                } else {
                    this.at = At::Survey;
                }
            }
            _ => {}
        }
    }

    fn look(&self, world: &mut World, launcher: usize) {
        let survey = Survey::take(self, world);
        let ready = survey.record.is_some_and(|record| record.state == RecordState::Ready);
        let this = &mut world.launchers[launcher];
        this.at = if ready && survey.may_answer() { At::Connect } else { At::Lock };
    }

    /// Steps 3 and 4 of an `ensure`.
    fn decide(&self, world: &mut World, launcher: usize) {
        let answers = world.answers();
        let this = &mut world.launchers[launcher];
        let last = match self.protocol.gone {
            GoneBy::RefusedConnect => LastWorker::Gone,
            GoneBy::Evidence | GoneBy::Record | GoneBy::ExitedRecord => this.survey.last,
        };
        let finding = if answers.is_some() { Finding::Live } else { Finding::Dormant(last) };
        match decide(Intent::Ensure, finding) {
            Verdict::Attach => {
                this.may_release = true;
                let survey = this.survey;
                let unfinished = survey.record.filter(|record| {
                    survey.may_answer() && (record.state != RecordState::Ready || record.worker.is_none())
                });
                this.started = unfinished.map(|mut record| {
                    record.worker = record.worker.or(survey.leader);
                    (record.state, record.observed) = (RecordState::Ready, true);
                    record.peer = answers.or(record.peer);
                    Started::attached(record)
                });
                this.at = if this.started.is_some() { At::WriteObserved } else { At::RemoveEvidence };
            }
            Verdict::Spawn => {
                let generation = this.survey.generation + 1;
                this.started = Some(Started::fresh(generation));
                this.at = At::RenewLifeline;
            }
            Verdict::Adopt => {
                let worker = this.survey.pin(this.lifeline);
                let record = this.survey.record.map(|mut record| {
                    record.worker = record.worker.or(this.survey.leader);
                    record
                });
                this.started = Some(Started::adopted(worker, record));
                this.at = At::Watch;
            }
            Verdict::Reject(_) => {
                this.started = Some(Started::rejected());
                (this.may_release, this.at) = (true, At::RemoveEvidence);
            }
        }
    }
}

impl Launcher {
    /// The claim is another's: it clears nothing then, or waits, or has waited long enough.
    fn waits(&mut self, choice: Choice) {
        let at = match (self.purpose, choice) {
            (Purpose::Clear, _) => At::Done(End::Running),
            (Purpose::Decide, Choice::GiveUp) => At::Done(End::Otherwise),
            (Purpose::Decide, _) => At::Look,
        };
        self.goes_to(at);
    }

    /// Its claim is released.
    pub(super) fn is_released(&mut self) {
        let end = match (self.again && !self.late, self.started) {
            (true, _) => At::Look,
            (false, Some(started)) => At::Done(started.end()),
            (false, None) => At::Done(End::Running),
        };
        self.goes_to(end);
    }
}
