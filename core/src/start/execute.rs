//! Drives the machine of [`crate::start::resume`] over [`SpawnBgResumeDeps`]. The driver decides nothing.
//!
//! # Invariants
//! 1. A missing claim, or the claim of another session, is an error before any spawn.
//! 2. Facts of the same instant are heard in the order of [`Event::ALL`]: exit beats socket, socket beats timeout. No
//!    fact is lost: the other facts are heard later, as late facts.
//! 3. A kill runs beside its grace. The kill's result decides nothing; only an observation decides.
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
use crate::session::endpoint::Endpoint;
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

/// The end of a start.
#[derive(Debug)]
#[must_use = "the outcome says whether there is a worker, and holds the connection to it"]
pub enum Outcome<C> {
    /// The worker answers.
    SocketAlive {
        /// The worker's pid, if the worker has a nameable pid.
        pid: Option<Pid>,
        /// The proof of the answer.
        connection: C,
        /// Whether the worker answered only after a signal.
        after_kill: bool,
    },
    /// The worker ended before it answered.
    ChildExited {
        /// The worker's exit.
        exit: ChildExit,
        /// The worker's former pid.
        pid: Option<Pid>,
        /// Whether the worker had been signalled.
        after_kill: bool,
        /// The reason for the signal.
        cause: Option<Cause>,
    },
    /// The worker was never started.
    SpawnStartFailed {
        /// The reason.
        error: SpawnError,
    },
    /// Nothing could be observed, so the claim was not released.
    LockRetained {
        /// The reason for retaining the claim.
        reason: RetainedReason,
        /// The cause of the retention.
        cause: Cause,
        /// The held resources, for an operator.
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

/// The reason for ending a worker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The worker was not ready in time.
    #[error("the worker was not ready within {} ms", after.as_millis())]
    ObserveTimeout {
        /// The duration of the watch.
        after: Duration,
    },
    /// The worker could not be watched.
    #[error("the worker could not be watched: {0}")]
    Seam(#[source] WatchError),
}

/// The held resources, for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The session.
    pub session: SessionId,
    /// The worker's pid, if the worker has a nameable pid.
    pub pid: Option<Pid>,
    /// The endpoint of the worker.
    pub address: Endpoint,
    /// The expected socket of the worker, if the endpoint is a Unix socket.
    #[serde(with = "crate::text::byte_text")]
    pub socket_path: Option<PathBuf>,
    /// The claim's evidence.
    #[serde(with = "crate::text::byte_text")]
    pub lock_path: PathBuf,
    /// The duration of the watch, in milliseconds.
    #[serde(rename = "observe_timeout_ms", with = "crate::text::duration_ms")]
    pub observe_timeout: Duration,
    /// The grace of all signals together, in milliseconds.
    #[serde(rename = "kill_grace_ms", with = "crate::text::duration_ms")]
    pub kill_grace: Duration,
    /// The last error of a signal, if a signal failed.
    pub kill_error: Option<String>,
}

/// The observation of a start before a failed release of the claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// The worker never started.
    SpawnStartFailed,
    /// The worker answers.
    SocketAlive {
        /// The worker's pid, if the worker has a nameable pid.
        pid: Option<Pid>,
    },
    /// The worker ended.
    ChildExited {
        /// The worker's exit.
        exit: ChildExit,
    },
}

/// A start without an orderly end.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// No worker was started: the claim does not match the plan.
    #[error(transparent)]
    Pairing(#[from] PairingError),
    /// The start is over and was observed, but the claim could not be released; do not start again.
    #[error("the claim could not be released after the start had been observed")]
    Release {
        /// The reason.
        source: ReleaseError,
        /// The observation.
        observed: Seen,
    },
}

/// Starts a worker and watches the worker until the first observation.
///
/// The greatest duration is the plan's `observe_timeout`, plus the graces of its `kill_policy`, plus the adapters' own
/// limits for the spawn and the release. If a worker can ask for more time, the adapters' timer may grant up to
/// [`EXTENSION_FACTOR_MAX`](crate::session::notify::EXTENSION_FACTOR_MAX) times the `observe_timeout`.
///
/// # Errors
/// [`ExecuteError::Pairing`] before any effect; [`ExecuteError::Release`] after all effects.
///
/// # Cancel safety
/// If dropped before the child exists, nothing has happened. If dropped later, the claim is not released, and the child
/// runs on, guarded by its lifeline, until a launcher adopts the child.
///
/// # Panics
/// If the machine reaches a phase without the phase's facts; the gates show that no such path exists.
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

/// The facts from the outside world, kept for the outcome.
struct Facts<C> {
    connection: Option<C>,
    exit: Option<ChildExit>,
    spawn_error: Option<SpawnError>,
    /// The cause of the worker's end.
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
                    address: plan.target().clone(),
                    socket_path: plan.expected_socket_path().map(ToOwned::to_owned),
                    lock_path: claim.map(|claim| claim.lock_path.clone()).unwrap_or_default(),
                    observe_timeout: plan.observe_timeout,
                    kill_grace: plan.kill_policy.total_grace(),
                    kill_error: self.kill_error.map(|error| error.to_string()),
                },
            }),
        }
    }
}

/// The pending futures, at most one of a kind. Replacing a future drops and thereby aborts the old future.
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
            // Between two events every slot is polled again: an effect of the first event may have an answer at once,
            // and a repeated exit watch must be heard before the end of the grace.
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

    /// Performs an effect. Only a release answers at once; all other answers are heard when ready.
    async fn perform(&mut self, effect: Effect) -> Option<Event> {
        let deps = self.deps;
        match effect {
            // Performed before the driver exists, since the driver's fields borrow the child.
            Effect::Spawn => {}
            Effect::WatchExit => self.slots.exit = self.child.map(|child| deps.await_child_exit(child)),
            Effect::WatchSocket => {
                self.slots.socket = Some(deps.await_socket_alive(self.plan.target()));
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
            (KillPolicy::TermOnly { grace, .. }, KillSignal::Term | KillSignal::Kill) => grace,
            (KillPolicy::TermThenKill { term_grace, .. }, KillSignal::Term) => term_grace,
            (KillPolicy::TermThenKill { kill_grace, .. }, KillSignal::Kill) => kill_grace,
        }
    }

    async fn release(&mut self) -> Event {
        // The first observation has won, so the other watches no longer matter.
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

    /// The next event, among the events heard before and the events ready now.
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

    /// The first failure is the cause, but a failed watch says more than an elapsed time.
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
