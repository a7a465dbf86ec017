//! The steps of a lifecycle lock: taking a daemon's marker, removing a marker by force, and giving a marker back.
//!
//! ```text
//! Take, Remove: Opening → Locking ┬ locked ─→ Judging → (KeepingAside) → Writing | Removing → Done(Did)
//!                  ↑        ↑     └ another's ─→ Judging (Take) ─→ conflict
//!                  │        └──── Placing ←─ Pausing ←─ unlock ←─┘ that may pass
//!                  └── replaced ──┘
//! GiveBack:     Opening → CheckingLock ┬ in place ──────────→ Judging → Removing → Done(Did)
//!                                      └ replaced → Locking → ┘
//! ```
//!
//! # Invariants
//! 1. The marker is kept aside, written and removed only while this process holds the lock file's flock.
//! 2. Every end leaves the flock unlocked, except after a written marker.
//! 3. A conflict that may pass is judged again until the driver reports that time is up.
//!
//! Each step has a row in `gates/tests/marker.rs`; the same test kills several daemons at every step.

use crate::claim::lifecycle::LifecyclePayload;
use crate::claim::{ClaimDecision, ConflictReason, Found, TakeOverReason};
use crate::process::id::{Nonce, Pid};
use crate::process::identity::ProcessLiveness;

/// A task on a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MarkerTask {
    purpose: Purpose,
    phase: Phase,
}

/// The purpose of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Take the lock.
    Take,
    /// Remove the marker of another process: by force, or on behalf of the holder.
    Remove,
    /// Remove the marker of this process, the holder of the flock.
    GiveBack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Opening,
    CheckingLock,
    Locking,
    Judging(Flock),
    KeepingAside,
    Changing,
    Unlocking(Next),
    Pausing,
    Placing,
    Done(End),
}

/// The holder of the flock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Flock {
    Ours,
    Others,
}

/// The step after an unlock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Next {
    Pause,
    Conclude(End),
}

/// The end of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The marker was written, or removed.
    Did,
    /// There is no marker.
    NoMarker,
    /// The marker belongs to another process; the last judgement gives the reason.
    NotOurs,
    /// Another process kept the flock until time was up.
    InUse,
    /// A step failed; nothing is held.
    Failed,
}

/// The next step of a task, or its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an effect that is dropped leaves the task where it is"]
pub enum Effect {
    /// Open the marker's directory; to take the lock, create the directory. Answer: [`Event::Did`], or [`Event::Refused`]
    /// if there is no marker.
    Open,
    /// Ask whether the lock file held by this process still has its name. Answer: [`Event::Did`] or [`Event::Refused`].
    CheckLock,
    /// Lock the lock file without waiting. Answer: [`Event::Did`] or [`Event::Refused`].
    Lock,
    /// Read and judge the marker. Answer: [`Event::Judged`].
    Judge,
    /// Keep the marker's bytes under another name. Answer: [`Event::Did`].
    KeepAside,
    /// Write our marker. Answer: [`Event::Did`].
    Write,
    /// Remove the marker. Answer: [`Event::Did`].
    Remove,
    /// Unlock the lock file. Answer: [`Event::Did`].
    Unlock,
    /// Wait a moment. Answer: [`Event::Did`], or [`Event::Late`] once time is up.
    Pause,
    /// Ask whether the directory still has its name. Answer: [`Event::Did`] or [`Event::Refused`].
    CheckPlace,
    /// Nothing: the task is over.
    Done(End),
}

/// The answer to an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The effect was performed; of a question, the answer is yes.
    Did,
    /// The answer is no.
    Refused,
    /// The marker was judged.
    Judged(Judgement),
    /// Time is up.
    Late,
    /// The effect failed.
    Failed,
}

/// The judgement on a marker, as far as the steps depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Judgement {
    /// There is no marker.
    Nothing,
    /// The marker may be replaced or removed.
    Ours,
    /// The marker may be replaced or removed once the unreadable bytes are kept.
    Unreadable,
    /// The marker belongs to another process. The conflict may pass: the holder is deciding, or about to exit.
    Passing,
    /// The marker belongs to another process.
    Others,
}

impl Judgement {
    /// The judgement of a process that wants the lock. `holder_runs`: the process named in the marker is known to run.
    pub fn of<P>(decision: &ClaimDecision<P>, holder_runs: bool) -> Self {
        match decision {
            ClaimDecision::Fresh => Self::Ours,
            ClaimDecision::TakeOver { why, previous: _ } => match why {
                TakeOverReason::Corrupt | TakeOverReason::OtherSession => Self::Unreadable,
                TakeOverReason::HolderDead(_) | TakeOverReason::Retained | TakeOverReason::OtherMachine => {
                    Self::Ours
                }
            },
            ClaimDecision::Conflict { why, holder: _ } => {
                if *why == ConflictReason::KernelLockHeld && !holder_runs {
                    Self::Passing
                } else {
                    Self::Others
                }
            }
        }
    }
}

impl Judgement {
    /// The judgement of a process that removes the marker by force. Unreadable bytes are kept.
    pub fn by_force(found: &Found<LifecyclePayload>) -> Self {
        match found {
            Found::Nothing => Self::Nothing,
            Found::Corrupt { .. } => Self::Unreadable,
            Found::Empty | Found::OtherSession { .. } | Found::Held(_) | Found::Retained(_) => Self::Ours,
        }
    }

    /// The judgement of a process that releases the lock on behalf of the holder with this pid.
    pub fn for_holder(found: &Found<LifecyclePayload>, pid: Pid, liveness: ProcessLiveness) -> Self {
        let names_it = found.payload().is_some_and(|payload| payload.holder.pid == pid);
        if names_it && liveness.pid_is_taken() { Self::Ours } else { Self::Others }
    }

    /// The judgement of the process that wrote a marker with `nonce`.
    pub fn of_writer(found: &Found<LifecyclePayload>, nonce: &Nonce, file: SameFile) -> Self {
        let is_its = found.payload().and_then(|payload| payload.nonce.as_ref()) == Some(nonce);
        match file {
            SameFile::Yes if is_its => Self::Ours,
            SameFile::Yes | SameFile::No => Self::Others,
        }
    }
}

/// Whether the marker is still the file written by its writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameFile {
    /// The inode is the same.
    Yes,
    /// Another file has the name, or no file.
    No,
}

impl MarkerTask {
    /// A task that has not begun.
    pub const fn new(purpose: Purpose) -> Self {
        Self { purpose, phase: Phase::Opening }
    }

    /// The next step.
    pub fn effect(self) -> Effect {
        match self.phase {
            Phase::Opening => Effect::Open,
            Phase::CheckingLock => Effect::CheckLock,
            Phase::Locking => Effect::Lock,
            Phase::Judging(_) => Effect::Judge,
            Phase::KeepingAside => Effect::KeepAside,
            Phase::Changing => match self.purpose {
                Purpose::Take => Effect::Write,
                Purpose::Remove | Purpose::GiveBack => Effect::Remove,
            },
            Phase::Unlocking(_) => Effect::Unlock,
            Phase::Pausing => Effect::Pause,
            Phase::Placing => Effect::CheckPlace,
            Phase::Done(end) => Effect::Done(end),
        }
    }

    fn opened(self) -> Phase {
        match self.purpose {
            Purpose::Take | Purpose::Remove => Phase::Locking,
            Purpose::GiveBack => Phase::CheckingLock,
        }
    }

    /// Another process holds the flock.
    fn locked_out(self) -> Phase {
        match self.purpose {
            // The marker names the holder.
            Purpose::Take => Phase::Judging(Flock::Others),
            Purpose::Remove => Phase::Pausing,
            Purpose::GiveBack => Phase::Done(End::NotOurs),
        }
    }

    fn judged(self, judgement: Judgement) -> Phase {
        let conclude = |end| Phase::Unlocking(Next::Conclude(end));
        match (judgement, self.purpose) {
            (Judgement::Nothing, Purpose::Take) | (Judgement::Ours, _) => Phase::Changing,
            (Judgement::Nothing, Purpose::Remove | Purpose::GiveBack) => conclude(End::NoMarker),
            (Judgement::Unreadable, _) => Phase::KeepingAside,
            (Judgement::Passing, Purpose::Take | Purpose::Remove) => Phase::Unlocking(Next::Pause),
            // A release does not wait.
            (Judgement::Passing, Purpose::GiveBack) | (Judgement::Others, _) => conclude(End::NotOurs),
        }
    }

    /// Judges without the flock: no file is changed.
    fn judged_from_outside(judgement: Judgement) -> Phase {
        match judgement {
            Judgement::Others => Phase::Done(End::NotOurs),
            Judgement::Nothing | Judgement::Ours | Judgement::Unreadable | Judgement::Passing => {
                Phase::Pausing
            }
        }
    }

    fn late(self) -> End {
        match self.purpose {
            Purpose::Take => End::NotOurs,
            Purpose::Remove | Purpose::GiveBack => End::InUse,
        }
    }

    fn changed(self) -> Phase {
        match self.purpose {
            // The flock stays with the lock.
            Purpose::Take => Phase::Done(End::Did),
            Purpose::Remove | Purpose::GiveBack => Phase::Unlocking(Next::Conclude(End::Did)),
        }
    }
}

impl From<Next> for Phase {
    fn from(next: Next) -> Self {
        match next {
            Next::Pause => Self::Pausing,
            Next::Conclude(end) => Self::Done(end),
        }
    }
}

/// Takes the answer to the present effect. An answer that does not fit the effect changes nothing.
#[must_use = "the task continues from here"]
pub fn step(task: MarkerTask, event: Event) -> MarkerTask {
    use {Event as Ev, Phase as At};
    let failed = At::Unlocking(Next::Conclude(End::Failed));
    let phase = match (task.phase, event) {
        (At::Opening, Ev::Did) => task.opened(),
        (At::Opening, Ev::Refused) => At::Done(End::NoMarker),
        (At::CheckingLock | At::Locking, Ev::Did) => At::Judging(Flock::Ours),
        (At::CheckingLock, Ev::Refused) => At::Locking,
        (At::Locking, Ev::Refused) => task.locked_out(),
        (At::Judging(Flock::Ours), Ev::Judged(judgement)) => task.judged(judgement),
        (At::Judging(Flock::Others), Ev::Judged(judgement)) => MarkerTask::judged_from_outside(judgement),
        (At::KeepingAside, Ev::Did) => At::Changing,
        (At::Changing, Ev::Did) => task.changed(),
        // A lock that cannot be unlocked ends with its descriptor.
        (At::Unlocking(next), Ev::Did | Ev::Failed) => next.into(),
        (At::Pausing, Ev::Did) => At::Placing,
        (At::Pausing, Ev::Late) => At::Done(task.late()),
        (At::Placing, Ev::Did) => At::Locking,
        (At::Placing, Ev::Refused) => At::Opening,
        (At::Opening | At::Locking | At::Judging(Flock::Others) | At::Pausing | At::Placing, Ev::Failed) => {
            At::Done(End::Failed)
        }
        (At::CheckingLock | At::Judging(Flock::Ours) | At::KeepingAside | At::Changing, Ev::Failed) => failed,
        // Late or foreign answers change nothing.
        (At::Opening | At::CheckingLock | At::Locking | At::Placing, Ev::Judged(_) | Ev::Late)
        | (At::Judging(_), Ev::Did | Ev::Refused | Ev::Late)
        | (At::KeepingAside | At::Changing | At::Unlocking(_), Ev::Refused | Ev::Judged(_) | Ev::Late)
        | (At::Pausing, Ev::Refused | Ev::Judged(_))
        | (At::Done(_), Ev::Did | Ev::Refused | Ev::Judged(_) | Ev::Late | Ev::Failed) => task.phase,
    };
    MarkerTask { phase, ..task }
}
