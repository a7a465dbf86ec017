//! The steps of taking a claim, and the consequence of each finding.
//!
//! ```text
//! Opening → Locking → Placing → Reading → Writing → Done(Granted)
//!    ↑         │         │         └─ not ours ─→ LettingGo → Done(Conflict)
//!    │         └─ held by another ─→ Describing ──────────→ Done(Conflict)
//!    └──────── replaced ─┘
//! ```
//!
//! # Invariants
//! 1. Evidence is judged and written only while this process holds the kernel's lock on the directory with the
//!    session's name.
//! 2. Every end but [`Taken::Granted`] leaves the lock unlocked.
//! 3. Bounded: a directory that is replaced again and again counts as in use by another process.
//!
//! Walked by `gates/tests/claim_steps.rs`, and inside every transaction by `gates/tests/transactions.rs`.

use super::ClaimDecision;

/// The greatest number of replacements of a directory between open and lock.
const REPLACED_MAX: u8 = 16;

/// An attempt to take a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Acquire {
    phase: Phase,
    replaced: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Opening,
    Locking,
    Placing,
    Describing,
    Reading,
    Writing,
    LettingGo(Taken),
    Done(Taken),
}

/// The end of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Taken {
    /// This process has the claim.
    Granted,
    /// This process may not take the claim; the last judgement has the reason.
    Conflict,
    /// A step failed; nothing is held.
    Failed,
}

/// The next step of an attempt, or its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an effect that is dropped leaves the attempt where it is"]
pub enum AcquireEffect {
    /// Open the session's directory, creating it if there is none. Answer: [`AcquireEvent::Did`].
    Open,
    /// Lock the directory without waiting. Answer: [`AcquireEvent::Did`] or [`AcquireEvent::Refused`].
    Lock,
    /// Ask whether the directory still has its name. Answer: [`AcquireEvent::Did`] or [`AcquireEvent::Refused`].
    CheckPlace,
    /// Read the evidence to name the holder of the lock. Answer: [`AcquireEvent::Did`].
    Describe,
    /// Read and judge the evidence. Answer: [`AcquireEvent::Judged`].
    Judge,
    /// Put the evidence of the new claim in place. Answer: [`AcquireEvent::Did`].
    WriteEvidence,
    /// Unlock the directory. Answer: [`AcquireEvent::Did`].
    Unlock,
    /// Nothing: the attempt is over.
    Done(Taken),
}

/// The answer to an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AcquireEvent {
    /// The effect was performed; of a question, the answer is yes.
    Did,
    /// Another process has the lock, or the directory has lost its name.
    Refused,
    /// The evidence was judged.
    Judged(Judgement),
    /// The effect failed.
    Failed,
}

/// Whether a claim may be taken, without the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Judgement {
    /// The claim may be taken.
    Takeable,
    /// The claim may not be taken.
    NotOurs,
}

impl<P> From<&ClaimDecision<P>> for Judgement {
    fn from(decision: &ClaimDecision<P>) -> Self {
        match decision {
            ClaimDecision::Fresh | ClaimDecision::TakeOver { .. } => Self::Takeable,
            ClaimDecision::Conflict { .. } => Self::NotOurs,
        }
    }
}

impl Default for Acquire {
    fn default() -> Self {
        Self { phase: Phase::Opening, replaced: 0 }
    }
}

impl Acquire {
    /// The next step.
    pub fn effect(self) -> AcquireEffect {
        match self.phase {
            Phase::Opening => AcquireEffect::Open,
            Phase::Locking => AcquireEffect::Lock,
            Phase::Placing => AcquireEffect::CheckPlace,
            Phase::Describing => AcquireEffect::Describe,
            Phase::Reading => AcquireEffect::Judge,
            Phase::Writing => AcquireEffect::WriteEvidence,
            Phase::LettingGo(_) => AcquireEffect::Unlock,
            Phase::Done(taken) => AcquireEffect::Done(taken),
        }
    }

    /// Whether the evidence of this attempt has to be in place.
    pub fn is_granted(self) -> bool {
        self.phase == Phase::Done(Taken::Granted)
    }
}

/// Takes the answer to the present effect. An answer that the effect cannot have changes nothing.
#[must_use = "the attempt goes on from where this leads"]
pub fn step(attempt: Acquire, event: AcquireEvent) -> Acquire {
    use {AcquireEvent as Ev, Phase as At};
    let to = |phase| Acquire { phase, ..attempt };
    match (attempt.phase, event) {
        (At::Opening, Ev::Did) => to(At::Locking),
        (At::Locking, Ev::Did) => to(At::Placing),
        (At::Locking, Ev::Refused) => to(At::Describing),
        (At::Placing, Ev::Did) => to(At::Reading),
        // A directory that was removed before the lock was taken guards nothing. The lock goes with the descriptor.
        (At::Placing, Ev::Refused) if attempt.replaced < REPLACED_MAX => {
            Acquire { phase: At::Opening, replaced: attempt.replaced + 1 }
        }
        // The process that replaces the directory is at work on the session.
        (At::Placing, Ev::Refused) => to(At::LettingGo(Taken::Conflict)),
        (At::Describing, Ev::Did) => to(At::Done(Taken::Conflict)),
        (At::Reading, Ev::Judged(Judgement::Takeable)) => to(At::Writing),
        (At::Reading, Ev::Judged(Judgement::NotOurs)) => to(At::LettingGo(Taken::Conflict)),
        (At::Writing, Ev::Did) => to(At::Done(Taken::Granted)),
        (At::Opening | At::Locking | At::Describing, Ev::Failed) => to(At::Done(Taken::Failed)),
        (At::Placing | At::Reading | At::Writing, Ev::Failed) => to(At::LettingGo(Taken::Failed)),
        // A lock that cannot be unlocked goes with the descriptor.
        (At::LettingGo(taken), Ev::Did | Ev::Failed) => to(At::Done(taken)),
        (At::Opening | At::Describing | At::Writing | At::LettingGo(_), Ev::Refused | Ev::Judged(_))
        | (At::Locking | At::Placing, Ev::Judged(_))
        | (At::Reading, Ev::Did | Ev::Refused)
        | (At::Done(_), Ev::Did | Ev::Refused | Ev::Judged(_) | Ev::Failed) => attempt,
    }
}
