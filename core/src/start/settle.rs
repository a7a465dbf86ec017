//! The end of a start: the writes after an observation, and the release of the claim.
//!
//! ```text
//! Writing → (ended: Looking → Clearing) → giving the claim up → Done
//! ```
//!
//! # Invariants
//! 1. The record is completed before the claim is released, by the facts heard: an exit beats a socket.
//! 2. The socket of an ended worker is removed under the claim, and only if no process listens on the socket.
//! 3. The claim is released in any case: an incomplete record loses nothing, since the lifeline's mark identifies the
//!    worker.
//!
//! Walked inside every transaction by `gates/tests/transactions.rs`.

use super::order::Room;
use crate::claim::give_up::{self, GiveUp, GiveUpEffect, GiveUpEvent};

/// The fact heard about a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Heard {
    /// The worker ended.
    Exit,
    /// The worker is ready.
    Ready,
    /// Nothing: the process was never started.
    Nothing,
}

/// The noted facts of a start, in any order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Noted {
    /// Whether an exit was heard.
    pub exit: bool,
    /// Whether readiness was heard.
    pub ready: bool,
}

impl Noted {
    /// The deciding fact.
    pub fn heard(self) -> Heard {
        match (self.exit, self.ready) {
            (true, true | false) => Heard::Exit,
            (false, true) => Heard::Ready,
            (false, false) => Heard::Nothing,
        }
    }
}

/// The end of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Settle {
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Writing(Heard),
    WritingRetained,
    Looking,
    Clearing,
    GivingUp(GiveUp),
}

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an effect that is dropped leaves the claim held"]
pub enum SettleEffect {
    /// Complete the record by the fact heard, if there is a record. Answer: [`SettleEvent::Did`].
    WriteRecord(Heard),
    /// Mark the record retained, if there is a record. Answer: [`SettleEvent::Did`].
    WriteRetained,
    /// Look at the socket of the ended worker. Answer: [`SettleEvent::Room`].
    LookAtSocket,
    /// Remove that socket. Answer: [`SettleEvent::Did`].
    RemoveSocket,
    /// A step of giving the claim up. Answer: [`SettleEvent::GaveUp`].
    GiveUp(GiveUpEffect),
}

/// The answer to an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SettleEvent {
    /// The effect was performed, or failed; a failure changes nothing.
    Did,
    /// The file at the socket's path.
    Room(Room),
    /// The answer to a step of giving the claim up.
    GaveUp(GiveUpEvent),
}

impl Settle {
    /// The end of an observed start: the claim is released.
    pub const fn released(heard: Heard) -> Self {
        Self { phase: Phase::Writing(heard) }
    }

    /// The end of a start without an observation: the claim is retained.
    pub const fn retained() -> Self {
        Self { phase: Phase::WritingRetained }
    }

    /// The release of a claim without a write.
    pub const fn release_alone() -> Self {
        Self { phase: Phase::GivingUp(GiveUp::RELEASE) }
    }

    /// The next step.
    pub fn effect(self) -> SettleEffect {
        match self.phase {
            Phase::Writing(heard) => SettleEffect::WriteRecord(heard),
            Phase::WritingRetained => SettleEffect::WriteRetained,
            Phase::Looking => SettleEffect::LookAtSocket,
            Phase::Clearing => SettleEffect::RemoveSocket,
            Phase::GivingUp(claim) => SettleEffect::GiveUp(claim.effect()),
        }
    }
}

/// Takes the answer to the present effect. An answer that the effect cannot have changes nothing.
#[must_use = "a start that is not settled to its end keeps its claim held"]
pub fn step(settle: Settle, event: SettleEvent) -> Settle {
    use {Phase as At, SettleEvent as Ev};
    let to = |phase| Settle { phase };
    match (settle.phase, event) {
        (At::Writing(Heard::Exit), Ev::Did) => to(At::Looking),
        (At::Writing(Heard::Ready | Heard::Nothing), Ev::Did)
        | (At::Looking, Ev::Room(Room::Free | Room::Taken))
        | (At::Clearing, Ev::Did) => to(At::GivingUp(GiveUp::RELEASE)),
        (At::Looking, Ev::Room(Room::Stale)) => to(At::Clearing),
        (At::WritingRetained, Ev::Did) => to(At::GivingUp(GiveUp::RETAIN)),
        (At::GivingUp(claim), Ev::GaveUp(event)) => to(At::GivingUp(give_up::step(claim, event))),
        (At::Writing(_) | At::WritingRetained | At::Clearing, Ev::Room(_) | Ev::GaveUp(_))
        | (At::Looking, Ev::Did | Ev::GaveUp(_))
        | (At::GivingUp(_), Ev::Did | Ev::Room(_)) => settle,
    }
}
