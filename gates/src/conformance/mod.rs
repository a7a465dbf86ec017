//! The conformance tests of [`SpawnBgResumeDeps`]: one body for fakes and for production.
//!
//! A [`Harness`] prepares a worker of a given [`Conduct`]; each expectation starts the worker through the executor,
//! records the executor's calls, and compares. Nothing here names a runtime, a clock or a path, so the gates run the
//! body on fakes, and the `smoke` crate runs the body on processes, sockets and timers.
//!
//! Run by `gates/tests/conformance.rs`.

mod recording;
pub mod stores;

pub use recording::Recording;

use async_trait::async_trait;
use rekindle_core::execute::Cause;
use rekindle_core::shown::Shown;
use rekindle_core::{
    ChildExit, KillSignal, LockClaim, Outcome, Pid, SpawnBgPlan, SpawnBgResumeDeps, execute_spawn_bg_resume,
};

/// The exit status of a worker of [`Conduct::ExitsAtOnce`].
pub const EARLY_EXIT_CODE: i32 = 3;

/// The behaviour of a prepared worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conduct {
    /// Answers on its socket, and ends on SIGTERM.
    Polite,
    /// Never answers, and ends on SIGTERM.
    Hung,
    /// Never answers, and ends on SIGKILL only.
    Stubborn,
    /// Exits with [`EARLY_EXIT_CODE`] before any answer.
    ExitsAtOnce,
    /// The program does not exist.
    MissingProgram,
}

impl Conduct {
    /// Every conduct.
    pub const ALL: [Self; 5] =
        [Self::Polite, Self::Hung, Self::Stubborn, Self::ExitsAtOnce, Self::MissingProgram];
}

/// A start, ready for the executor.
#[derive(Debug)]
pub struct Prepared<D> {
    /// The effects.
    pub deps: D,
    /// The plan. Its kill policy is SIGTERM, then SIGKILL, with graces that suit the worker, and its `observe_timeout` is
    /// short where the worker never answers.
    pub plan: SpawnBgPlan,
    /// The claim on the plan's session, held.
    pub claim: LockClaim,
}

/// Prepares starts, and answers questions about the consequences.
///
/// When dropped, a harness ends every prepared worker, also after a failed expectation.
#[async_trait]
pub trait Harness: Send + Sync {
    /// The implementation under test.
    type Deps: SpawnBgResumeDeps;

    /// A worker with the given conduct, in a fresh session with a held claim.
    async fn prepare(&self, conduct: Conduct) -> Prepared<Self::Deps>;

    /// Whether the process with the pid of the start runs now.
    async fn is_alive(&self, prepared: &Prepared<Self::Deps>, pid: Pid) -> bool;

    /// Whether the claim is held, or evidence of the claim exists.
    async fn is_claim_held(&self, prepared: &Prepared<Self::Deps>) -> bool;
}

/// A worker with an answer is alive, gets no signal, and the claim is released once.
///
/// # Panics
/// If the implementation behind `harness` behaves differently.
pub async fn started_worker_is_alive_and_claim_released_once<H: Harness>(harness: &H) {
    let prepared = harness.prepare(Conduct::Polite).await;
    let (outcome, deps) = start(&prepared).await;
    let Outcome::SocketAlive { pid: Some(pid), connection, after_kill: false } = outcome else {
        panic!("a polite worker answers unasked and has a pid, not {}", named(&outcome));
    };
    assert!(harness.is_alive(&prepared, pid).await, "a worker that answers is alive");
    assert_eq!(deps.kills(), [], "a worker that answers is not signalled");
    assert_released_once(harness, &prepared, &deps).await;
    // Kept until here: some workers end when their first client leaves.
    drop(connection);
}

/// SIGTERM ends a silent worker, the exit is observed, and the claim is released once.
///
/// # Panics
/// If the implementation behind `harness` behaves differently.
pub async fn hung_worker_is_killed_observed_and_released_once<H: Harness>(harness: &H) {
    let prepared = harness.prepare(Conduct::Hung).await;
    let (outcome, deps) = start(&prepared).await;
    let (_, pid) = killed_after_timeout(&prepared.plan, outcome);
    assert_eq!(deps.kills(), [KillSignal::Term], "SIGTERM is enough for a worker that merely hangs");
    assert!(!harness.is_alive(&prepared, pid).await, "a worker whose exit was observed is gone");
    assert_released_once(harness, &prepared, &deps).await;
}

/// SIGKILL ends a worker that ignores SIGTERM, but not before the grace is over.
///
/// # Panics
/// If the implementation behind `harness` behaves differently.
pub async fn stubborn_worker_is_escalated<H: Harness>(harness: &H) {
    const SIGKILL: i32 = 9;
    let prepared = harness.prepare(Conduct::Stubborn).await;
    let (outcome, deps) = start(&prepared).await;
    let (exit, pid) = killed_after_timeout(&prepared.plan, outcome);
    assert_eq!(deps.kills(), [KillSignal::Term, KillSignal::Kill], "SIGTERM comes first");
    assert_eq!(exit, ChildExit::Signal(SIGKILL), "nothing but SIGKILL ended it");
    assert!(!harness.is_alive(&prepared, pid).await, "a worker whose exit was observed is gone");
    assert_released_once(harness, &prepared, &deps).await;
}

/// An exit before the first answer is observed at once, with the status, and no signal is sent.
///
/// # Panics
/// If the implementation behind `harness` behaves differently.
pub async fn early_exit_is_observed<H: Harness>(harness: &H) {
    let prepared = harness.prepare(Conduct::ExitsAtOnce).await;
    let (outcome, deps) = start(&prepared).await;
    let Outcome::ChildExited { exit, pid: Some(pid), after_kill: false, cause: None } = outcome else {
        panic!("a worker that exits is seen to, not {}", named(&outcome));
    };
    assert_eq!(exit, ChildExit::Code(EARLY_EXIT_CODE), "the status is the worker's own");
    assert_eq!(deps.kills(), [], "nothing is signalled after its exit is known");
    assert!(!harness.is_alive(&prepared, pid).await, "a worker whose exit was observed is gone");
    assert_released_once(harness, &prepared, &deps).await;
}

/// A missing program is never started, watched or signalled, and the claim is released once.
///
/// # Panics
/// If the implementation behind `harness` behaves differently.
pub async fn missing_program_never_starts<H: Harness>(harness: &H) {
    let prepared = harness.prepare(Conduct::MissingProgram).await;
    let (outcome, deps) = start(&prepared).await;
    let Outcome::SpawnStartFailed { error } = outcome else {
        panic!("a program that does not exist cannot start, not {}", named(&outcome));
    };
    let program = prepared.plan.program().expect("the plan names the missing program");
    let program = Shown(program).to_string();
    assert!(error.to_string().contains(&program), "`{error}` does not name `{program}`");
    assert_eq!(deps.watches(), 0, "there is nothing to watch");
    assert_eq!(deps.kills(), [], "there is nothing to signal");
    assert_released_once(harness, &prepared, &deps).await;
}

type Connection<D> = <D as SpawnBgResumeDeps>::Connection;

async fn start<D: SpawnBgResumeDeps>(prepared: &Prepared<D>) -> (Outcome<Connection<D>>, Recording<'_, D>) {
    let deps = Recording::new(&prepared.deps);
    let outcome = execute_spawn_bg_resume(&prepared.plan, Some(&prepared.claim), &deps).await;
    (outcome.expect("the claim is the plan's, and can be released"), deps)
}

async fn assert_released_once<H: Harness>(
    harness: &H,
    prepared: &Prepared<H::Deps>,
    deps: &Recording<'_, H::Deps>,
) {
    assert_eq!(deps.releases(), 1, "an observed start releases its claim once");
    assert!(!harness.is_claim_held(prepared).await, "a released claim is free");
}

fn killed_after_timeout<C>(plan: &SpawnBgPlan, outcome: Outcome<C>) -> (ChildExit, Pid) {
    let Outcome::ChildExited { exit, pid: Some(pid), after_kill: true, cause: Some(cause) } = outcome else {
        panic!("a worker that never answers is ended, not {}", named(&outcome));
    };
    assert_eq!(cause, Cause::ObserveTimeout { after: plan.observe_timeout });
    (exit, pid)
}

/// The outcome in a word, since a connection need not be printable.
fn named<C>(outcome: &Outcome<C>) -> String {
    match outcome {
        Outcome::SocketAlive { after_kill, .. } => format!("socket-alive (after kill: {after_kill})"),
        Outcome::ChildExited { exit, after_kill, cause, .. } => {
            format!("child-exited with {exit:?} (after kill: {after_kill}, cause: {cause:?})")
        }
        Outcome::SpawnStartFailed { error } => format!("spawn-start-failed: {error}"),
        Outcome::LockRetained { reason, cause, .. } => format!("lock-retained: {reason:?}, {cause}"),
    }
}
