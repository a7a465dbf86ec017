//! Clearing a claim that was left behind.
//!
//! ```text
//! Locking → Judging → (kept for a worker: Looking) → Removing → Unlocking → Done
//! ```
//!
//! # Invariants
//! 1. The kernel's lock is taken first, and only then is evidence removed: a claim that a live launcher holds is never
//!    cleared, by force or not.
//! 2. Without force only evidence that any launcher might take over is cleared, and none that is kept for a worker that
//!    may still run.
//!
//! Walked by `gates/tests/transactions.rs` over a simulated kernel; each rule has a test in `gates/tests/care.rs`.

use crate::claim::{ClaimDecision, TakeOverReason};
use crate::session::evidence::LastWorker;
use crate::session::view::View;

/// An unlock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Unlock {
    force: Force,
    phase: Phase,
}

/// How far an unlock may go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Force {
    /// Only a claim whose holder is provably gone.
    #[default]
    No,
    /// Any claim that no launcher holds at this moment.
    Yes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Locking,
    Judging,
    Looking,
    Removing,
    Unlocking(Conclusion),
    Done(Conclusion),
}

/// What is to be done next, or how the unlock ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an effect that is dropped leaves the claim where it is"]
pub enum Effect {
    /// Lock the session's directory without waiting. Answer: [`Event::Did`] or [`Event::Refused`].
    Lock,
    /// Read the evidence and judge it. Answer: [`Event::Judged`].
    Judge,
    /// Read what is known of the worker. Answer: [`Event::Looked`].
    Look,
    /// Remove the evidence. Answer: [`Event::Did`].
    RemoveEvidence,
    /// Unlock the directory. Answer: [`Event::Did`].
    Unlock,
    /// Nothing: it is over.
    Done(Conclusion),
}

/// What came of the present effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// It was done.
    Did,
    /// The lock is another's.
    Refused,
    /// What the evidence amounts to.
    Judged(Judgement),
    /// What was seen.
    Looked(View),
    /// It failed.
    Failed,
}

/// What the evidence of a claim whose kernel lock is free amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Judgement {
    /// There is none.
    Nothing,
    /// Any launcher might take it over.
    LeftBehind,
    /// The same, and it is kept for a worker that nobody saw ready or gone.
    KeptForWorker,
    /// It is not to be taken.
    NotOurs,
}

impl Judgement {
    /// What a decision amounts to; `found` says whether there was any evidence.
    pub fn of<P>(decision: &ClaimDecision<P>, found: Evidence) -> Self {
        match (found, decision) {
            (Evidence::Absent, _) => Self::Nothing,
            (Evidence::Present, ClaimDecision::TakeOver { why: TakeOverReason::Retained, .. }) => {
                Self::KeptForWorker
            }
            (
                Evidence::Present,
                ClaimDecision::Fresh
                | ClaimDecision::TakeOver {
                    why:
                        TakeOverReason::HolderDead(_)
                        | TakeOverReason::OtherMachine
                        | TakeOverReason::Corrupt
                        | TakeOverReason::OtherSession,
                    ..
                },
            ) => Self::LeftBehind,
            (Evidence::Present, ClaimDecision::Conflict { .. }) => Self::NotOurs,
        }
    }
}

/// Whether there is evidence of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// There is none.
    Absent,
    /// There is some, be it empty.
    Present,
}

/// How an unlock ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conclusion {
    /// There was nothing to clear.
    NotLocked,
    /// The claim was cleared.
    Unlocked,
    /// A launcher holds the claim.
    Held,
    /// The claim is not to be cleared without force.
    NotOurs,
    /// The claim is kept for a worker that may still run.
    WorkerMayRun,
    /// A step failed.
    Failed,
}

impl Unlock {
    /// An unlock that has not begun.
    pub const fn new(force: Force) -> Self {
        Self { force, phase: Phase::Locking }
    }

    /// What is to be done next.
    pub fn effect(self) -> Effect {
        match self.phase {
            Phase::Locking => Effect::Lock,
            Phase::Judging => Effect::Judge,
            Phase::Looking => Effect::Look,
            Phase::Removing => Effect::RemoveEvidence,
            Phase::Unlocking(_) => Effect::Unlock,
            Phase::Done(conclusion) => Effect::Done(conclusion),
        }
    }
}

/// Takes what came of the present effect. An answer that the effect cannot have changes nothing.
#[must_use = "the unlock goes on from where this leads"]
pub fn step(unlock: Unlock, event: Event) -> Unlock {
    use {Event as Ev, Judgement as J, Phase as At};
    let to = |phase| Unlock { phase, ..unlock };
    match (unlock.phase, event) {
        (At::Locking, Ev::Did) => to(At::Judging),
        (At::Locking, Ev::Refused) => to(At::Done(Conclusion::Held)),
        (At::Locking, Ev::Failed) => to(At::Done(Conclusion::Failed)),
        (At::Judging, Ev::Judged(J::Nothing)) => to(At::Unlocking(Conclusion::NotLocked)),
        (At::Judging, Ev::Judged(J::LeftBehind)) => to(At::Removing),
        (At::Judging, Ev::Judged(J::KeptForWorker | J::NotOurs)) if unlock.force == Force::Yes => {
            to(At::Removing)
        }
        (At::Judging, Ev::Judged(J::KeptForWorker)) => to(At::Looking),
        (At::Judging, Ev::Judged(J::NotOurs)) => to(At::Unlocking(Conclusion::NotOurs)),
        // Whoever wants it gone ends the worker.
        (At::Looking, Ev::Looked(view)) if view.last != LastWorker::Gone => {
            to(At::Unlocking(Conclusion::WorkerMayRun))
        }
        (At::Looking, Ev::Looked(_)) => to(At::Removing),
        (At::Removing, Ev::Did) => to(At::Unlocking(Conclusion::Unlocked)),
        (At::Judging | At::Looking | At::Removing, Ev::Failed) => to(At::Unlocking(Conclusion::Failed)),
        (At::Unlocking(conclusion), Ev::Did | Ev::Failed) => to(At::Done(conclusion)),
        (
            At::Locking | At::Judging | At::Looking | At::Removing | At::Unlocking(_) | At::Done(_),
            Ev::Did | Ev::Refused | Ev::Judged(_) | Ev::Looked(_) | Ev::Failed,
        ) => unlock,
    }
}
