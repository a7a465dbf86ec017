//! Stopping a session: whom a stop may signal, and what it cleans up afterwards.
//!
//! ```text
//! Asking → Looking ┬ torn ─→ Pausing ─→ Asking
//!                  ├ gone ─→ Probing ─→ (clean up) ─→ Done(NotRunning)
//!                  └ else ─→ Pinning ─→ (Counting) ─→ Ending ─→ (clean up) ─→ Done(Ended)
//! clean up: Acquiring → LookingUnderClaim → LookingAtSocket → RemovingSocket → Writing → Releasing
//! ```
//!
//! # Invariants
//! 1. Signals go to the generation that was seen, without the claim: a stop does not wait for a launcher.
//! 2. A worker that cannot be judged is not signalled, unless a process that holds its lifeline is seen from here.
//! 3. What is cleaned up is cleaned up under the claim, if nobody holds it, and only if the session is still that
//!    generation and its worker provably gone.
//! 4. A worker that was ended is reported as ended, also if nothing could be written.
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

/// What is cleaned up, and what is concluded afterwards.
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

/// What is to be done next, or how the stop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an effect that is dropped leaves the stop where it is"]
pub enum Effect {
    /// Ask whether anybody holds the claim. Answer: [`Event::Did`] if so, else [`Event::Refused`].
    AskClaim,
    /// Read what is known of the session. Answer: [`Event::Looked`].
    Look,
    /// Give whoever is between two steps the time to take them. Answer: [`Event::Did`], or [`Event::Late`].
    Pause,
    /// Probe the socket of a session whose worker is gone. Answer: [`Event::Probed`].
    Probe,
    /// Pin the worker that was seen, so that no other process can be signalled in its place. Answer: [`Event::Did`].
    Pin,
    /// Ask whether a process of the worker is seen from here. Answer: [`Event::Did`] if so, else [`Event::Refused`].
    CountMembers,
    /// End the worker. Answer: [`Event::Ended`].
    End,
    /// Take the claim. Answer: [`Event::Did`], or [`Event::Refused`] if it is another's.
    Acquire,
    /// Read what is known, under the claim. Answer: [`Event::Looked`].
    LookUnderClaim,
    /// Look at the worker's socket. Answer: [`Event::Room`].
    LookAtSocket,
    /// Remove that socket. Answer: [`Event::Did`].
    RemoveSocket,
    /// Write down that the worker ended. Answer: [`Event::Did`].
    WriteExited(EndedBy),
    /// Release the claim. Answer: [`Event::Did`].
    Release,
    /// Nothing: it is over.
    Done(Conclusion),
}

/// What came of the present effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// It was done; of a question, the answer is yes.
    Did,
    /// The answer is no.
    Refused,
    /// What was seen.
    Looked(View),
    /// What the probe found.
    Probed(Liveness),
    /// What stands at the socket's path.
    Room(Room),
    /// How the stop of the worker ended.
    Ended(StopEnd),
    /// There is no time left.
    Late,
    /// It failed.
    Failed,
}

/// How a stop ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conclusion {
    /// There was no worker to stop.
    NotRunning,
    /// The worker was told to go, and this is what came of it.
    Ended(StopEnd),
    /// There never was such a session.
    Unknown,
    /// Whether the worker runs cannot be told from here, so nobody was signalled.
    Unjudged,
    /// Its lifeline is held, and does not say by which start.
    Torn,
    /// A start did not get past two of its steps in time.
    StartInProgress,
    /// A later version wrote the record.
    RecordNewer,
    /// The record cannot be read.
    RecordCorrupt,
    /// Somebody answers who is not a worker of ours.
    NotManaged,
    /// A step failed before anybody was signalled.
    Failed,
}

impl Default for StopSession {
    fn default() -> Self {
        Self { phase: Phase::Asking }
    }
}

impl StopSession {
    /// What is to be done next.
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

    /// Whether the claim is held, so that its evidence has to be in place.
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
            // Whoever holds the claim is deciding about the session now, and sees what is seen here.
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

/// Who is seen decides whom the stop may signal.
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

/// Somebody who holds the lifeline and is seen from here may be signalled; nobody else of a worker that is unjudged.
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

/// Takes what came of the present effect. An answer that the effect cannot have changes nothing.
#[must_use = "the stop goes on from where this leads"]
pub fn step(stop: StopSession, event: Event) -> StopSession {
    use {Event as Ev, Phase as At};
    let phase = match (stop.phase, event) {
        (At::Asking, Ev::Did) => At::Looking(Launcher::AtWork),
        (At::Asking, Ev::Refused) => At::Looking(Launcher::Away),
        (At::Looking(launcher), Ev::Looked(view)) => judge(&view, launcher),
        (At::Pausing, Ev::Did) => At::Asking,
        (At::Pausing, Ev::Late) => At::Done(Conclusion::StartInProgress),
        // A socket that answers although our worker is gone belongs to somebody else.
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
