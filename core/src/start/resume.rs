//! How one start runs: a state machine that decides everything and performs nothing.
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
//! 2. [`Effect::Release`] has one source: the reducer of [`crate::claim::release`], fed with facts. No arm emits it.
//! 3. The claim is released at most once, and only on an observation; a timeout only ever kills.
//! 4. Nothing is killed after its exit is known.
//! 5. Total: every event in every phase has an arm; late facts change nothing and never panic.
//! 6. Bounded: from every phase a finite number of timers leads to [`Phase::Done`].
//!
//! Walked exhaustively by `gates/tests/resume_walk.rs`; each rule has a test in `gates/tests/execute.rs`.

use crate::claim::release::{ReleaseEvent, ReleasePolicy, ReleaseState, reduce};
use crate::effects::KillSignal;
use crate::prelude::*;
use crate::session::plan::KillPolicy;
use alloc::vec;

/// One start in progress: where it is, and how far its claim has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resume {
    /// Where the start is.
    pub phase: Phase,
    /// How far its claim has come.
    pub claim: ReleaseState,
    escalation: Escalation,
}

/// What follows when SIGTERM did not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Escalation {
    None,
    Kill,
}

/// Where a start is. Each phase carries only what is valid in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing has happened.
    Idle,
    /// The child is being created.
    Spawning,
    /// The child runs; its socket, its exit and the time are watched.
    Observing,
    /// The child was told to go; an observation is still waited for, for a bounded time.
    Ending(Ending),
    /// Something was observed; the claim is being given up.
    Releasing(Observed),
    /// Over.
    Done(Conclusion),
}

/// A child that was told to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ending {
    /// Why it has to go, which decides what still counts as an observation.
    pub why: EndingWhy,
    /// The last signal that was sent.
    pub signal: KillSignal,
    /// Whether a failing exit watch may be asked once more.
    pub exit_watch: ExitWatch,
}

/// Why a child has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndingWhy {
    /// It did not become ready in time. Its exit counts, and so does a socket that came up after all.
    TimedOut,
    /// It cannot be watched any more. Only its exit counts.
    SeamFailed,
}

/// How often the exit watch has been asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitWatch {
    /// Once.
    First,
    /// Twice, and not again.
    Again,
}

/// What was observed of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Observed {
    /// It never started, so there is nothing to watch.
    SpawnStartFailed,
    /// Its socket answered.
    SocketAlive {
        /// Whether it had been told to go before.
        after_kill: AfterKill,
    },
    /// It ended.
    ChildExited {
        /// Whether it had been told to go before.
        after_kill: AfterKill,
    },
}

/// Whether an observation came after the child was told to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AfterKill {
    /// It came by itself.
    No,
    /// A signal had been sent.
    Yes,
}

impl AfterKill {
    /// As JSON has it.
    pub const fn as_bool(self) -> bool {
        matches!(self, Self::Yes)
    }
}

/// How a start ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conclusion {
    /// Observed, and the claim was released.
    Settled(Observed),
    /// Observed, but the claim could not be released in order.
    ReleaseFailed(Observed),
    /// Nothing could be observed; the claim stays.
    Retained(RetainedReason),
}

/// Why a claim stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetainedReason {
    /// The worker was told to go and its end was not seen in time.
    KillUnconfirmed,
    /// The worker could not be watched, and its end was not seen in time.
    ObserveFailed,
}

/// A fact that enters the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The claim and the plan fit together.
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
    /// The claim was given up.
    Released,
    /// The claim could not be given up in order.
    ReleaseFailed,
}

impl Event {
    /// Every event, in the order in which simultaneous ones are heard.
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

/// What can fail once a child exists.
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

/// What is to be done, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a dropped effect is a lost signal or a claim that stays"]
pub enum Effect {
    /// Create the child.
    Spawn,
    /// Wait for the socket.
    WatchSocket,
    /// Wait for the exit; asked again, it starts over.
    WatchExit,
    /// Let the time to become ready run.
    StartTimeout,
    /// The socket no longer counts.
    StopWatchingSocket,
    /// Signal the child.
    Kill(KillSignal),
    /// Let the time to end after that signal run.
    StartGrace(KillSignal),
    /// Give the claim up.
    Release,
}

/// A move of the machine: where to, the fact that the claim hears of, and what is to be done.
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
    /// A start that has not begun, and that will be ended by `policy` if it has to be.
    pub fn new(policy: &KillPolicy) -> Self {
        let escalation = match policy {
            KillPolicy::TermOnly { .. } => Escalation::None,
            KillPolicy::TermThenKill { .. } => Escalation::Kill,
        };
        Self { phase: Phase::Idle, claim: ReleaseState::Pending, escalation }
    }
}

/// Takes one fact: where the start is now, and what is to be done.
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
        // A worker that cannot be watched is not handed out, whatever its socket says.
        (Ev::SocketAlive, Why::SeamFailed) => stay,
        // A grace that cannot be measured is over.
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
