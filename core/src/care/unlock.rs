//! Clears the claim of a former launcher.
//!
//! ```text
//! Locking → Judging → (kept for a worker: Looking) → Removing → Unlocking → Done
//! ```
//!
//! # Invariants
//! 1. The kernel's lock is taken first, and only then is evidence removed: the claim of a live launcher is never
//!    cleared, not even by force.
//! 2. Without force only evidence that any launcher may take over is cleared, and never evidence that is kept for a
//!    worker that may still run.
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

/// The reach of an unlock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Force {
    /// Clear a claim only if the holder is provably gone.
    #[default]
    No,
    /// Clear any claim that no launcher holds at this moment.
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

/// The next step, or the end of the unlock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an effect that is dropped leaves the claim where it is"]
pub enum Effect {
    /// Lock the session's directory without waiting. Answer: [`Event::Did`] or [`Event::Refused`].
    Lock,
    /// Read and judge the evidence. Answer: [`Event::Judged`].
    Judge,
    /// Read the state of the worker. Answer: [`Event::Looked`].
    Look,
    /// Remove the evidence. Answer: [`Event::Did`].
    RemoveEvidence,
    /// Unlock the directory. Answer: [`Event::Did`].
    Unlock,
    /// Nothing: the unlock is over.
    Done(Conclusion),
}

/// The answer to an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The effect was performed.
    Did,
    /// Another process holds the lock.
    Refused,
    /// The judgement on the evidence.
    Judged(Judgement),
    /// The state of the session.
    Looked(View),
    /// The effect failed.
    Failed,
}

/// The judgement on the evidence of a claim with a free kernel lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Judgement {
    /// There is no evidence.
    Nothing,
    /// Any launcher may take the claim over.
    LeftBehind,
    /// Any launcher may take the claim over, and the claim is kept for a worker whose start was not observed.
    KeptForWorker,
    /// The claim may not be taken.
    NotOurs,
}

impl Judgement {
    /// The judgement of a decision; `found` says whether there was any evidence.
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
    /// There is no evidence.
    Absent,
    /// There is evidence, perhaps empty.
    Present,
}

/// The end of an unlock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conclusion {
    /// There was nothing to clear.
    NotLocked,
    /// The claim was cleared.
    Unlocked,
    /// A launcher holds the claim.
    Held,
    /// The claim may not be cleared without force.
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

    /// The next step.
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

/// Takes the answer to the present effect. An answer that the effect cannot have changes nothing.
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
        // To clear such a claim, stop the worker first.
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
