//! The events of a session, derived from two looks at it.
//!
//! # Invariants
//! 1. An end is reported once for each start that was seen, even if the next start was seen first. A start that is seen late
//!    gives the events that a watcher in time would have seen.
//! 2. Nothing follows the end of a start but a later start or the removal of the session.
//! 3. A session that cannot be judged gives no event: unknown is never dead.
//!
//! Checked by `gates/tests/events.rs`.

use crate::effects::ChildExit;
use crate::prelude::*;
use crate::process::exit::EndedBy;
use crate::process::id::Generation;
use crate::session::evidence::LastWorker;
use crate::session::record::RecordState;
use serde::Serialize;

/// How far a start has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// A launcher starts the worker, or waits until it is ready.
    Starting,
    /// The worker was ready, and runs.
    Ready,
    /// The worker runs, and its launcher gave up without an observation: the claim is retained.
    Retained,
    /// The worker is gone.
    Ended(End),
}

/// The end of a worker, as far as known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct End {
    /// The exit; `None` if unknown.
    pub exit: Option<ChildExit>,
    /// The cause; `None` if unknown.
    pub by: Option<EndedBy>,
}

/// One look at a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seen {
    /// The start.
    pub generation: Generation,
    /// Whether the worker has been ready.
    pub was_ready: bool,
    /// How far the start has come.
    pub phase: Phase,
}

/// What the first look at a start tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstLook {
    /// The present state alone: the watch begins.
    State,
    /// Every event of the start up to now: the start began during the watch.
    History,
}

/// Whether a launcher holds the claim of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Launcher {
    /// A launcher holds the claim.
    AtWork,
    /// No launcher holds the claim.
    Away,
}

/// The phase of a start; `None` if the facts do not tell. `end` is the end as far as known, should the worker be gone.
pub fn phase(recorded: Option<RecordState>, last: LastWorker, launcher: Launcher, end: End) -> Option<Phase> {
    use {LastWorker as W, RecordState as R};
    match (last, recorded) {
        (W::Unknown, _) | (W::Gone | W::AliveUnobserved | W::AliveReady, None) => None,
        // Its launcher has yet to create the process, or to write down how the process ended.
        (W::Gone, Some(R::Starting)) if launcher == Launcher::AtWork => Some(Phase::Starting),
        (W::Gone, Some(R::Starting | R::Ready | R::Retained | R::Exited)) => Some(Phase::Ended(end)),
        (W::AliveUnobserved | W::AliveReady, Some(R::Starting)) => Some(Phase::Starting),
        (W::AliveUnobserved | W::AliveReady, Some(R::Ready)) => Some(Phase::Ready),
        (W::AliveUnobserved | W::AliveReady, Some(R::Retained)) => Some(Phase::Retained),
        // A process is left of a worker whose end is written down.
        (W::AliveUnobserved | W::AliveReady, Some(R::Exited)) => None,
    }
}

/// What happened to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happened {
    /// A launcher starts the first worker of the session.
    Starting,
    /// A launcher starts another worker of the session.
    Restarting,
    /// The worker is ready.
    Ready,
    /// The worker has ended, not by a stop.
    Exited,
    /// The worker was stopped.
    Stopped,
    /// The launcher gave up without an observation, and retained the claim.
    Retained,
    /// The retained claim is no longer retained.
    Released,
    /// The session was removed.
    Removed,
}

impl Happened {
    /// The word for JSON and for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Restarting => "restarting",
            Self::Ready => "ready",
            Self::Exited => "exited",
            Self::Stopped => "stopped",
            Self::Retained => "retained",
            Self::Released => "released",
            Self::Removed => "removed",
        }
    }

    /// Whether no further event of the same start follows.
    pub const fn is_end(self) -> bool {
        match self {
            Self::Exited | Self::Stopped | Self::Removed => true,
            Self::Starting | Self::Restarting | Self::Ready | Self::Retained | Self::Released => false,
        }
    }
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Event {
    /// The start.
    pub generation: Generation,
    /// What happened.
    pub happened: Happened,
    /// The end, for [`Happened::Exited`] and [`Happened::Stopped`].
    pub end: End,
}

impl Event {
    const fn of(generation: Generation, happened: Happened) -> Self {
        Self { generation, happened, end: End { exit: None, by: None } }
    }

    fn ended(generation: Generation, end: End) -> Self {
        let happened = if end.by == Some(EndedBy::Stop) { Happened::Stopped } else { Happened::Exited };
        Self { generation, happened, end }
    }
}

/// A look that shows the session, that shows no session, or that tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Look {
    /// The session is there.
    Seen(Seen),
    /// The session does not exist.
    Absent,
    /// The session cannot be judged.
    Unclear,
}

/// The state to remember after a look, and the events since `before`. `learned` is the end of the worker of `before`, as
/// far as a watcher of that worker learned it.
#[must_use = "an event that is dropped is never reported again"]
pub fn advance(
    before: Option<Seen>,
    now: Look,
    learned: End,
    first: FirstLook,
) -> (Option<Seen>, Vec<Event>) {
    match (before, now) {
        (before, Look::Unclear) => (before, Vec::new()),
        (None, Look::Absent) => (None, Vec::new()),
        (Some(before), Look::Absent) => {
            let mut events = end_of(before, learned);
            events.push(Event::of(before.generation, Happened::Removed));
            (None, events)
        }
        (None, Look::Seen(now)) => (Some(now), met(now, first)),
        (Some(before), Look::Seen(now)) if now.generation == before.generation => {
            let events = progress(before, now);
            // A start does not go back.
            let goes_on = !events.is_empty() || before.phase == now.phase;
            (Some(if goes_on { now } else { before }), events)
        }
        (Some(before), Look::Seen(now)) => {
            let mut events = end_of(before, learned);
            events.extend(met(now, FirstLook::History));
            (Some(now), events)
        }
    }
}

/// The events of a start that is seen for the first time.
fn met(now: Seen, first: FirstLook) -> Vec<Event> {
    let is_first = now.generation <= Generation::new(1);
    let started = Event::of(now.generation, if is_first { Happened::Starting } else { Happened::Restarting });
    let begun = Seen { was_ready: false, phase: Phase::Starting, ..now };
    let mut events = Vec::from([started]);
    events.extend(progress(begun, now));
    match first {
        FirstLook::History => events,
        FirstLook::State => events.pop().into_iter().collect(),
    }
}

/// The end of a start that was not seen to end.
fn end_of(before: Seen, learned: End) -> Vec<Event> {
    progress(before, Seen { phase: Phase::Ended(learned), ..before })
}

/// The events between two looks at one start.
fn progress(before: Seen, now: Seen) -> Vec<Event> {
    let released =
        (before.phase == Phase::Retained && now.phase != Phase::Retained).then_some(Happened::Released);
    let is_newly_ready = match (before.phase, now.phase) {
        (Phase::Starting | Phase::Retained, Phase::Ready) => true,
        (Phase::Starting | Phase::Retained, Phase::Ended(_)) => now.was_ready && !before.was_ready,
        (Phase::Starting | Phase::Retained, Phase::Starting | Phase::Retained)
        | (Phase::Ready | Phase::Ended(_), _) => false,
    };
    let last = match (before.phase, now.phase) {
        // Nothing follows an end.
        (Phase::Ended(_), _) => return Vec::new(),
        (Phase::Starting | Phase::Ready, Phase::Retained) => {
            Some(Event::of(now.generation, Happened::Retained))
        }
        (Phase::Starting | Phase::Ready | Phase::Retained, Phase::Ended(end)) => {
            Some(Event::ended(now.generation, end))
        }
        (Phase::Starting | Phase::Ready | Phase::Retained, Phase::Starting | Phase::Ready)
        | (Phase::Retained, Phase::Retained) => None,
    };
    let happened = released.into_iter().chain(is_newly_ready.then_some(Happened::Ready));
    happened.map(|happened| Event::of(now.generation, happened)).chain(last).collect()
}
