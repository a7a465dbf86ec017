//! The stop of a session: the permitted signals, and the clean-up.
//!
//! ```text
//! Asking → Looking ┬ torn ─→ Pausing ─→ Asking
//!                  ├ gone ─→ Probing ─→ (clean up) ─→ Done(NotRunning)
//!                  └ else ─→ Pinning ─→ (Counting) ─→ Ending ─→ (clean up) ─→ Done(Ended)
//! clean up: Acquiring → LookingUnderClaim → LookingAtSocket → RemovingSocket → Writing → Releasing
//! ```
//!
//! # Invariants
//! 1. Signals go to the observed generation, without the claim: a stop does not wait for a launcher.
//! 2. An unjudged worker is not signalled, unless this process sees a holder of the worker's lifeline.
//! 3. The clean-up happens under the claim, if the claim is free, and only if the session still has the same generation
//!    and its worker is provably gone.
//! 4. An ended worker is reported as ended, even if nothing could be written.
//!
//! Walked by `gates/tests/transactions.rs` over a simulated kernel; each rule has a test in `gates/tests/stop_session.rs`.

use super::StopEnd;
use crate::ensure::decide::Liveness;
use crate::process::id::Generation;
use crate::session::evidence::{LastWorker, Lifeline};
pub use crate::session::record::EndedBy;
use crate::session::view::{Coherence, RecordIs, View};
use crate::start::order::Room;

/// A stop of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StopSession {
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Asking,
    Looking(Launcher),
    Pausing,
    Probing(View),
    Pinning(View),
    Counting(View),
    Ending(Generation),
    Cleaning(Cleaning),
    Done(Conclusion),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Launcher {
    AtWork,
    Away,
}

/// The clean-up, and the conclusion afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Cleaning {
    generation: Generation,
    step: Step,
    conclusion: Conclusion,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Acquiring,
    Looking,
    LookingAtSocket,
    RemovingSocket,
    Writing,
    Releasing,
}

/// The next step, or the end of the stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an effect that is dropped leaves the stop where it is"]
pub enum Effect {
    /// Ask whether a launcher holds the claim. Answer: [`Event::Did`] if so, else [`Event::Refused`].
    AskClaim,
    /// Read the state of the session. Answer: [`Event::Looked`].
    Look,
    /// Give the launcher time for its next step. Answer: [`Event::Did`], or [`Event::Late`].
    Pause,
    /// Probe the socket of a session whose worker is gone. Answer: [`Event::Probed`].
    Probe,
    /// Pin the observed worker, so that no other process can be signalled instead. Answer: [`Event::Did`].
    Pin,
    /// Ask whether this process sees a process of the worker. Answer: [`Event::Did`] if so, else [`Event::Refused`].
    CountMembers,
    /// End the worker. Answer: [`Event::Ended`].
    End,
    /// Take the claim. Answer: [`Event::Did`], or [`Event::Refused`] if another process holds the claim.
    Acquire,
    /// Read the state under the claim. Answer: [`Event::Looked`].
    LookUnderClaim,
    /// Look at the worker's socket. Answer: [`Event::Room`].
    LookAtSocket,
    /// Remove that socket. Answer: [`Event::Did`].
    RemoveSocket,
    /// Record the end of the worker. Answer: [`Event::Did`].
    WriteExited(EndedBy),
    /// Release the claim. Answer: [`Event::Did`].
    Release,
    /// Nothing: the stop is over.
    Done(Conclusion),
}

/// The answer to an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The effect was performed; of a question, the answer is yes.
    Did,
    /// The answer is no.
    Refused,
    /// The state of the session.
    Looked(View),
    /// The result of the probe.
    Probed(Liveness),
    /// The file at the socket's path.
    Room(Room),
    /// The end of the worker's stop.
    Ended(StopEnd),
    /// There is no time left.
    Late,
    /// The effect failed.
    Failed,
}

/// The end of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conclusion {
    /// There was no worker to stop.
    NotRunning,
    /// The worker was signalled; the field has the result.
    Ended(StopEnd),
    /// The session never existed.
    Unknown,
    /// The worker cannot be judged from this process, so no process was signalled.
    Unjudged,
    /// The lifeline is held, and the generation of the holder is unknown.
    Torn,
    /// A start did not finish its step in time.
    StartInProgress,
    /// A later version wrote the record.
    RecordNewer,
    /// The record cannot be read.
    RecordCorrupt,
    /// The answering process is no worker of ours.
    NotManaged,
    /// A step failed before any signal.
    Failed,
}

impl Default for StopSession {
    fn default() -> Self {
        Self { phase: Phase::Asking }
    }
}

impl StopSession {
    /// The next step.
    pub fn effect(self) -> Effect {
        match self.phase {
            Phase::Asking => Effect::AskClaim,
            Phase::Looking(_) => Effect::Look,
            Phase::Pausing => Effect::Pause,
            Phase::Probing(_) => Effect::Probe,
            Phase::Pinning(_) => Effect::Pin,
            Phase::Counting(_) => Effect::CountMembers,
            Phase::Ending(_) => Effect::End,
            Phase::Cleaning(cleaning) => cleaning.effect(),
            Phase::Done(conclusion) => Effect::Done(conclusion),
        }
    }

    /// Whether the stop holds the claim, so that the claim's evidence has to be in place.
    pub fn holds_claim(self) -> bool {
        match self.phase {
            Phase::Cleaning(Cleaning { step, .. }) => step != Step::Acquiring,
            Phase::Asking
            | Phase::Looking(_)
            | Phase::Pausing
            | Phase::Probing(_)
            | Phase::Pinning(_)
            | Phase::Counting(_)
            | Phase::Ending(_)
            | Phase::Done(_) => false,
        }
    }
}

impl Cleaning {
    fn effect(self) -> Effect {
        match self.step {
            Step::Acquiring => Effect::Acquire,
            Step::Looking => Effect::LookUnderClaim,
            Step::LookingAtSocket => Effect::LookAtSocket,
            Step::RemovingSocket => Effect::RemoveSocket,
            Step::Writing => Effect::WriteExited(match self.conclusion {
                Conclusion::Ended(_) => EndedBy::Stop,
                Conclusion::NotRunning
                | Conclusion::Unknown
                | Conclusion::Unjudged
                | Conclusion::Torn
                | Conclusion::StartInProgress
                | Conclusion::RecordNewer
                | Conclusion::RecordCorrupt
                | Conclusion::NotManaged
                | Conclusion::Failed => EndedBy::Worker,
            }),
            Step::Releasing => Effect::Release,
        }
    }

    fn step(self, event: Event) -> Phase {
        use {Event as Ev, Step as At};
        let to = |step| Phase::Cleaning(Self { step, ..self });
        match (self.step, event) {
            (At::Acquiring, Ev::Did) => to(At::Looking),
            // The holder of the claim is deciding about the session now, and sees the same facts.
            (At::Acquiring, Ev::Refused | Ev::Failed) => Phase::Done(self.conclusion),
            (At::Looking, Ev::Looked(now)) => {
                let is_same = now.generation == self.generation && now.last == LastWorker::Gone;
                to(if is_same { At::LookingAtSocket } else { At::Releasing })
            }
            (At::LookingAtSocket, Ev::Room(Room::Stale)) => to(At::RemovingSocket),
            (At::LookingAtSocket, Ev::Room(Room::Free | Room::Taken)) | (At::RemovingSocket, Ev::Did) => {
                to(At::Writing)
            }
            (At::Writing, Ev::Did)
            | (At::Looking | At::LookingAtSocket | At::RemovingSocket | At::Writing, Ev::Failed) => {
                to(At::Releasing)
            }
            (At::Releasing, Ev::Did | Ev::Failed) => Phase::Done(self.conclusion),
            (
                At::Acquiring
                | At::Looking
                | At::LookingAtSocket
                | At::RemovingSocket
                | At::Writing
                | At::Releasing,
                Ev::Did | Ev::Refused | Ev::Looked(_) | Ev::Probed(_) | Ev::Room(_) | Ev::Ended(_) | Ev::Late,
            ) => Phase::Cleaning(self),
        }
    }
}

/// The facts of the look decide which worker the stop may signal.
fn judge(view: &View, launcher: Launcher) -> Phase {
    match (view.coherence, launcher) {
        (Coherence::Torn, Launcher::AtWork) => return Phase::Pausing,
        (Coherence::Torn, Launcher::Away) => return Phase::Done(Conclusion::Torn),
        (Coherence::OneStart, Launcher::AtWork | Launcher::Away) => {}
    }
    match view.record {
        RecordIs::Newer => Phase::Done(Conclusion::RecordNewer),
        RecordIs::Corrupt if view.is_all_gone() => Phase::Done(Conclusion::RecordCorrupt),
        RecordIs::Absent | RecordIs::NamesWorker | RecordIs::NamesNobody | RecordIs::Corrupt => {
            if view.is_all_gone() { Phase::Probing(*view) } else { Phase::Pinning(*view) }
        }
    }
}

/// Of an unjudged worker, only a holder of the lifeline seen by this process may be signalled.
fn pinned(view: &View) -> Phase {
    match (view.last, view.lifeline) {
        (LastWorker::Unknown, Lifeline::Held) => Phase::Counting(*view),
        (LastWorker::Unknown, Lifeline::Free | Lifeline::Missing | Lifeline::Unreadable) => {
            Phase::Done(Conclusion::Unjudged)
        }
        (LastWorker::Gone | LastWorker::AliveUnobserved | LastWorker::AliveReady, _) => {
            Phase::Ending(view.generation)
        }
    }
}

fn clean_up(generation: Generation, conclusion: Conclusion) -> Phase {
    Phase::Cleaning(Cleaning { generation, step: Step::Acquiring, conclusion })
}

/// Takes the answer to the present effect. An answer that the effect cannot have changes nothing.
#[must_use = "the stop goes on from where this leads"]
pub fn step(stop: StopSession, event: Event) -> StopSession {
    use {Event as Ev, Phase as At};
    let phase = match (stop.phase, event) {
        (At::Asking, Ev::Did) => At::Looking(Launcher::AtWork),
        (At::Asking, Ev::Refused) => At::Looking(Launcher::Away),
        (At::Looking(launcher), Ev::Looked(view)) => judge(&view, launcher),
        (At::Pausing, Ev::Did) => At::Asking,
        (At::Pausing, Ev::Late) => At::Done(Conclusion::StartInProgress),
        // A socket that answers although our worker is gone belongs to another program.
        (At::Probing(_), Ev::Probed(Liveness::Live)) => At::Done(Conclusion::NotManaged),
        (At::Probing(view), Ev::Probed(Liveness::Dormant | Liveness::Indeterminate | Liveness::Forged)) => {
            let conclusion = if view.is_known() { Conclusion::NotRunning } else { Conclusion::Unknown };
            clean_up(view.generation, conclusion)
        }
        (At::Pinning(view), Ev::Did) => pinned(&view),
        (At::Counting(view), Ev::Did) => At::Ending(view.generation),
        (At::Counting(_), Ev::Refused) => At::Done(Conclusion::Unjudged),
        (At::Ending(generation), Ev::Ended(end)) => clean_up(generation, Conclusion::Ended(end)),
        (At::Cleaning(cleaning), event) => cleaning.step(event),
        (At::Asking | At::Looking(_) | At::Pinning(_) | At::Counting(_), Ev::Failed) => {
            At::Done(Conclusion::Failed)
        }
        (
            phase @ (At::Asking
            | At::Looking(_)
            | At::Pausing
            | At::Probing(_)
            | At::Pinning(_)
            | At::Counting(_)
            | At::Ending(_)
            | At::Done(_)),
            Ev::Did
            | Ev::Refused
            | Ev::Looked(_)
            | Ev::Probed(_)
            | Ev::Room(_)
            | Ev::Ended(_)
            | Ev::Late
            | Ev::Failed,
        ) => phase,
    };
    StopSession { phase }
}
