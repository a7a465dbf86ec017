//! What is written down once a start was observed, and how its claim goes.
//!
//! ```text
//! Writing → (ended: Looking → Clearing) → giving the claim up → Done
//! ```
//!
//! # Invariants
//! 1. The record is completed before the claim is released, by what was heard: an exit beats a socket.
//! 2. The socket of a worker that ended is removed under the claim, and only if nobody listens there.
//! 3. The claim goes in any case: a record that cannot be completed loses nothing, since the lifeline says who the worker is.
//!
//! Walked inside every transaction by `gates/tests/transactions.rs`.

use super::order::Room;
use crate::claim::give_up::{self, GiveUp, GiveUpEffect, GiveUpEvent};

/// What was heard of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Heard {
    /// Its worker ended.
    Exit,
    /// Its worker is ready.
    Ready,
    /// Nothing: its process was never started.
    Nothing,
}

/// Facts of a start that were noted, whichever came first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Noted {
    /// Whether an exit was heard.
    pub exit: bool,
    /// Whether the worker was seen to be ready.
    pub ready: bool,
}

impl Noted {
    /// What these facts amount to.
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

/// What is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an effect that is dropped leaves the claim held"]
pub enum SettleEffect {
    /// Complete the record by what was heard, if there is a record. Answer: [`SettleEvent::Did`].
    WriteRecord(Heard),
    /// Mark the record retained, if there is a record. Answer: [`SettleEvent::Did`].
    WriteRetained,
    /// Look at the socket of the worker that ended. Answer: [`SettleEvent::Room`].
    LookAtSocket,
    /// Remove that socket. Answer: [`SettleEvent::Did`].
    RemoveSocket,
    /// A step of giving the claim up. Answer: [`SettleEvent::GaveUp`].
    GiveUp(GiveUpEffect),
}

/// What came of the present effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SettleEvent {
    /// It was done, or it failed, which changes nothing.
    Did,
    /// What stands at the socket's path.
    Room(Room),
    /// What came of a step of giving the claim up.
    GaveUp(GiveUpEvent),
}

impl Settle {
    /// The end of a start of which something was heard: its claim is released.
    pub const fn released(heard: Heard) -> Self {
        Self { phase: Phase::Writing(heard) }
    }

    /// The end of a start of which nothing could be observed: its claim is retained.
    pub const fn retained() -> Self {
        Self { phase: Phase::WritingRetained }
    }

    /// A claim under which there is nothing to write down.
    pub const fn release_alone() -> Self {
        Self { phase: Phase::GivingUp(GiveUp::RELEASE) }
    }

    /// What is to be done next.
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

/// Takes what came of the present effect. An answer that the effect cannot have changes nothing.
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
