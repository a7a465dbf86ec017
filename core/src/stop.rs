//! The stop of a worker: a state machine, and the loop that drives the machine over [`StopDeps`].
//!
//! ```text
//! Idle ─Begin→ ClosingStdin ─GraceElapsed→ Terminating ─GraceElapsed→ Killing ─GraceElapsed→ Done(GaveUp)
//!                   └───────────────Exited───────┴──────Exited──────────┴→ Done(Ended)
//! ```
//!
//! # Invariants
//! 1. Pure and total, like [`crate::start::resume`].
//! 2. Idempotent: the second request joins the first; a third asks for SIGKILL now.
//! 3. No process is signalled after its exit is known.
//! 4. Bounded: three graces lead to an end. Giving up is reported as such, never as an end.
//! 5. No step is stronger than [`StopPolicy::strongest`], however many stop requests come.
//!
//! Checked by `gates/tests/stop.rs`.

pub mod session;

use crate::effects::{ChildExit, KillError, KillSignal, WatchError};
use crate::prelude::*;
use crate::process::stop_signal::StopSignal;
use crate::session::plan::{KILL_GRACE_DEFAULT, KillPolicy, TERM_GRACE_DEFAULT};
use alloc::vec;
use async_trait::async_trait;
use core::future::poll_fn;
use core::task::{Context, Poll};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;

/// The time for each step, and the last step. The exit itself ends every wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopPolicy {
    /// After stdin was closed, before SIGTERM; zero by default.
    pub stdin_grace: Duration,
    /// After the stop signal, before SIGKILL; 5 s by default.
    pub term_grace: Duration,
    /// After SIGKILL, before giving up; 5 s by default.
    pub kill_grace: Duration,
    /// The signal of [`StopStep::Terminate`]; SIGTERM by default.
    pub signal: StopSignal,
    /// The strongest permitted step; SIGKILL by default. After the grace of this step, the stop gives up.
    pub strongest: StopStep,
}

impl Default for StopPolicy {
    fn default() -> Self {
        Self {
            stdin_grace: Duration::ZERO,
            term_grace: TERM_GRACE_DEFAULT,
            kill_grace: KILL_GRACE_DEFAULT,
            signal: StopSignal::TERM,
            strongest: StopStep::Kill,
        }
    }
}

/// The stop with the same signals and graces as the kill policy of the worker's plan.
///
/// ```
/// use rekindle_core::{KillPolicy, StopSignal};
/// use rekindle_core::stop::{StopPolicy, StopStep};
///
/// let gentle = KillPolicy::TermOnly { grace: std::time::Duration::from_secs(1), signal: StopSignal::TERM };
/// assert_eq!(StopPolicy::from(gentle).strongest, StopStep::Terminate);
/// assert_eq!(StopPolicy::from(KillPolicy::default()), StopPolicy::default());
/// ```
impl From<KillPolicy> for StopPolicy {
    fn from(policy: KillPolicy) -> Self {
        match policy {
            KillPolicy::TermOnly { grace, signal } => {
                Self { term_grace: grace, signal, strongest: StopStep::Terminate, ..Self::default() }
            }
            KillPolicy::TermThenKill { signal, term_grace, kill_grace } => {
                Self { signal, term_grace, kill_grace, ..Self::default() }
            }
        }
    }
}

impl StopPolicy {
    fn grace(&self, step: StopStep) -> Duration {
        match step {
            StopStep::CloseStdin => self.stdin_grace,
            StopStep::Terminate => self.term_grace,
            StopStep::Kill => self.kill_grace,
        }
    }
}

/// The steps of a stop, in order: each is stronger than the previous step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopStep {
    /// Close the worker's standard input.
    CloseStdin,
    /// Ask the worker to end: the stop signal, SIGTERM by default, then SIGCONT.
    Terminate,
    /// End the worker: SIGKILL.
    Kill,
}

/// A stop in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stop {
    /// The phase of the stop.
    pub phase: StopPhase,
    /// The number of repeated requests.
    repeats: Repeats,
    /// The strongest permitted step.
    strongest: StopStep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Repeats {
    None,
    One,
}

/// The phase of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopPhase {
    /// Not begun.
    Idle,
    /// The worker's stdin was closed.
    ClosingStdin,
    /// The worker was asked to end.
    Terminating,
    /// The worker was killed.
    Killing,
    /// The stop is over.
    Done(StopEnd),
}

/// The end of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopEnd {
    /// The worker ended.
    Ended {
        /// The last step taken.
        by: StopStep,
    },
    /// The strongest step was taken, and the worker's end was not observed in time.
    GaveUp,
}

/// A fact that enters a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopEvent {
    /// The worker is to be stopped.
    Begin,
    /// The stop was requested again.
    AskedAgain,
    /// All processes of the worker are gone.
    Exited,
    /// The time of the present step is over.
    GraceElapsed,
}

impl StopEvent {
    /// Every event. Simultaneous events are heard in this order.
    pub const ALL: [Self; 4] = [Self::Begin, Self::Exited, Self::AskedAgain, Self::GraceElapsed];
}

/// The next effect of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a dropped effect is a lost signal"]
pub enum StopEffect {
    /// Take the step.
    Take(StopStep),
    /// Start the step's grace, in place of the previous grace.
    StartGrace(StopStep),
}

impl Stop {
    /// A stop that has not begun, and may send SIGKILL.
    pub const fn new() -> Self {
        Self::up_to(StopStep::Kill)
    }

    /// A stop that has not begun, and takes no step stronger than `strongest`.
    pub const fn up_to(strongest: StopStep) -> Self {
        Self { phase: StopPhase::Idle, repeats: Repeats::None, strongest }
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes one fact and returns the new state and the effects.
///
/// ```
/// use rekindle_core::stop::{Stop, StopEffect, StopEvent, StopStep, step};
///
/// let (stop, effects) = step(Stop::new(), StopEvent::Begin);
/// assert_eq!(effects[0], StopEffect::Take(StopStep::CloseStdin));
/// let (_, effects) = step(stop, StopEvent::GraceElapsed);
/// assert_eq!(effects[0], StopEffect::Take(StopStep::Terminate));
/// ```
#[must_use = "dropped effects are lost signals"]
pub fn step(stop: Stop, event: StopEvent) -> (Stop, Vec<StopEffect>) {
    use {StopEvent as Ev, StopPhase as P, StopStep as S};
    match (stop.phase, event) {
        (P::Idle, Ev::Begin) => take(stop, S::CloseStdin),
        (P::ClosingStdin, Ev::GraceElapsed) => take_or_give_up(stop, S::Terminate),
        (P::Terminating, Ev::GraceElapsed) => take_or_give_up(stop, S::Kill),
        (P::Killing, Ev::GraceElapsed) => done(stop, StopEnd::GaveUp),
        (P::ClosingStdin, Ev::Exited) => done(stop, StopEnd::Ended { by: S::CloseStdin }),
        (P::Terminating, Ev::Exited) => done(stop, StopEnd::Ended { by: S::Terminate }),
        (P::Killing, Ev::Exited) => done(stop, StopEnd::Ended { by: S::Kill }),
        (P::ClosingStdin | P::Terminating, Ev::AskedAgain) => match stop.repeats {
            Repeats::None => (Stop { repeats: Repeats::One, ..stop }, vec![]),
            Repeats::One if stop.strongest < S::Kill => (stop, vec![]),
            Repeats::One => take(stop, S::Kill),
        },
        (P::Idle, Ev::AskedAgain | Ev::Exited | Ev::GraceElapsed)
        | (P::ClosingStdin | P::Terminating, Ev::Begin)
        | (P::Killing, Ev::Begin | Ev::AskedAgain)
        | (P::Done(_), Ev::Begin | Ev::AskedAgain | Ev::Exited | Ev::GraceElapsed) => (stop, vec![]),
    }
}

fn take_or_give_up(stop: Stop, step: StopStep) -> (Stop, Vec<StopEffect>) {
    if step > stop.strongest { done(stop, StopEnd::GaveUp) } else { take(stop, step) }
}

fn take(stop: Stop, step: StopStep) -> (Stop, Vec<StopEffect>) {
    let phase = match step {
        StopStep::CloseStdin => StopPhase::ClosingStdin,
        StopStep::Terminate => StopPhase::Terminating,
        StopStep::Kill => StopPhase::Killing,
    };
    (Stop { phase, ..stop }, vec![StopEffect::Take(step), StopEffect::StartGrace(step)])
}

fn done(stop: Stop, end: StopEnd) -> (Stop, Vec<StopEffect>) {
    (Stop { phase: StopPhase::Done(end), ..stop }, vec![])
}

/// The effects of one stop.
#[async_trait]
pub trait StopDeps: Send + Sync {
    /// Closes the worker's standard input, if this process holds the other end.
    ///
    /// # Cancel safety
    /// Safe; the input is either closed or open.
    async fn close_stdin(&self);

    /// Signals every process of the worker.
    ///
    /// # Errors
    /// [`KillError`] if a signal could not be sent; absent processes are no error.
    ///
    /// # Cancel safety
    /// Safe; some processes may have been signalled and others not.
    async fn signal(&self, how: KillSignal) -> Result<(), KillError>;

    /// Resolves once every process of the worker is gone.
    ///
    /// # Errors
    /// [`WatchError`] if the exit cannot be observed; the stop goes on without a watch.
    ///
    /// # Cancel safety
    /// Safe; the caller may call again.
    async fn await_exit(&self) -> Result<ChildExit, WatchError>;

    /// Resolves after `after`.
    ///
    /// # Errors
    /// [`WatchError`] if time cannot be measured; the grace counts as elapsed.
    ///
    /// # Cancel safety
    /// Safe; dropping the future ends the timer.
    async fn await_timeout(&self, after: Duration) -> Result<(), WatchError>;

    /// Resolves at the next stop request; never, if no such request is possible.
    ///
    /// # Cancel safety
    /// Safe; the next call delivers an undelivered request.
    async fn asked_again(&self) {
        core::future::pending::<()>().await;
    }
}

/// The result of a stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopReport {
    /// The end of the stop.
    pub end: StopEnd,
    /// The worker's exit, if observed and known.
    pub exit: Option<ChildExit>,
    /// The errors on the way.
    pub trouble: Vec<String>,
}

/// Stops a worker: stdin, SIGTERM and SIGCONT, SIGKILL, each with a grace, and no step stronger than the policy allows.
///
/// # Cancel safety
/// If dropped, the worker may have been signalled and may still run; a second stop is safe.
pub async fn execute_stop<D: StopDeps>(policy: &StopPolicy, deps: &D) -> StopReport {
    let mut run = StopRun {
        exit_watch: Some(deps.await_exit()),
        exit_watch_failed: false,
        asked: deps.asked_again(),
        grace: None,
        closing: None,
        signal: None,
        report: StopReport { end: StopEnd::GaveUp, exit: None, trouble: vec![] },
    };
    let mut stop = Stop::up_to(policy.strongest);
    let mut event = StopEvent::Begin;
    loop {
        let (next, effects) = step(stop, event);
        stop = next;
        for effect in effects {
            match effect {
                StopEffect::Take(StopStep::CloseStdin) => run.closing = Some(deps.close_stdin()),
                StopEffect::Take(StopStep::Terminate) => run.signal = Some(deps.signal(KillSignal::Term)),
                StopEffect::Take(StopStep::Kill) => run.signal = Some(deps.signal(KillSignal::Kill)),
                StopEffect::StartGrace(step) => run.grace = Some(deps.await_timeout(policy.grace(step))),
            }
        }
        if let StopPhase::Done(end) = stop.phase {
            return StopReport { end, ..run.report };
        }
        event = poll_fn(|cx| run.poll_event(deps, cx)).await;
    }
}

/// The pending futures of a stop.
struct StopRun<'d> {
    exit_watch: Option<BoxFuture<'d, Result<ChildExit, WatchError>>>,
    exit_watch_failed: bool,
    asked: BoxFuture<'d, ()>,
    grace: Option<BoxFuture<'d, Result<(), WatchError>>>,
    /// Closing runs beside the grace, like a signal: neither may delay the stop.
    closing: Option<BoxFuture<'d, ()>>,
    signal: Option<BoxFuture<'d, Result<(), KillError>>>,
    report: StopReport,
}

impl<'d> StopRun<'d> {
    /// The first ready event, in the order of [`StopEvent::ALL`]; the other events stay in their slots.
    fn poll_event<D: StopDeps>(&mut self, deps: &'d D, cx: &mut Context<'_>) -> Poll<StopEvent> {
        take_ready(&mut self.closing, cx);
        if let Some(Err(error)) = take_ready(&mut self.signal, cx) {
            self.report.trouble.push(error.to_string());
        }
        if self.poll_exit(deps, cx).is_ready() {
            return Poll::Ready(StopEvent::Exited);
        }
        if self.asked.poll_unpin(cx).is_ready() {
            self.asked = deps.asked_again();
            return Poll::Ready(StopEvent::AskedAgain);
        }
        match take_ready(&mut self.grace, cx) {
            Some(Ok(()) | Err(_)) => Poll::Ready(StopEvent::GraceElapsed),
            None => Poll::Pending,
        }
    }

    /// Repeats a failed watch once. Without a watch the graces still bound the stop, and the report says that the end
    /// was not observed.
    fn poll_exit<D: StopDeps>(&mut self, deps: &'d D, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(watched) = take_ready(&mut self.exit_watch, cx) {
            match watched {
                Ok(exit) => {
                    self.report.exit = Some(exit);
                    return Poll::Ready(());
                }
                Err(error) => self.report.trouble.push(error.to_string()),
            }
            if !self.exit_watch_failed {
                self.exit_watch_failed = true;
                self.exit_watch = Some(deps.await_exit());
            }
        }
        Poll::Pending
    }
}

fn take_ready<T>(slot: &mut Option<BoxFuture<'_, T>>, cx: &mut Context<'_>) -> Option<T> {
    let Poll::Ready(value) = slot.as_mut()?.poll_unpin(cx) else { return None };
    *slot = None;
    Some(value)
}
