//! The steps of holding a claim while a message is sent: nobody starts a worker meanwhile.
//!
//! ```text
//! Acquiring → Looking → Sending → Releasing → Done(Released)
//!    ↑  └─ held by another ─→ Waiting ─ late ─→ Done(Late)
//!    └───────────────────────────┘
//! ```
//!
//! # Invariants
//! 1. The claim is released once, and only as [`ReleasePolicy::ReleaseAfterSendFinal`] allows: after any end of the send.
//! 2. A send that could not begin has failed, and releases too.
//! 3. A conflict that does not pass by itself is not waited for.
//!
//! Checked by `gates/tests/hold.rs`, and among launchers by `gates/tests/transactions.rs`.

use crate::claim::release::{ReleaseEvent, ReleasePolicy, ReleaseState, SendFinal, reduce};

/// A claim for one send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hold {
    patience: Patience,
    released: ReleaseState,
    phase: Phase,
}

/// Whether a claimer waits for a claim held by another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Patience {
    /// No.
    None,
    /// Until a deadline.
    UntilDeadline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Acquiring,
    Waiting,
    Looking,
    Sending,
    Releasing(SendFinal),
    Done(Conclusion),
}

/// The end of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conclusion {
    /// The send has ended so, and the claim is released.
    Released(SendFinal),
    /// The send has ended so, and the claim could not be released.
    NotReleased(SendFinal),
    /// Another process has the claim.
    Conflict,
    /// Another process had the claim until the deadline.
    Late,
    /// The claim could not be asked for; nothing is held.
    Failed,
}

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an effect that is dropped leaves the claim held"]
pub enum Effect {
    /// Take the claim. Answer: [`Event::Did`], [`Event::Conflict`] or [`Event::Failed`].
    Acquire,
    /// Wait until the claim may have changed. Answer: [`Event::Did`] or [`Event::Late`].
    AwaitClaim,
    /// Look at the worker. Answer: [`Event::Did`] or [`Event::Failed`].
    Look,
    /// Send. Answer: [`Event::Sent`].
    Send,
    /// Release the claim. Answer: [`Event::Did`] or [`Event::Failed`].
    Release,
    /// Nothing: the hold is over.
    Done(Conclusion),
}

/// The answer to an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The effect was performed.
    Did,
    /// Another process has the claim.
    Conflict(Passes),
    /// The deadline has passed.
    Late,
    /// The send reached a final state.
    Sent(SendFinal),
    /// The effect failed.
    Failed,
}

/// Whether a conflict may pass by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Passes {
    /// A living process holds the claim.
    Yes,
    /// The evidence stays until a person clears it.
    No,
}

impl Hold {
    /// A hold that has not begun.
    pub const fn new(patience: Patience) -> Self {
        Self { patience, released: ReleaseState::Pending, phase: Phase::Acquiring }
    }

    /// The next step.
    pub const fn effect(self) -> Effect {
        match self.phase {
            Phase::Acquiring => Effect::Acquire,
            Phase::Waiting => Effect::AwaitClaim,
            Phase::Looking => Effect::Look,
            Phase::Sending => Effect::Send,
            Phase::Releasing(_) => Effect::Release,
            Phase::Done(conclusion) => Effect::Done(conclusion),
        }
    }

    /// Whether the claim is held.
    pub const fn holds_claim(self) -> bool {
        match self.phase {
            Phase::Looking | Phase::Sending | Phase::Releasing(_) => true,
            Phase::Acquiring | Phase::Waiting | Phase::Done(_) => false,
        }
    }

    /// The send has ended: the release policy decides.
    fn ended(self, end: SendFinal) -> Self {
        let event = ReleaseEvent::SendFinal(end);
        let (released, now) = reduce(ReleasePolicy::ReleaseAfterSendFinal, self.released, event);
        let phase = if now { Phase::Releasing(end) } else { self.phase };
        Self { released, phase, ..self }
    }
}

/// Takes the answer to the present effect. An answer that the effect cannot have changes nothing.
#[must_use = "a hold that is not carried to its end keeps the claim"]
pub fn step(hold: Hold, event: Event) -> Hold {
    use {Event as Ev, Phase as At};
    let to = |phase| Hold { phase, ..hold };
    match (hold.phase, event) {
        (At::Acquiring, Ev::Did) => to(At::Looking),
        (At::Acquiring, Ev::Conflict(Passes::Yes)) if hold.patience == Patience::UntilDeadline => {
            to(At::Waiting)
        }
        (At::Acquiring, Ev::Conflict(Passes::Yes | Passes::No)) => to(At::Done(Conclusion::Conflict)),
        (At::Acquiring, Ev::Failed) => to(At::Done(Conclusion::Failed)),
        (At::Waiting, Ev::Did) => to(At::Acquiring),
        (At::Waiting, Ev::Late) => to(At::Done(Conclusion::Late)),
        (At::Looking, Ev::Did) => to(At::Sending),
        (At::Looking, Ev::Failed) => hold.ended(SendFinal::Failed),
        (At::Sending, Ev::Sent(end)) => hold.ended(end),
        (At::Releasing(end), Ev::Did) => to(At::Done(Conclusion::Released(end))),
        (At::Releasing(end), Ev::Failed) => to(At::Done(Conclusion::NotReleased(end))),
        (At::Acquiring, Ev::Late | Ev::Sent(_))
        | (At::Waiting, Ev::Conflict(_) | Ev::Sent(_) | Ev::Failed)
        | (At::Looking, Ev::Conflict(_) | Ev::Late | Ev::Sent(_))
        | (At::Sending, Ev::Did | Ev::Conflict(_) | Ev::Late | Ev::Failed)
        | (At::Releasing(_), Ev::Conflict(_) | Ev::Late | Ev::Sent(_))
        | (At::Done(_), Ev::Did | Ev::Conflict(_) | Ev::Late | Ev::Sent(_) | Ev::Failed) => hold,
    }
}
