//! The run of a start: a state machine that decides everything and performs nothing.
//!
//! ```text
//! Idle ─Begin→ Spawning ─SpawnStarted→ Observing ─TimeoutElapsed, SeamFailed→ Ending(term) ─GraceElapsed→ Ending(kill)
//!                 │                        │                                      │                         │      │
//!                 └SpawnFailed─────────────┴─SocketAlive, ChildExited─────────────┴─────────────────────────┘  GraceElapsed
//!                                                     ↓                                                           ↓
//!                                                 Releasing ─Released, ReleaseFailed→ Done(Settled)     Done(Retained)
//! ```
//!
//! # Invariants
//! 1. Pure: no clock, file, socket or randomness. Time arrives in events.
//! 2. [`Effect::Release`] has a single source: the reducer of [`crate::claim::release`], fed with facts. No arm emits a
//!    release.
//! 3. The claim is released at most once, and only on an observation; a timeout only ever kills.
//! 4. No process is killed after its exit is known.
//! 5. Total: every event in every phase has an arm; late facts change nothing and never panic.
//! 6. Bounded: from every phase a finite number of timers leads to [`Phase::Done`].
//!
//! Walked exhaustively by `gates/tests/resume_walk.rs`; each rule has a test in `gates/tests/execute.rs`.

use crate::claim::release::{ReleaseEvent, ReleasePolicy, ReleaseState, reduce};
use crate::effects::KillSignal;
use crate::prelude::*;
use crate::session::plan::KillPolicy;
use alloc::vec;

/// A start in progress: the phase of the start, and the progress of the claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resume {
    /// The phase of the start.
    pub phase: Phase,
    /// The progress of the claim.
    pub claim: ReleaseState,
    escalation: Escalation,
}

/// The step after an unsuccessful SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Escalation {
    None,
    Kill,
}

/// The phase of a start. Each phase carries only its valid data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing has happened.
    Idle,
    /// The child is being created.
    Spawning,
    /// The child runs; its socket, its exit and the time are watched.
    Observing,
    /// The child was signalled; the start waits for an observation, for a bounded time.
    Ending(Ending),
    /// A fact was observed; the claim is being released.
    Releasing(Observed),
    /// The start is over.
    Done(Conclusion),
}

/// A signalled child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ending {
    /// The reason for the signal; decides which facts still count as observations.
    pub why: EndingWhy,
    /// The last signal sent.
    pub signal: KillSignal,
    /// Whether a failing exit watch may be asked once more.
    pub exit_watch: ExitWatch,
}

/// The reason for ending a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndingWhy {
    /// The child was not ready in time. An exit counts, and so does a late socket.
    TimedOut,
    /// The child cannot be watched any more. Only the exit counts.
    SeamFailed,
}

/// The number of calls of the exit watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitWatch {
    /// Once.
    First,
    /// Twice, and not again.
    Again,
}

/// The observation of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Observed {
    /// The child never started, so there is no watch.
    SpawnStartFailed,
    /// The socket answered.
    SocketAlive {
        /// Whether the child had been signalled before.
        after_kill: AfterKill,
    },
    /// The child ended.
    ChildExited {
        /// Whether the child had been signalled before.
        after_kill: AfterKill,
    },
}

/// Whether an observation came after a signal to the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AfterKill {
    /// No signal had been sent.
    No,
    /// A signal had been sent.
    Yes,
}

impl AfterKill {
    /// The value in JSON.
    pub const fn as_bool(self) -> bool {
        matches!(self, Self::Yes)
    }
}

/// The end of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conclusion {
    /// Observed, and the claim was released.
    Settled(Observed),
    /// Observed, but the claim could not be released in order.
    ReleaseFailed(Observed),
    /// Nothing could be observed; the claim stays.
    Retained(RetainedReason),
}

/// The reason for a retained claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetainedReason {
    /// The worker was signalled, and its end was not observed in time.
    KillUnconfirmed,
    /// The worker could not be watched, and its end was not observed in time.
    ObserveFailed,
}

/// A fact that enters the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The claim and the plan match.
    Begin,
    /// The child runs.
    SpawnStarted,
    /// The child could not be started.
    SpawnFailed,
    /// The socket answered.
    SocketAlive,
    /// The child ended.
    ChildExited,
    /// The time to become ready is over.
    TimeoutElapsed,
    /// The time to end is over.
    GraceElapsed,
    /// A watch or a timer failed.
    SeamFailed(Seam),
    /// The claim was released.
    Released,
    /// The claim could not be released.
    ReleaseFailed,
}

impl Event {
    /// Every event. Simultaneous events are heard in this order.
    pub const ALL: [Self; 13] = [
        Self::Begin,
        Self::SpawnStarted,
        Self::SpawnFailed,
        Self::ChildExited,
        Self::SocketAlive,
        Self::SeamFailed(Seam::Exit),
        Self::SeamFailed(Seam::Socket),
        Self::SeamFailed(Seam::Timeout),
        Self::SeamFailed(Seam::Grace),
        Self::TimeoutElapsed,
        Self::GraceElapsed,
        Self::Released,
        Self::ReleaseFailed,
    ];
}

/// A watch or a timer that can fail after the child exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seam {
    /// The socket watch.
    Socket,
    /// The exit watch.
    Exit,
    /// The timer of the observation.
    Timeout,
    /// The timer of a grace.
    Grace,
}

/// The next effects, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a dropped effect is a lost signal or a claim that stays"]
pub enum Effect {
    /// Create the child.
    Spawn,
    /// Wait for the socket.
    WatchSocket,
    /// Wait for the exit; a second request starts over.
    WatchExit,
    /// Start the time to become ready.
    StartTimeout,
    /// The socket no longer counts.
    StopWatchingSocket,
    /// Signal the child.
    Kill(KillSignal),
    /// Start the time to end after a signal.
    StartGrace(KillSignal),
    /// Release the claim.
    Release,
}

/// A move of the machine: the next phase, the fact for the claim, and the effects.
struct Move {
    to: Phase,
    fact: Option<ReleaseEvent>,
    effects: Vec<Effect>,
}

impl Move {
    fn to(to: Phase, effects: Vec<Effect>) -> Self {
        Self { to, fact: None, effects }
    }

    fn hearing(self, fact: ReleaseEvent) -> Self {
        Self { fact: Some(fact), ..self }
    }

    fn stay(phase: Phase) -> Self {
        Self::to(phase, vec![])
    }

    fn observed(what: Observed) -> Self {
        let fact = match what {
            Observed::SpawnStartFailed => ReleaseEvent::SpawnStartFailed,
            Observed::SocketAlive { .. } => ReleaseEvent::SocketAlive,
            Observed::ChildExited { .. } => ReleaseEvent::ChildExited,
        };
        Self::to(Phase::Releasing(what), vec![]).hearing(fact)
    }
}

impl Resume {
    /// A start that has not begun; `policy` decides how the start ends its worker.
    pub fn new(policy: &KillPolicy) -> Self {
        let escalation = match policy {
            KillPolicy::TermOnly { .. } => Escalation::None,
            KillPolicy::TermThenKill { .. } => Escalation::Kill,
        };
        Self { phase: Phase::Idle, claim: ReleaseState::Pending, escalation }
    }
}

/// Takes one fact and returns the new state and the effects.
///
/// ```
/// use rekindle_core::KillPolicy;
/// use rekindle_core::resume::{Effect, Event, Resume, step};
///
/// let start = Resume::new(&KillPolicy::default());
/// let (start, effects) = step(start, Event::Begin);
/// assert_eq!(effects, [Effect::Spawn]);
/// let (start, _) = step(start, Event::SpawnStarted);
/// let (_, effects) = step(start, Event::SocketAlive);
/// assert_eq!(effects, [Effect::Release]);
/// ```
#[must_use = "dropped effects are lost signals and claims that stay"]
pub fn step(start: Resume, event: Event) -> (Resume, Vec<Effect>) {
    let Move { to, fact, mut effects } = advance(start.phase, start.escalation, event);
    let mut claim = start.claim;
    if let Some(fact) = fact {
        let (heard, should_release) = reduce(ReleasePolicy::ReleaseAfterSpawnObservation, claim, fact);
        claim = heard;
        if should_release {
            effects.push(Effect::Release);
        }
    }
    (Resume { phase: to, claim, ..start }, effects)
}

fn advance(phase: Phase, escalation: Escalation, event: Event) -> Move {
    use {Event as Ev, Phase as P};
    match phase {
        P::Idle => match event {
            Ev::Begin => Move::to(P::Spawning, vec![Effect::Spawn]),
            Ev::SpawnStarted
            | Ev::SpawnFailed
            | Ev::SocketAlive
            | Ev::ChildExited
            | Ev::TimeoutElapsed
            | Ev::GraceElapsed
            | Ev::SeamFailed(_)
            | Ev::Released
            | Ev::ReleaseFailed => Move::stay(phase),
        },
        P::Spawning => match event {
            Ev::SpawnStarted => {
                Move::to(P::Observing, vec![Effect::WatchExit, Effect::WatchSocket, Effect::StartTimeout])
                    .hearing(ReleaseEvent::SpawnStarted)
            }
            Ev::SpawnFailed => Move::observed(Observed::SpawnStartFailed),
            Ev::Begin
            | Ev::SocketAlive
            | Ev::ChildExited
            | Ev::TimeoutElapsed
            | Ev::GraceElapsed
            | Ev::SeamFailed(_)
            | Ev::Released
            | Ev::ReleaseFailed => Move::stay(phase),
        },
        P::Observing => observe(event),
        P::Ending(ending) => end(ending, escalation, event),
        P::Releasing(observed) => match event {
            Ev::Released => Move::to(P::Done(Conclusion::Settled(observed)), vec![]),
            Ev::ReleaseFailed => Move::to(P::Done(Conclusion::ReleaseFailed(observed)), vec![]),
            // The first observation has won.
            Ev::Begin
            | Ev::SpawnStarted
            | Ev::SpawnFailed
            | Ev::SocketAlive
            | Ev::ChildExited
            | Ev::TimeoutElapsed
            | Ev::GraceElapsed
            | Ev::SeamFailed(_) => Move::stay(phase),
        },
        P::Done(_) => Move::stay(phase),
    }
}

fn observe(event: Event) -> Move {
    use {EndingWhy as Why, Event as Ev, ExitWatch as Exit};
    match event {
        Ev::SocketAlive => Move::observed(Observed::SocketAlive { after_kill: AfterKill::No }),
        Ev::ChildExited => Move::observed(Observed::ChildExited { after_kill: AfterKill::No }),
        Ev::TimeoutElapsed => terminate(Why::TimedOut, Exit::First, vec![]),
        Ev::SeamFailed(Seam::Exit) => {
            terminate(Why::SeamFailed, Exit::Again, vec![Effect::StopWatchingSocket, Effect::WatchExit])
        }
        Ev::SeamFailed(Seam::Socket | Seam::Timeout) => {
            terminate(Why::SeamFailed, Exit::First, vec![Effect::StopWatchingSocket])
        }
        Ev::Begin
        | Ev::SpawnStarted
        | Ev::SpawnFailed
        | Ev::GraceElapsed
        | Ev::SeamFailed(Seam::Grace)
        | Ev::Released
        | Ev::ReleaseFailed => Move::stay(Phase::Observing),
    }
}

/// The watches change before the signal goes out, so that no fact is heard under the old rules.
fn terminate(why: EndingWhy, exit_watch: ExitWatch, mut effects: Vec<Effect>) -> Move {
    effects.extend([Effect::Kill(KillSignal::Term), Effect::StartGrace(KillSignal::Term)]);
    Move::to(Phase::Ending(Ending { why, signal: KillSignal::Term, exit_watch }), effects)
}

fn end(ending: Ending, escalation: Escalation, event: Event) -> Move {
    use {EndingWhy as Why, Event as Ev, ExitWatch as Exit};
    let stay = Move::stay(Phase::Ending(ending));
    match (event, ending.why) {
        (Ev::ChildExited, Why::TimedOut | Why::SeamFailed) => {
            Move::observed(Observed::ChildExited { after_kill: AfterKill::Yes })
        }
        (Ev::SocketAlive, Why::TimedOut) => {
            Move::observed(Observed::SocketAlive { after_kill: AfterKill::Yes })
        }
        // An unwatchable worker is not handed out, whatever its socket says.
        (Ev::SocketAlive, Why::SeamFailed) => stay,
        // A grace that cannot be measured counts as over.
        (Ev::GraceElapsed | Ev::SeamFailed(Seam::Grace), _) => escalate(ending, escalation),
        (Ev::SeamFailed(Seam::Socket), _) => {
            let ending = Ending { why: Why::SeamFailed, ..ending };
            Move::to(Phase::Ending(ending), vec![Effect::StopWatchingSocket])
        }
        (Ev::SeamFailed(Seam::Exit), _) if ending.exit_watch == Exit::First => {
            let ending = Ending { why: Why::SeamFailed, exit_watch: Exit::Again, ..ending };
            Move::to(Phase::Ending(ending), vec![Effect::StopWatchingSocket, Effect::WatchExit])
        }
        (
            Ev::Begin
            | Ev::SpawnStarted
            | Ev::SpawnFailed
            | Ev::TimeoutElapsed
            | Ev::SeamFailed(Seam::Exit | Seam::Timeout)
            | Ev::Released
            | Ev::ReleaseFailed,
            Why::TimedOut | Why::SeamFailed,
        ) => stay,
    }
}

fn escalate(ending: Ending, escalation: Escalation) -> Move {
    match (ending.signal, escalation) {
        (KillSignal::Term, Escalation::Kill) => {
            let ending = Ending { signal: KillSignal::Kill, ..ending };
            let effects = vec![Effect::Kill(KillSignal::Kill), Effect::StartGrace(KillSignal::Kill)];
            Move::to(Phase::Ending(ending), effects)
        }
        (KillSignal::Term, Escalation::None) | (KillSignal::Kill, Escalation::None | Escalation::Kill) => {
            let reason = match ending.why {
                EndingWhy::TimedOut => RetainedReason::KillUnconfirmed,
                EndingWhy::SeamFailed => RetainedReason::ObserveFailed,
            };
            Move::to(Phase::Done(Conclusion::Retained(reason)), vec![])
        }
    }
}
