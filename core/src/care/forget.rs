//! Forgets a session with an unjudged worker. No process is signalled.
//!
//! ```text
//! Locking → Looking → RemovingClaim → (unjudged: RemovingLifeline → SettingAside) → Unlocking → Done
//! ```
//!
//! # Invariants
//! 1. A worker that is known to run, or whose lifeline is held, is not forgotten.
//! 2. The lifeline goes before the record: a record without a lifeline leads to a search for the lifeline, and a
//!    lifeline without a record counts as a living worker.
//!
//! Each rule has a test in `gates/tests/care.rs`.

use crate::session::evidence::{LastWorker, Lifeline};
use crate::session::view::{RecordIs, View};

/// The forgetting of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Forget {
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Locking,
    Looking,
    RemovingClaim(View),
    RemovingLifeline(RecordIs),
    SettingAside,
    Unlocking(Conclusion),
    Done(Conclusion),
}

/// The next step, or the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an effect that is dropped leaves the session as it is"]
pub enum Effect {
    /// Lock the session's directory without waiting. Answer: [`Event::Did`] or [`Event::Refused`].
    Lock,
    /// Read the state of the session. Answer: [`Event::Looked`].
    Look,
    /// Remove the evidence of the claim. Answer: [`Event::Did`].
    RemoveClaim,
    /// Remove the lifeline. Answer: [`Event::Did`].
    RemoveLifeline,
    /// Rename the record. Answer: [`Event::Did`].
    SetRecordAside,
    /// Unlock the directory. Answer: [`Event::Did`].
    Unlock,
    /// Nothing: the forgetting is over.
    Done(Conclusion),
}

/// The answer to an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The effect was performed.
    Did,
    /// Another process holds the lock.
    Refused,
    /// The state of the session.
    Looked(View),
    /// The effect failed.
    Failed,
}

/// The end of a forgetting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conclusion {
    /// The worker was provably gone, and only the claim was cleared.
    WasGone,
    /// The session is forgotten, without proof of the worker's end.
    Forgotten,
    /// A launcher holds the claim.
    Held,
    /// The worker is known to run.
    StillRuns,
    /// A later version wrote the record.
    RecordNewer,
    /// The record cannot be read.
    RecordCorrupt,
    /// A step failed.
    Failed,
}

impl Default for Forget {
    fn default() -> Self {
        Self { phase: Phase::Locking }
    }
}

impl Forget {
    /// The next step.
    pub fn effect(self) -> Effect {
        match self.phase {
            Phase::Locking => Effect::Lock,
            Phase::Looking => Effect::Look,
            Phase::RemovingClaim(_) => Effect::RemoveClaim,
            Phase::RemovingLifeline(_) => Effect::RemoveLifeline,
            Phase::SettingAside => Effect::SetRecordAside,
            Phase::Unlocking(_) => Effect::Unlock,
            Phase::Done(conclusion) => Effect::Done(conclusion),
        }
    }
}

fn judge(view: &View) -> Phase {
    match (view.record, view.last, view.lifeline) {
        (RecordIs::Corrupt, _, _) => Phase::Unlocking(Conclusion::RecordCorrupt),
        (RecordIs::Newer, _, _) => Phase::Unlocking(Conclusion::RecordNewer),
        (_, LastWorker::AliveUnobserved | LastWorker::AliveReady, _)
        | (_, LastWorker::Unknown, Lifeline::Held) => Phase::Unlocking(Conclusion::StillRuns),
        (_, LastWorker::Unknown, Lifeline::Free | Lifeline::Missing | Lifeline::Unreadable)
        | (_, LastWorker::Gone, _) => Phase::RemovingClaim(*view),
    }
}

/// Takes the answer to the present effect. An answer that the effect cannot have changes nothing.
#[must_use = "the session is forgotten only at the end"]
pub fn step(forget: Forget, event: Event) -> Forget {
    use {Event as Ev, Phase as At};
    let phase = match (forget.phase, event) {
        (At::Locking, Ev::Did) => At::Looking,
        (At::Locking, Ev::Refused) => At::Done(Conclusion::Held),
        (At::Locking, Ev::Failed) => At::Done(Conclusion::Failed),
        (At::Looking, Ev::Looked(view)) => judge(&view),
        (At::RemovingClaim(view), Ev::Did) if view.last == LastWorker::Gone => {
            At::Unlocking(Conclusion::WasGone)
        }
        (At::RemovingClaim(view), Ev::Did) => At::RemovingLifeline(view.record),
        (At::RemovingLifeline(RecordIs::NamesWorker | RecordIs::NamesNobody), Ev::Did) => At::SettingAside,
        (At::RemovingLifeline(RecordIs::Absent | RecordIs::Newer | RecordIs::Corrupt), Ev::Did)
        | (At::SettingAside, Ev::Did) => At::Unlocking(Conclusion::Forgotten),
        (At::Looking | At::RemovingClaim(_) | At::RemovingLifeline(_) | At::SettingAside, Ev::Failed) => {
            At::Unlocking(Conclusion::Failed)
        }
        (At::Unlocking(conclusion), Ev::Did | Ev::Failed) => At::Done(conclusion),
        (
            phase @ (At::Locking
            | At::Looking
            | At::RemovingClaim(_)
            | At::RemovingLifeline(_)
            | At::SettingAside
            | At::Unlocking(_)
            | At::Done(_)),
            Ev::Did | Ev::Refused | Ev::Looked(_) | Ev::Failed,
        ) => phase,
    };
    Forget { phase }
}
