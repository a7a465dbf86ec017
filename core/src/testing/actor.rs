//! One transaction on the simulated kernel: its machines, and what it has open and has learned.

use super::objects::{InodeId, Process, Record, StartId};
use crate::care::gc::{self, Collect};
use crate::care::unlock::{self, Unlock};
use crate::claim::acquire::{Acquire, AcquireEffect};
use crate::ensure::{self, Ensure};
use crate::session::view::View;
use crate::session::view::assembly::{Marked, Recorded};
use crate::start::order::{Order, OrderEffect};
use crate::start::resume::Resume;
use crate::start::settle::{Noted, Settle, SettleEffect};
use crate::stop::Stop;
use crate::stop::session::{self, StopSession};

/// A transaction, and what it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Actor {
    /// The machine of its transaction.
    pub task: Task,
    /// The machine of the step that it is at.
    pub sub: Sub,
    /// The directory that it has open.
    pub dir: Option<InodeId>,
    /// Whether the evidence in that directory has to be its own.
    pub holds: bool,
    /// What it saw last.
    pub seen: Seen,
    /// The worker that it watches or ends.
    pub worker: Pinned,
    /// The record of the start that it is about.
    pub record: Option<Record>,
    /// The process whose answer it heard.
    pub peer: Option<Process>,
    /// What it heard of the start.
    pub noted: Noted,
    /// The machine of its start.
    pub resume: Option<Resume>,
    /// Whether what its start needs was removed or taken.
    pub abandoned: bool,
    /// The machine of the worker's end.
    pub stop: Option<Stop>,
    /// Whether its deadline has passed.
    pub late: bool,
    /// Whether the claim may be released: something was observed, or nothing was begun.
    pub may_release: bool,
    /// Whether it still has to write down what was observed, which is wrong.
    pub writes_late: bool,
}

/// Which transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// None; it does not take part.
    Absent,
    /// An `ensure`.
    Ensure(Ensure),
    /// A stop of the session.
    Stop(StopSession),
    /// An unlock.
    Unlock(Unlock),
    /// A collection.
    Collect(Collect),
    /// A transaction whose future was dropped: its claim is being retained.
    Dropped,
    /// It is over.
    Done(End),
    /// It was killed.
    Crashed,
}

/// How a transaction ended.
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
    /// Its future was dropped.
    Dropped,
}

/// The step of a transaction that has steps of its own.
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
    /// It is waited for until the child of this start has executed its program or ended.
    AwaitChild(Order),
    /// The worker is watched.
    Watch,
    /// The mark is read next, after the record.
    ReadMark(Option<Record>),
    /// The lifeline and the processes are asked next, after the mark.
    Ask(Option<Record>, Option<InodeId>, Option<StartId>),
    /// The worker is ended.
    End,
}

/// What an actor does next, in the words of the machine that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Next {
    /// Of an `ensure`.
    Ensure(ensure::Effect),
    /// Of a stop.
    Stop(session::Effect),
    /// Of an unlock.
    Unlock(unlock::Effect),
    /// Of a collection.
    Collect(gc::Effect),
    /// Of taking the claim.
    Acquire(AcquireEffect),
    /// Of settling a start.
    Settle(SettleEffect),
    /// Of starting a process.
    Order(OrderEffect),
    /// To wait for a child, to watch or end a worker, to go on reading, or nothing.
    Other,
}

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seen {
    /// The record.
    pub record: Option<Record>,
    /// The lifeline that was opened.
    pub lifeline: Option<InodeId>,
    /// The process that the start began with.
    pub leader: Option<StartId>,
    /// What it amounts to.
    pub view: View,
}

impl Seen {
    /// Nothing was looked at.
    pub const NOTHING: Self = Self { record: None, lifeline: None, leader: None, view: View::NOTHING };

    /// The generation that it is about.
    pub fn generation(&self) -> u8 {
        u8::try_from(self.view.generation.number()).unwrap_or(u8::MAX)
    }

    /// The record that was seen, with the worker that its mark names.
    pub fn completed(&self) -> Option<Record> {
        self.record.map(|record| Record { worker: record.worker.or(self.leader), ..record })
    }

    /// The worker, pinned through `lifeline`.
    pub fn pin(&self, lifeline: Option<InodeId>) -> Pinned {
        let peer = self.record.and_then(|record| record.peer);
        Pinned { leader: self.leader, peer, lifeline, generation: self.generation(), ours: false }
    }
}

/// Whom a transaction watches and signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pinned {
    /// The process that it began with.
    pub leader: Option<StartId>,
    /// The process that answered.
    pub peer: Option<Process>,
    /// The lifeline that was opened.
    pub lifeline: Option<InodeId>,
    /// Its generation.
    pub generation: u8,
    /// Whether it is a child of ours.
    pub ours: bool,
}

impl Pinned {
    /// Nobody.
    pub const NOBODY: Self = Self { leader: None, peer: None, lifeline: None, generation: 0, ours: false };
}

/// What a record of the simulated kernel says, and a mark.
pub type ReadRecord = Recorded<Process, StartId>;
/// What a worker wrote into its lifeline.
pub type ReadMark = Marked<Process, StartId>;

impl Actor {
    /// One that does not take part.
    pub const ABSENT: Self = Self::of(Task::Absent);
    /// One that was killed.
    pub const CRASHED: Self = Self::of(Task::Crashed);

    /// One that is about to begin.
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
            noted: Noted { exit: false, ready: false },
            resume: None,
            abandoned: false,
            stop: None,
            late: false,
            may_release: true,
            writes_late: false,
        }
    }

    /// What it does next.
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
            (Sub::None, Task::Absent | Task::Dropped | Task::Done(_) | Task::Crashed) => Next::Other,
        }
    }

    /// Whether it has nothing left to do.
    pub fn is_over(&self) -> bool {
        match self.task {
            Task::Absent | Task::Done(_) | Task::Crashed => true,
            Task::Ensure(_) | Task::Stop(_) | Task::Unlock(_) | Task::Collect(_) | Task::Dropped => false,
        }
    }
}
