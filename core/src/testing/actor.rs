//! A transaction on the simulated kernel: machines, open descriptors and learned facts.

use super::objects::{InodeId, Place, Process, Record, StartId};
use crate::care::gc::{self, Collect};
use crate::care::unlock::{self, Unlock};
use crate::claim::acquire::{Acquire, AcquireEffect};
use crate::claim::hold::{self, Hold};
use crate::ensure::{self, Ensure};
use crate::session::view::View;
use crate::session::view::assembly::{Marked, Recorded};
use crate::start::order::{Order, OrderEffect};
use crate::start::resume::Resume;
use crate::start::settle::{Noted, Settle, SettleEffect};
use crate::stop::Stop;
use crate::stop::session::{self, StopSession};

/// A transaction and the facts that it has learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Actor {
    /// The machine of the transaction.
    pub task: Task,
    /// The machine of the present step.
    pub sub: Sub,
    /// The open directory.
    pub dir: Option<InodeId>,
    /// Whether the evidence in the directory has to be the actor's own.
    pub holds: bool,
    /// The facts of the last look.
    pub seen: Seen,
    /// The worker to watch or to end.
    pub worker: Pinned,
    /// The record of the start in question.
    pub record: Option<Record>,
    /// The process whose answer the actor heard.
    pub peer: Option<Process>,
    /// The endpoint in question.
    pub place: Place,
    /// The port that the actor has chosen.
    pub chosen: Option<u8>,
    /// Whether the actor took a stranger's listener for the worker's.
    pub trusts_stranger: bool,
    /// Whether the actor heard of a stranger at the endpoint.
    pub met_stranger: bool,
    /// The facts heard about the start.
    pub noted: Noted,
    /// The machine of the start.
    pub resume: Option<Resume>,
    /// Whether the start was abandoned because its files or its socket were removed or taken.
    pub abandoned: bool,
    /// The machine of the worker's end.
    pub stop: Option<Stop>,
    /// Whether the deadline has passed.
    pub late: bool,
    /// Whether the claim may be released: after an observation, or without a start.
    pub may_release: bool,
    /// Whether the observation is still to be recorded, as a sabotage.
    pub writes_late: bool,
}

/// The kind of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// None; the actor does not take part.
    Absent,
    /// An `ensure`.
    Ensure(Ensure),
    /// A stop of the session.
    Stop(StopSession),
    /// An unlock.
    Unlock(Unlock),
    /// A collection.
    Collect(Collect),
    /// A claim for a send.
    Hold(Hold),
    /// A transaction with a dropped future: the claim is being retained.
    Dropped,
    /// The transaction is over.
    Done(End),
    /// The actor was killed.
    Crashed,
}

/// The end of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// An `ensure`.
    Ensure(ensure::Conclusion),
    /// A stop of the session.
    Stop(session::Conclusion),
    /// An unlock.
    Unlock(unlock::Conclusion),
    /// A collection.
    Collect(gc::Conclusion),
    /// A claim for a send.
    Hold(hold::Conclusion),
    /// The future was dropped.
    Dropped,
}

/// The step of a transaction, if the step has a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sub {
    /// None.
    None,
    /// The claim is taken.
    Acquire(Acquire),
    /// A start is settled, or a claim given up.
    Settle(Settle),
    /// A process is started.
    Order(Order),
    /// The actor waits until the start's child has executed its program or ended.
    AwaitChild(Order),
    /// The worker is watched.
    Watch,
    /// The next step reads the mark, after the record.
    ReadMark(Option<Record>),
    /// The next step asks about the lifeline and the processes, after the mark.
    Ask(Option<Record>, Option<InodeId>, Option<StartId>),
    /// The worker is ended.
    End,
}

/// The next effect of an actor, as the machine's own effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Next {
    /// The effect of an `ensure`.
    Ensure(ensure::Effect),
    /// The effect of a stop.
    Stop(session::Effect),
    /// The effect of an unlock.
    Unlock(unlock::Effect),
    /// The effect of a collection.
    Collect(gc::Effect),
    /// The effect of a claim for a send.
    Hold(hold::Effect),
    /// The effect of taking the claim.
    Acquire(AcquireEffect),
    /// The effect of settling a start.
    Settle(SettleEffect),
    /// The effect of starting a process.
    Order(OrderEffect),
    /// Waiting for a child, watching or ending a worker, further reading, or nothing.
    Other,
}

/// The facts of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seen {
    /// The record.
    pub record: Option<Record>,
    /// The opened lifeline.
    pub lifeline: Option<InodeId>,
    /// The leader of the start.
    pub leader: Option<StartId>,
    /// The view of the look.
    pub view: View,
}

impl Seen {
    /// No look yet.
    pub const NOTHING: Self = Self { record: None, lifeline: None, leader: None, view: View::NOTHING };

    /// The generation of the look.
    pub fn generation(&self) -> u8 {
        u8::try_from(self.view.generation.number()).unwrap_or(u8::MAX)
    }

    /// The record, completed with the worker of the mark.
    pub fn completed(&self) -> Option<Record> {
        self.record.map(|record| Record { worker: record.worker.or(self.leader), ..record })
    }

    /// The worker, pinned through `lifeline`.
    pub fn pin(&self, lifeline: Option<InodeId>) -> Pinned {
        let peer = self.record.and_then(|record| record.peer);
        Pinned { leader: self.leader, peer, lifeline, generation: self.generation(), ours: false }
    }
}

/// The worker that a transaction watches and signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pinned {
    /// The leader.
    pub leader: Option<StartId>,
    /// The process that answered.
    pub peer: Option<Process>,
    /// The opened lifeline.
    pub lifeline: Option<InodeId>,
    /// The generation.
    pub generation: u8,
    /// Whether the leader is a child of the actor.
    pub ours: bool,
}

impl Pinned {
    /// No worker.
    pub const NOBODY: Self = Self { leader: None, peer: None, lifeline: None, generation: 0, ours: false };
}

/// The content of a simulated record.
pub type ReadRecord = Recorded<Process, StartId>;
/// The content of a simulated mark.
pub type ReadMark = Marked<Process, StartId>;

impl Actor {
    /// An actor that does not take part.
    pub const ABSENT: Self = Self::of(Task::Absent);
    /// A killed actor.
    pub const CRASHED: Self = Self::of(Task::Crashed);

    /// An actor about to begin.
    pub const fn of(task: Task) -> Self {
        Self {
            task,
            sub: Sub::None,
            dir: None,
            holds: false,
            seen: Seen::NOTHING,
            worker: Pinned::NOBODY,
            record: None,
            peer: None,
            place: Place::Path,
            chosen: None,
            trusts_stranger: false,
            met_stranger: false,
            noted: Noted { exit: false, ready: false },
            resume: None,
            abandoned: false,
            stop: None,
            late: false,
            may_release: true,
            writes_late: false,
        }
    }

    /// The next effect.
    pub fn next(&self) -> Next {
        match (self.sub, self.task) {
            (Sub::Acquire(attempt), _) => Next::Acquire(attempt.effect()),
            (Sub::Settle(settle), _) => Next::Settle(settle.effect()),
            (Sub::Order(start), _) => Next::Order(start.effect()),
            (Sub::AwaitChild(_) | Sub::Watch | Sub::ReadMark(_) | Sub::Ask(..) | Sub::End, _) => Next::Other,
            (Sub::None, Task::Ensure(call)) => Next::Ensure(call.effect()),
            (Sub::None, Task::Stop(stop)) => Next::Stop(stop.effect()),
            (Sub::None, Task::Unlock(unlock)) => Next::Unlock(unlock.effect()),
            (Sub::None, Task::Collect(collect)) => Next::Collect(collect.effect()),
            (Sub::None, Task::Hold(hold)) => Next::Hold(hold.effect()),
            (Sub::None, Task::Absent | Task::Dropped | Task::Done(_) | Task::Crashed) => Next::Other,
        }
    }

    /// Whether the actor has nothing left to do.
    pub fn is_over(&self) -> bool {
        match self.task {
            Task::Absent | Task::Done(_) | Task::Crashed => true,
            Task::Ensure(_)
            | Task::Stop(_)
            | Task::Unlock(_)
            | Task::Collect(_)
            | Task::Hold(_)
            | Task::Dropped => false,
        }
    }
}
