//! Single calls, with mocks that fail the test by themselves at any unexpected or repeated call.

use async_trait::async_trait;
use mockall::mock;
use mockall::predicate::{always, eq};
use rekindle_core::effects::{
    ChildExit, KillError, KillSignal, ReleaseError, SpawnBgResumeDeps, SpawnError, WatchError,
};
use rekindle_core::execute::{ExecuteError, Outcome, Seen};
use rekindle_core::{Endpoint, LockClaim, Pid, SpawnBgPlan, execute_spawn_bg_resume};
use rekindle_gates::builders::{
    self, CHILD_PID, KILL, OBSERVE, TERM, claim, kill_error, pid, plan, release_error, spawn_error,
    watch_error,
};
use rekindle_gates::fakes::Run;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

mock! {
    Deps {}

    #[async_trait]
    impl SpawnBgResumeDeps for Deps {
        type Child = u32;
        type Connection = &'static str;
        async fn spawn_child(&self, plan: &SpawnBgPlan) -> Result<u32, SpawnError>;
        async fn await_socket_alive(&self, endpoint: &Endpoint) -> Result<&'static str, WatchError>;
        async fn await_child_exit(&self, child: &u32) -> Result<ChildExit, WatchError>;
        async fn await_timeout(&self, after: Duration) -> Result<(), WatchError>;
        async fn kill_child(&self, child: &u32, how: KillSignal) -> Result<(), KillError>;
        async fn release_lock(&self, claim: &LockClaim) -> Result<(), ReleaseError>;
        fn child_pid(&self, child: &u32) -> Option<Pid>;
    }
}

const CHILD: u32 = 9;

fn deps() -> MockDeps {
    let mut deps = MockDeps::new();
    deps.expect_child_pid().with(eq(CHILD)).return_const(builders::child().pid);
    deps
}

fn started() -> MockDeps {
    let mut deps = deps();
    deps.expect_spawn_child().with(eq(plan())).times(1).returning(|_| Ok(CHILD));
    deps
}

fn ended(deps: &MockDeps) -> Result<Outcome<&'static str>, ExecuteError> {
    Run::new(execute_spawn_bg_resume(&plan(), Some(&claim()), deps)).finish()
}

/// Rule 1.
#[test]
fn no_claim_no_call() {
    let deps = MockDeps::new();
    let ended = Run::new(execute_spawn_bg_resume(&plan(), None, &deps)).finish();
    assert!(matches!(ended, Err(ExecuteError::Pairing(_))), "{ended:?}");
}

/// Rule 2: the only call after a failed spawn is the release of the claim.
#[test]
fn a_failing_spawn_is_followed_by_one_release() {
    let mut deps = deps();
    deps.expect_spawn_child().times(1).returning(|_| Err(spawn_error()));
    deps.expect_release_lock().with(eq(claim())).times(1).returning(|_| Ok(()));
    let ended = ended(&deps).unwrap();
    assert!(matches!(ended, Outcome::SpawnStartFailed { error } if error == spawn_error()));
}

/// Rule 6: spawn and release both failed, and the caller knows that no worker runs.
#[test]
fn a_failing_release_after_a_failing_spawn_says_so() {
    let mut deps = deps();
    deps.expect_spawn_child().times(1).returning(|_| Err(spawn_error()));
    deps.expect_release_lock().times(1).returning(|_| Err(release_error()));
    let ended = ended(&deps);
    let Err(ExecuteError::Release { source, observed: Seen::SpawnStartFailed }) = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(source, release_error());
}

/// The exit of the spawned child is awaited; after an immediate exit, no other effect is called twice.
#[test]
fn an_exit_at_once_needs_no_signal() {
    let mut deps = started();
    deps.expect_await_child_exit().with(eq(CHILD)).times(1).returning(|_| Ok(ChildExit::Code(3)));
    deps.expect_await_socket_alive().times(1).returning(|_| Err(watch_error("watch the socket")));
    deps.expect_await_timeout().with(eq(OBSERVE)).times(1).returning(|_| Ok(()));
    deps.expect_release_lock().with(eq(claim())).times(1).returning(|_| Ok(()));
    let ended = ended(&deps).unwrap();
    let Outcome::ChildExited { exit, pid: of, after_kill, cause } = ended else { panic!("{ended:?}") };
    assert_eq!((exit, of, after_kill, cause), (ChildExit::Code(3), Some(pid(CHILD_PID)), false, None));
}

/// Rules 4 to 8 together: every effect fails, each is called as often as the rules say, and the claim stays.
#[test]
fn when_everything_fails_the_claim_stays() {
    let mut deps = started();
    deps.expect_await_child_exit().with(eq(CHILD)).times(2).returning(|_| Err(watch_error("watch the exit")));
    deps.expect_await_socket_alive().times(1).returning(|_| Err(watch_error("watch the socket")));
    deps.expect_await_timeout().with(eq(OBSERVE)).times(1).returning(|_| Err(watch_error("wait")));
    deps.expect_await_timeout().with(eq(TERM)).times(1).returning(|_| Err(watch_error("wait")));
    deps.expect_await_timeout().with(eq(KILL)).times(1).returning(|_| Err(watch_error("wait")));
    deps.expect_kill_child()
        .with(eq(CHILD), eq(KillSignal::Term))
        .times(1)
        .returning(|_, _| Err(kill_error()));
    deps.expect_kill_child()
        .with(eq(CHILD), eq(KillSignal::Kill))
        .times(1)
        .returning(|_, _| Err(kill_error()));
    deps.expect_release_lock().with(always()).never();
    let ended = ended(&deps).unwrap();
    assert!(matches!(ended, Outcome::LockRetained { .. }), "{ended:?}");
}

/// Rule 9 (A8): a panic after the spawn releases nothing.
#[test]
fn a_start_that_unwinds_releases_nothing() {
    let mut deps = started();
    deps.expect_await_child_exit().times(1).returning(|_| panic!("a bug in an adapter"));
    deps.expect_release_lock().with(always()).never();
    let unwound = catch_unwind(AssertUnwindSafe(|| ended(&deps)));
    assert!(unwound.is_err());
}
