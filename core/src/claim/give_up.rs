//! The steps of giving up a claim: released after an observation, or kept as evidence if nothing could be observed.
//!
//! ```text
//! release:  Placing → Judging → Removing → Unlocking → Done(Released)
//! retain:   Placing ─────────→ Marking  → Unlocking → Done(Retained)
//! ```
//!
//! # Invariants
//! 1. Evidence is changed only in the held directory, and removed only if the evidence belongs to this very claim.
//! 2. Every end unlocks the kernel's lock, so that no launcher waits for a claim with unchangeable evidence.
//!
//! Walked by `gates/tests/claim_steps.rs`, and inside every transaction by `gates/tests/transactions.rs`.

/// A claim that is being given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GiveUp {
    ending: Ending,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Ending {
    Release,
    Retain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Placing,
    Judging,
    Removing,
    Marking,
    Unlocking(GivenUp),
    Done(GivenUp),
}

/// The end of a claim. The kernel's lock is unlocked in every case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GivenUp {
    /// The evidence is gone.
    Released,
    /// The evidence stays, marked retained.
    Retained,
    /// The evidence in place belongs to another claim, and was left alone.
    NotOurs,
    /// The directory has lost its name, and nothing in it was changed.
    Replaced,
    /// A step failed.
    Failed,
}

/// The next step, or the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an effect that is dropped leaves the claim held"]
pub enum GiveUpEffect {
    /// Ask whether the directory still has its name. Answer: [`GiveUpEvent::Did`] or [`GiveUpEvent::Refused`].
    CheckPlace,
    /// Read the evidence. Answer: [`GiveUpEvent::Read`].
    ReadEvidence,
    /// Remove the evidence. Answer: [`GiveUpEvent::Did`].
    RemoveEvidence,
    /// Write the evidence anew, marked retained. Answer: [`GiveUpEvent::Did`].
    MarkRetained,
    /// Unlock the directory. Answer: [`GiveUpEvent::Did`].
    Unlock,
    /// Nothing: the claim is given up.
    Done(GivenUp),
}

/// The answer to an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GiveUpEvent {
    /// The effect was performed; of a question, the answer is yes.
    Did,
    /// The directory has lost its name.
    Refused,
    /// The evidence was read.
    Read(Whose),
    /// The effect failed.
    Failed,
}

/// The owner of the evidence in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// This claim: the file that this claim wrote, with the claim's nonce.
    Ours,
    /// Another claim.
    Others,
    /// No claim: the evidence was removed by hand.
    Nobodys,
}

impl GiveUp {
    /// The release of a claim.
    pub const RELEASE: Self = Self { ending: Ending::Release, phase: Phase::Placing };
    /// The retention of a claim as evidence.
    pub const RETAIN: Self = Self { ending: Ending::Retain, phase: Phase::Placing };

    /// The next step.
    pub fn effect(self) -> GiveUpEffect {
        match self.phase {
            Phase::Placing => GiveUpEffect::CheckPlace,
            Phase::Judging => GiveUpEffect::ReadEvidence,
            Phase::Removing => GiveUpEffect::RemoveEvidence,
            Phase::Marking => GiveUpEffect::MarkRetained,
            Phase::Unlocking(_) => GiveUpEffect::Unlock,
            Phase::Done(given_up) => GiveUpEffect::Done(given_up),
        }
    }
}

/// Takes the answer to the present effect. An answer that the effect cannot have changes nothing.
#[must_use = "a claim that is not given up to the end stays held"]
pub fn step(claim: GiveUp, event: GiveUpEvent) -> GiveUp {
    use {GiveUpEvent as Ev, Phase as At};
    let to = |phase| GiveUp { phase, ..claim };
    match (claim.phase, event) {
        (At::Placing, Ev::Did) => match claim.ending {
            Ending::Release => to(At::Judging),
            Ending::Retain => to(At::Marking),
        },
        (At::Placing, Ev::Refused) => to(At::Unlocking(GivenUp::Replaced)),
        (At::Judging, Ev::Read(Whose::Ours)) => to(At::Removing),
        (At::Judging, Ev::Read(Whose::Nobodys)) | (At::Removing, Ev::Did) => {
            to(At::Unlocking(GivenUp::Released))
        }
        (At::Judging, Ev::Read(Whose::Others)) => to(At::Unlocking(GivenUp::NotOurs)),
        (At::Marking, Ev::Did) => to(At::Unlocking(GivenUp::Retained)),
        (At::Placing | At::Judging | At::Removing | At::Marking, Ev::Failed) => {
            to(At::Unlocking(GivenUp::Failed))
        }
        (At::Unlocking(given_up), Ev::Did) => to(At::Done(given_up)),
        // A lock that cannot be unlocked goes with the descriptor; earlier steps stay done.
        (At::Unlocking(_), Ev::Failed) => to(At::Done(GivenUp::Failed)),
        (At::Placing, Ev::Read(_))
        | (At::Judging, Ev::Did | Ev::Refused)
        | (At::Removing | At::Marking | At::Unlocking(_), Ev::Refused | Ev::Read(_))
        | (At::Done(_), Ev::Did | Ev::Refused | Ev::Read(_) | Ev::Failed) => claim,
    }
}
