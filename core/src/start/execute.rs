//! Drives the machine of [`crate::start::resume`] over [`SpawnBgResumeDeps`]. It decides nothing.
//!
//! # Invariants
//! 1. A claim that is missing or of another session is an error before anything is spawned.
//! 2. Facts that are ready at the same instant are heard in the order of [`Event::ALL`]: exit beats socket, socket
//!    beats timeout. None is lost: what is heard later is heard as a late fact.
//! 3. A kill runs beside its grace, and its result decides nothing: only an observation does.
//! 4. Dropping the future releases nothing.
//!
//! Checked by `gates/tests/execute.rs`.

use crate::claim::LockClaim;
use crate::claim::release::PairingError;
use crate::effects::{
    ChildExit, KillError, KillSignal, ReleaseError, SpawnBgResumeDeps, SpawnError, WatchError,
};
use crate::prelude::*;
use crate::process::id::{Pid, SessionId};
use crate::session::plan::{KillPolicy, SpawnBgPlan};
use crate::start::resume::{
    AfterKill, Conclusion, Effect, Event, Observed, Phase, Resume, RetainedReason, Seam, step,
};
use alloc::collections::VecDeque;
use core::future::poll_fn;
use core::task::{Context, Poll};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;

/// How a start ended.
#[derive(Debug)]
#[must_use = "the outcome says whether there is a worker, and holds the connection to it"]
pub enum Outcome<C> {
    /// The worker answers.
    SocketAlive {
        /// Its pid, where it has one that can be named.
        pid: Option<Pid>,
        /// What proved that it answers.
        connection: C,
        /// Whether it came up only after it had been told to go.
        after_kill: bool,
    },
    /// The worker ended before it answered.
    ChildExited {
        /// How it ended.
        exit: ChildExit,
        /// The pid that it had.
        pid: Option<Pid>,
        /// Whether it had been told to go.
        after_kill: bool,
        /// Why it had been told to go.
        cause: Option<Cause>,
    },
    /// The worker was never started.
    SpawnStartFailed {
        /// Why.
        error: SpawnError,
    },
    /// Nothing could be observed, so the claim was not released.
    LockRetained {
        /// Why it stays.
        reason: RetainedReason,
        /// What led there.
        cause: Cause,
        /// What an operator needs to see what is held.
        diagnostic: Diagnostic,
    },
}

impl<C> Outcome<C> {
    /// Whether the claim was released.
    pub fn released(&self) -> bool {
        match self {
            Self::SocketAlive { .. } | Self::ChildExited { .. } | Self::SpawnStartFailed { .. } => true,
            Self::LockRetained { .. } => false,
        }
    }
}

/// Why a worker had to go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// It was not ready in time.
    #[error("the worker was not ready within {} ms", after.as_millis())]
    ObserveTimeout {
        /// How long it was watched.
        after: Duration,
    },
    /// It could not be watched.
    #[error("the worker could not be watched: {0}")]
    Seam(#[source] WatchError),
}

/// What is held, for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The session.
    pub session: SessionId,
    /// The worker's pid, where it has one that can be named.
    pub pid: Option<Pid>,
    /// Where it should have answered.
    #[serde(with = "crate::text::byte_text")]
    pub socket_path: PathBuf,
    /// The claim's evidence.
    #[serde(with = "crate::text::byte_text")]
    pub lock_path: PathBuf,
    /// How long it was watched, in milliseconds.
    #[serde(rename = "observe_timeout_ms", with = "crate::text::duration_ms")]
    pub observe_timeout: Duration,
    /// How long it was given to end, all signals together, in milliseconds.
    #[serde(rename = "kill_grace_ms", with = "crate::text::duration_ms")]
    pub kill_grace: Duration,
    /// The last signal that could not be sent, if one could not.
    pub kill_error: Option<String>,
}

/// What was seen of a start whose claim could not be released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// It never started.
    SpawnStartFailed,
    /// It answers.
    SocketAlive {
        /// Its pid, where it has one that can be named.
        pid: Option<Pid>,
    },
    /// It ended.
    ChildExited {
        /// How.
        exit: ChildExit,
    },
}

/// A start that could not be carried through in order.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// Nothing was started: the claim does not belong to the plan.
    #[error(transparent)]
    Pairing(#[from] PairingError),
    /// The start is over and was observed, but its claim could not be released; do not start again.
    #[error("the claim could not be released after the start had been observed")]
    Release {
        /// Why.
        source: ReleaseError,
        /// What had been seen.
        observed: Seen,
    },
}

/// Starts a worker and watches it to the first observation.
///
/// The longest that this takes is the plan's `observe_timeout`, plus the graces of its `kill_policy`, plus what the
/// adapters allow themselves for the spawn and the release. Where a worker can ask for more time, the adapters' timer may
/// grant it up to [`EXTENSION_FACTOR_MAX`](crate::session::notify::EXTENSION_FACTOR_MAX) times the `observe_timeout`.
///
/// # Errors
/// [`ExecuteError::Pairing`] before anything happens; [`ExecuteError::Release`] after everything has.
///
/// # Cancel safety
/// If dropped before the child exists, nothing has happened. If dropped later, the claim is not released, and the
/// child runs on, guarded by its lifeline, until somebody adopts it.
///
/// # Panics
/// If the machine reaches a phase whose facts were never heard, which the gates show it cannot.
pub async fn execute_spawn_bg_resume<D: SpawnBgResumeDeps>(
    plan: &SpawnBgPlan,
    claim: Option<&LockClaim>,
    deps: &D,
) -> Result<Outcome<D::Connection>, ExecuteError> {
    let claim = plan.release_policy().pair(&plan.session_id, claim)?;
    let (start, effects) = step(Resume::new(&plan.kill_policy), Event::Begin);
    debug_assert_eq!(effects, [Effect::Spawn], "a start begins with its spawn");

    let mut facts = Facts::default();
    let child = match deps.spawn_child(plan).await {
        Ok(child) => Some(child),
        Err(error) => {
            facts.spawn_error = Some(error);
            None
        }
    };
    let event = if child.is_some() { Event::SpawnStarted } else { Event::SpawnFailed };
    let mut driver = Driver { plan, claim, deps, child: child.as_ref(), slots: Slots::default(), facts };
    let conclusion = driver.run(start, event).await;
    driver.facts.conclude(conclusion, plan, claim, child.as_ref().and_then(|child| deps.child_pid(child)))
}

/// What the outside world reported, kept for the outcome.
struct Facts<C> {
    connection: Option<C>,
    exit: Option<ChildExit>,
    spawn_error: Option<SpawnError>,
    /// What led to the end of the worker.
    cause: Option<Cause>,
    kill_error: Option<KillError>,
    release_error: Option<ReleaseError>,
}

impl<C> Default for Facts<C> {
    fn default() -> Self {
        Self {
            connection: None,
            exit: None,
            spawn_error: None,
            cause: None,
            kill_error: None,
            release_error: None,
        }
    }
}

impl<C> Facts<C> {
    fn conclude(
        self,
        conclusion: Conclusion,
        plan: &SpawnBgPlan,
        claim: Option<&LockClaim>,
        pid: Option<Pid>,
    ) -> Result<Outcome<C>, ExecuteError> {
        const HEARD: &str = "the machine concludes only from facts that were heard";
        match conclusion {
            Conclusion::Settled(Observed::SpawnStartFailed) => {
                Ok(Outcome::SpawnStartFailed { error: self.spawn_error.expect(HEARD) })
            }
            Conclusion::Settled(Observed::SocketAlive { after_kill }) => Ok(Outcome::SocketAlive {
                pid,
                connection: self.connection.expect(HEARD),
                after_kill: after_kill.as_bool(),
            }),
            Conclusion::Settled(Observed::ChildExited { after_kill }) => Ok(Outcome::ChildExited {
                exit: self.exit.expect(HEARD),
                pid,
                after_kill: after_kill.as_bool(),
                cause: self.cause.filter(|_| after_kill == AfterKill::Yes),
            }),
            Conclusion::ReleaseFailed(observed) => Err(ExecuteError::Release {
                source: self.release_error.expect(HEARD),
                observed: match observed {
                    Observed::SpawnStartFailed => Seen::SpawnStartFailed,
                    Observed::SocketAlive { .. } => Seen::SocketAlive { pid },
                    Observed::ChildExited { .. } => Seen::ChildExited { exit: self.exit.expect(HEARD) },
                },
            }),
            Conclusion::Retained(reason) => Ok(Outcome::LockRetained {
                reason,
                cause: self.cause.expect(HEARD),
                diagnostic: Diagnostic {
                    session: plan.session_id.clone(),
                    pid,
                    socket_path: plan.expected_socket_path.clone(),
                    lock_path: claim.map(|claim| claim.lock_path.clone()).unwrap_or_default(),
                    observe_timeout: plan.observe_timeout,
                    kill_grace: plan.kill_policy.total_grace(),
                    kill_error: self.kill_error.map(|error| error.to_string()),
                },
            }),
        }
    }
}

/// The futures that are under way, at most one of a kind. Replacing one drops it, and dropping it aborts it.
struct Slots<'d, C> {
    exit: Option<BoxFuture<'d, Result<ChildExit, WatchError>>>,
    socket: Option<BoxFuture<'d, Result<C, WatchError>>>,
    timer: Option<Timer<'d>>,
    kill: Option<BoxFuture<'d, Result<(), KillError>>>,
}

impl<C> Default for Slots<'_, C> {
    fn default() -> Self {
        Self { exit: None, socket: None, timer: None, kill: None }
    }
}

struct Timer<'d> {
    ends: TimerEnds,
    future: BoxFuture<'d, Result<(), WatchError>>,
}

#[derive(Clone, Copy)]
enum TimerEnds {
    Timeout,
    Grace,
}

struct Driver<'d, D: SpawnBgResumeDeps> {
    plan: &'d SpawnBgPlan,
    claim: Option<&'d LockClaim>,
    deps: &'d D,
    child: Option<&'d D::Child>,
    slots: Slots<'d, D::Connection>,
    facts: Facts<D::Connection>,
}

impl<D: SpawnBgResumeDeps> Driver<'_, D> {
    async fn run(&mut self, mut start: Resume, first: Event) -> Conclusion {
        let mut heard = VecDeque::from([first]);
        loop {
            // Between two events everything is looked at again: an effect of the first may have an answer at once,
            // and an exit that was asked for again must be heard before the grace that ends with it.
            let event = poll_fn(|cx| self.poll_event(&mut heard, cx)).await;
            let (next, effects) = step(start, event);
            start = next;
            for effect in effects {
                heard.extend(self.perform(effect).await);
            }
            if let Phase::Done(conclusion) = start.phase {
                return conclusion;
            }
        }
    }

    /// Performs one effect. Only a release reports back at once; everything else is heard when it is ready.
    async fn perform(&mut self, effect: Effect) -> Option<Event> {
        let deps = self.deps;
        match effect {
            // Performed before the driver exists, since everything in it borrows the child.
            Effect::Spawn => {}
            Effect::WatchExit => self.slots.exit = self.child.map(|child| deps.await_child_exit(child)),
            Effect::WatchSocket => {
                self.slots.socket = Some(deps.await_socket_alive(&self.plan.expected_socket_path));
            }
            Effect::StopWatchingSocket => {
                self.slots.socket = None;
                self.facts.connection = None;
            }
            Effect::StartTimeout => {
                self.slots.timer = Some(self.timer(TimerEnds::Timeout, self.plan.observe_timeout));
            }
            Effect::StartGrace(signal) => {
                self.slots.timer = Some(self.timer(TimerEnds::Grace, self.grace_after(signal)));
            }
            Effect::Kill(signal) => self.slots.kill = self.child.map(|child| deps.kill_child(child, signal)),
            Effect::Release => return Some(self.release().await),
        }
        None
    }

    fn timer<'t>(&self, ends: TimerEnds, after: Duration) -> Timer<'t>
    where
        Self: 't,
    {
        Timer { ends, future: self.deps.await_timeout(after) }
    }

    fn grace_after(&self, signal: KillSignal) -> Duration {
        match (self.plan.kill_policy, signal) {
            (KillPolicy::TermOnly { grace }, KillSignal::Term | KillSignal::Kill) => grace,
            (KillPolicy::TermThenKill { term_grace, .. }, KillSignal::Term) => term_grace,
            (KillPolicy::TermThenKill { kill_grace, .. }, KillSignal::Kill) => kill_grace,
        }
    }

    async fn release(&mut self) -> Event {
        // What is still watched no longer matters: the first observation has won.
        self.slots = Slots::default();
        let Some(claim) = self.claim else { return Event::Released };
        match self.deps.release_lock(claim).await {
            Ok(()) => Event::Released,
            Err(error) => {
                self.facts.release_error = Some(error);
                Event::ReleaseFailed
            }
        }
    }

    /// The next event, of those that were ready before and those that are ready now.
    fn poll_event(&mut self, heard: &mut VecDeque<Event>, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(Err(error)) = poll_slot(&mut self.slots.kill, cx) {
            self.facts.kill_error = Some(error);
        }
        let exit = poll_slot(&mut self.slots.exit, cx).map(|result| self.hear_exit(result));
        let socket = poll_slot(&mut self.slots.socket, cx).map(|result| self.hear_socket(result));
        let timer = self.poll_timer(cx);
        heard.extend([exit, socket, timer].into_iter().flatten());
        let order = |event: &Event| Event::ALL.iter().position(|known| known == event);
        heard.make_contiguous().sort_by_key(order);
        heard.pop_front().map_or(Poll::Pending, Poll::Ready)
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Option<Event> {
        let timer = self.slots.timer.as_mut()?;
        let Poll::Ready(result) = timer.future.poll_unpin(cx) else { return None };
        let ends = timer.ends;
        self.slots.timer = None;
        Some(match (ends, result) {
            (TimerEnds::Timeout, Ok(())) => {
                self.blame(Cause::ObserveTimeout { after: self.plan.observe_timeout });
                Event::TimeoutElapsed
            }
            (TimerEnds::Timeout, Err(error)) => self.hear_failure(Seam::Timeout, error),
            (TimerEnds::Grace, Ok(())) => Event::GraceElapsed,
            (TimerEnds::Grace, Err(_)) => Event::SeamFailed(Seam::Grace),
        })
    }

    fn hear_exit(&mut self, result: Result<ChildExit, WatchError>) -> Event {
        match result {
            Ok(exit) => {
                self.facts.exit = Some(exit);
                Event::ChildExited
            }
            Err(error) => self.hear_failure(Seam::Exit, error),
        }
    }

    fn hear_socket(&mut self, result: Result<D::Connection, WatchError>) -> Event {
        match result {
            Ok(connection) => {
                self.facts.connection = Some(connection);
                Event::SocketAlive
            }
            Err(error) => self.hear_failure(Seam::Socket, error),
        }
    }

    fn hear_failure(&mut self, seam: Seam, error: WatchError) -> Event {
        self.blame(Cause::Seam(error));
        Event::SeamFailed(seam)
    }

    /// The first thing that went wrong is the cause; only that a watch failed says more than that time ran out.
    fn blame(&mut self, cause: Cause) {
        if matches!(
            (&self.facts.cause, &cause),
            (None, _) | (Some(Cause::ObserveTimeout { .. }), Cause::Seam(_))
        ) {
            self.facts.cause = Some(cause);
        }
    }
}

fn poll_slot<T>(slot: &mut Option<BoxFuture<'_, T>>, cx: &mut Context<'_>) -> Option<T> {
    match slot.as_mut()?.poll_unpin(cx) {
        Poll::Ready(value) => {
            *slot = None;
            Some(value)
        }
        Poll::Pending => None,
    }
}
