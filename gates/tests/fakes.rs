//! The fakes themselves: a gate is worth as much as its fakes.

use rekindle_core::effects::SpawnBgResumeDeps;
use rekindle_gates::builders::{self, OBSERVE};
use rekindle_gates::fakes::{Call, Entry, FakeStart, Run};

#[test]
fn an_answer_wakes_the_call_that_waits() {
    let deps = FakeStart::silent();
    let mut run = Run::new(deps.await_timeout(OBSERVE));
    run.stall();
    assert_eq!(run.polls(), 1, "nothing woke it");
    deps.elapse(OBSERVE);
    assert!(run.finish().is_ok());
    assert_eq!(
        deps.log.entries(),
        [Entry::Asked(Call::Timer(OBSERVE)), Entry::Answered(Call::Timer(OBSERVE))]
    );
}

#[test]
fn an_answer_that_comes_first_waits_for_its_call() {
    let deps = FakeStart::silent();
    deps.socket_alive();
    let connection = Run::new(deps.await_socket_alive(builders::plan().target())).finish();
    assert_eq!(deps.log.count(Entry::ConnectionClosed), 0);
    drop(connection);
    assert_eq!(deps.log.count(Entry::ConnectionClosed), 1);
}

#[test]
fn a_call_that_is_dropped_is_logged_and_one_never_polled_was_never_asked() {
    let deps = FakeStart::silent();
    drop(deps.await_timeout(OBSERVE));
    assert_eq!(deps.log.entries(), []);
    let mut run = Run::new(deps.await_timeout(OBSERVE));
    run.stall();
    assert!(deps.timer(OBSERVE).is_waiting());
    drop(run);
    assert!(!deps.timer(OBSERVE).is_waiting());
    assert_eq!(
        deps.log.entries(),
        [Entry::Asked(Call::Timer(OBSERVE)), Entry::Dropped(Call::Timer(OBSERVE))]
    );
}

#[test]
fn a_spent_budget_stops_the_polling() {
    let deps = FakeStart::silent();
    let mut run = Run::new(deps.await_timeout(OBSERVE)).at_most(1);
    run.stall();
    deps.elapse(OBSERVE);
    run.stall();
    assert!(run.is_spent());
}

#[test]
#[should_panic(expected = "wakes itself without end")]
fn a_future_that_spins_is_caught() {
    Run::new(std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        std::task::Poll::<()>::Pending
    }))
    .finish();
}
