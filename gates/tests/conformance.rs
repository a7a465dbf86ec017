//! The conformance body on the fakes; `smoke` runs the same on processes (checklist 26).

use async_trait::async_trait;
use rekindle_core::effects::{
    ChildExit, KillError, KillSignal, ReleaseError, SpawnBgResumeDeps, SpawnError, WatchError,
};
use rekindle_core::{Endpoint, LockClaim, Pid, SpawnBgPlan};
use rekindle_gates::builders::{self, claim, plan};
use rekindle_gates::conformance::{self, Conduct, EARLY_EXIT_CODE, Harness, Prepared};
use rekindle_gates::fakes::{Call, Entry, FakeChild, FakeConnection, FakeStart, Run};
use std::sync::Arc;
use std::time::Duration;

/// A start with a child that behaves by itself; only time is left to the test.
struct Behaving {
    start: Arc<FakeStart>,
    conduct: Conduct,
}

impl Behaving {
    fn new(conduct: Conduct) -> Self {
        let start = FakeStart::silent();
        start.release.answer(Ok(()));
        match conduct {
            Conduct::MissingProgram => {
                let program = plan().launch_args.swap_remove(0);
                start.spawn.answer(Err(SpawnError::ProgramNotFound { program, searched: None }));
            }
            Conduct::Polite => {
                start.spawn.answer(Ok(builders::child()));
                start.socket_alive();
            }
            Conduct::ExitsAtOnce => {
                start.spawn.answer(Ok(builders::child()));
                start.child_exits(ChildExit::Code(EARLY_EXIT_CODE));
            }
            Conduct::Hung | Conduct::Stubborn => start.spawn.answer(Ok(builders::child())),
        }
        Self { start: Arc::new(start), conduct }
    }
}

#[async_trait]
impl SpawnBgResumeDeps for Behaving {
    type Child = FakeChild;
    type Connection = FakeConnection;

    async fn spawn_child(&self, plan: &SpawnBgPlan) -> Result<FakeChild, SpawnError> {
        self.start.spawn_child(plan).await
    }

    async fn await_socket_alive(&self, endpoint: &Endpoint) -> Result<FakeConnection, WatchError> {
        self.start.await_socket_alive(endpoint).await
    }

    async fn await_child_exit(&self, child: &FakeChild) -> Result<ChildExit, WatchError> {
        self.start.await_child_exit(child).await
    }

    async fn await_timeout(&self, after: Duration) -> Result<(), WatchError> {
        self.start.await_timeout(after).await
    }

    async fn kill_child(&self, child: &FakeChild, how: KillSignal) -> Result<(), KillError> {
        match (how, self.conduct) {
            (KillSignal::Term, Conduct::Stubborn) => self.start.term.answer(Ok(())),
            (KillSignal::Term, _) => {
                self.start.term.answer(Ok(()));
                self.start.child_exits(ChildExit::Signal(15));
            }
            (KillSignal::Kill, _) => {
                self.start.kill.answer(Ok(()));
                self.start.child_exits(ChildExit::Signal(9));
            }
        }
        self.start.kill_child(child, how).await
    }

    async fn release_lock(&self, claim: &LockClaim) -> Result<(), ReleaseError> {
        self.start.release_lock(claim).await
    }

    fn child_pid(&self, child: &FakeChild) -> Option<Pid> {
        self.start.child_pid(child)
    }
}

struct OnFakes(Arc<FakeStart>, Conduct);

#[async_trait]
impl Harness for OnFakes {
    type Deps = Behaving;

    async fn prepare(&self, conduct: Conduct) -> Prepared<Behaving> {
        assert_eq!(conduct, self.1);
        let deps = Behaving { start: Arc::clone(&self.0), conduct };
        Prepared { deps, plan: plan(), claim: claim() }
    }

    async fn is_alive(&self, prepared: &Prepared<Behaving>, _pid: Pid) -> bool {
        prepared.deps.start.log.count(Entry::Answered(Call::Exit)) == 0
    }

    async fn is_claim_held(&self, prepared: &Prepared<Behaving>) -> bool {
        prepared.deps.start.log.count(Entry::Answered(Call::Release)) == 0
    }
}

/// Runs one expectation to its end; at every stall, time jumps to the next timer.
fn expect<F: Future<Output = ()>>(conduct: Conduct, expectation: impl FnOnce(OnFakes) -> F) {
    let start = Behaving::new(conduct).start;
    let mut run = Run::new(expectation(OnFakes(Arc::clone(&start), conduct)));
    while run.settle().is_none() {
        assert!(start.jump().is_some(), "it waits for nothing that time could bring");
    }
}

#[test]
fn started_worker_is_alive_and_claim_released_once() {
    expect(Conduct::Polite, |on| async move {
        conformance::started_worker_is_alive_and_claim_released_once(&on).await;
    });
}

#[test]
fn hung_worker_is_killed_observed_and_released_once() {
    expect(Conduct::Hung, |on| async move {
        conformance::hung_worker_is_killed_observed_and_released_once(&on).await;
    });
}

#[test]
fn stubborn_worker_is_escalated() {
    expect(Conduct::Stubborn, |on| async move { conformance::stubborn_worker_is_escalated(&on).await });
}

#[test]
fn early_exit_is_observed() {
    expect(Conduct::ExitsAtOnce, |on| async move { conformance::early_exit_is_observed(&on).await });
}

#[test]
fn missing_program_never_starts() {
    expect(Conduct::MissingProgram, |on| async move { conformance::missing_program_never_starts(&on).await });
}
