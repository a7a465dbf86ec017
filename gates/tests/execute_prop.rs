//! Random answers of random effects in random order: the promises for every start.

use proptest::prelude::*;
use rekindle_core::execute::{ExecuteError, Outcome};
use rekindle_core::{ChildExit, KillPolicy, KillSignal, execute_spawn_bg_resume};
use rekindle_gates::builders::{
    self, OBSERVE, claim, kill_error, plan, plan_ending_by, release_error, spawn_error, term_only, then_kill,
    watch_error,
};
use rekindle_gates::fakes::{Call, Entry, FakeConnection, FakeStart, Run};
use rekindle_gates::property;
use std::time::Duration;

/// One event of a start. An early answer waits for its call.
#[derive(Debug, Clone, Copy)]
enum Act {
    Spawn(Behaviour),
    Socket(Behaviour),
    Exit(Behaviour),
    /// The running timer, if any.
    Timer(Behaviour),
    Kill(KillSignal, Behaviour),
    Release(Behaviour),
    /// The start is polled until it stalls; acts without a poll between them are simultaneous.
    Poll,
}

#[derive(Debug, Clone, Copy)]
enum Behaviour {
    Succeeds,
    Fails,
}

impl Behaviour {
    fn with<T, E>(self, value: T, error: E) -> Result<T, E> {
        match self {
            Self::Succeeds => Ok(value),
            Self::Fails => Err(error),
        }
    }
}

impl Act {
    fn on(self, deps: &FakeStart) {
        match self {
            Self::Spawn(how) => deps.spawn.answer(how.with(builders::child(), spawn_error())),
            Self::Socket(Behaviour::Succeeds) => deps.socket_alive(),
            Self::Socket(Behaviour::Fails) => deps.socket.answer(Err(watch_error("watch the socket"))),
            Self::Exit(how) => deps.exit.answer(how.with(ChildExit::Code(0), watch_error("watch the exit"))),
            Self::Timer(how) => {
                if let Some(after) = deps.running_timer() {
                    deps.timer(after).answer(how.with((), watch_error("wait")));
                }
            }
            Self::Kill(KillSignal::Term, how) => deps.term.answer(how.with((), kill_error())),
            Self::Kill(KillSignal::Kill, how) => deps.kill.answer(how.with((), kill_error())),
            Self::Release(how) => deps.release.answer(how.with((), release_error())),
            Self::Poll => {}
        }
    }
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let how = || prop_oneof![3 => Just(Behaviour::Succeeds), 2 => Just(Behaviour::Fails)];
    let signal = prop::sample::select(vec![KillSignal::Term, KillSignal::Kill]);
    let act = prop_oneof![
        3 => how().prop_map(Act::Spawn),
        1 => how().prop_map(Act::Socket),
        2 => how().prop_map(Act::Exit),
        3 => how().prop_map(Act::Timer),
        1 => (signal, how()).prop_map(|(signal, how)| Act::Kill(signal, how)),
        1 => how().prop_map(Act::Release),
        5 => Just(Act::Poll),
    ];
    prop::collection::vec(act, 0..24)
}

type Ended = Result<Outcome<FakeConnection>, ExecuteError>;

/// Plays `acts`, then lets time pass until the start is over.
fn play(deps: &FakeStart, kill_policy: KillPolicy, acts: &[Act]) -> Result<Ended, TestCaseError> {
    /// Spawn, timeout, two graces and a release are all that can be left to wait for.
    const WAITS_MAX: usize = 5;
    let (plan, claim) = (plan_ending_by(kill_policy), claim());
    let mut run = Run::new(execute_spawn_bg_resume(&plan, Some(&claim), deps));
    for act in acts {
        act.on(deps);
        if matches!(act, Act::Poll)
            && let Some(ended) = run.settle()
        {
            return Ok(ended);
        }
    }
    for _ in 0..=WAITS_MAX {
        if let Some(ended) = run.settle() {
            return Ok(ended);
        }
        if deps.spawn.is_waiting() {
            deps.spawn.answer(Ok(builders::child()));
        } else if deps.release.is_waiting() {
            deps.release.answer(Ok(()));
        } else {
            prop_assert!(deps.jump().is_some(), "it waits for what may never come");
        }
    }
    Err(TestCaseError::fail(format!("it is not over: {:?}", deps.log.entries())))
}

/// The rules for every log, with any answers.
fn check_log(deps: &FakeStart, longest: Duration) -> Result<(), TestCaseError> {
    let log = &deps.log;
    prop_assert!(log.asked(Call::Release) <= 1, "released twice");
    if let Some(released_at) = log.position(Entry::Asked(Call::Release)) {
        let seen = [Entry::Answered(Call::Socket), Entry::Answered(Call::Exit), Entry::Failed(Call::Spawn)];
        let observed = seen.into_iter().filter_map(|entry| log.position(entry)).any(|at| at < released_at);
        prop_assert!(observed, "released without an observation");
    }
    if let Some(exited_at) = log.position(Entry::Answered(Call::Exit)) {
        let late = |entry: &Entry| matches!(entry, Entry::Asked(Call::Kill(_)));
        prop_assert!(!log.entries()[exited_at..].iter().any(late), "signalled after its exit");
    }
    prop_assert!(log.kills().len() <= 2 && log.asked(Call::Exit) <= 2 && log.asked(Call::Spawn) == 1);
    prop_assert!(log.time_asked() <= longest, "it may take {:?}", log.time_asked());
    prop_assert_eq!(log.outstanding(), []);
    Ok(())
}

/// The reported outcome is the real outcome.
fn check_outcome(deps: &FakeStart, ended: &Ended) -> Result<(), TestCaseError> {
    let log = &deps.log;
    let released = log.count(Entry::Answered(Call::Release)) == 1;
    match ended {
        Ok(outcome) => {
            prop_assert_eq!(outcome.released(), released);
            let seen = match outcome {
                Outcome::SocketAlive { after_kill, .. } => {
                    prop_assert_eq!(
                        log.count(Entry::ConnectionClosed),
                        0,
                        "the caller's connection was closed"
                    );
                    Some((Entry::Answered(Call::Socket), *after_kill))
                }
                Outcome::ChildExited { after_kill, cause, .. } => {
                    prop_assert_eq!(cause.is_some(), *after_kill);
                    Some((Entry::Answered(Call::Exit), *after_kill))
                }
                Outcome::SpawnStartFailed { .. } => Some((Entry::Failed(Call::Spawn), false)),
                Outcome::LockRetained { .. } => None,
            };
            if let Some((seen, after_kill)) = seen {
                prop_assert_eq!(log.count(seen), 1);
                prop_assert_eq!(after_kill, !log.kills().is_empty());
            } else {
                prop_assert_eq!(log.asked(Call::Release), 0);
                prop_assert!(!log.kills().is_empty(), "nothing is retained that was not told to go");
            }
        }
        Err(ExecuteError::Release { .. }) => prop_assert_eq!(log.count(Entry::Failed(Call::Release)), 1),
        Err(error @ ExecuteError::Pairing(_)) => {
            return Err(TestCaseError::fail(format!("the claim is the plan's: {error}")));
        }
    }
    Ok(())
}

/// Promises 2, 4 and 5 (T04, T06, T07): bounded, released at most once and on an observation, no signal after an exit.
#[test]
fn every_start_keeps_the_promises() {
    let policy = prop::sample::select(vec![term_only(), then_kill()]);
    property!("execute_prop", every_start_keeps_the_promises).check(&(policy, acts()), |(policy, acts)| {
        let deps = FakeStart::silent();
        let ended = play(&deps, policy, &acts)?;
        check_log(&deps, OBSERVE + policy.total_grace())?;
        check_outcome(&deps, &ended)
    });
}

/// T13: the same histories, with the start dropped at any end.
#[test]
fn every_start_that_is_dropped_keeps_the_promises() {
    property!("execute_prop", every_start_that_is_dropped_keeps_the_promises).check(&acts(), |acts| {
        let deps = FakeStart::silent();
        let (plan, claim) = (plan(), claim());
        let mut run = Run::new(execute_spawn_bg_resume(&plan, Some(&claim), &deps));
        for act in acts {
            act.on(&deps);
            if matches!(act, Act::Poll) && run.settle().is_some() {
                break;
            }
        }
        drop(run);
        check_log_of_a_drop(&deps)
    });
}

fn check_log_of_a_drop(deps: &FakeStart) -> Result<(), TestCaseError> {
    if deps.log.asked(Call::Spawn) == 0 {
        prop_assert_eq!(deps.log.entries().len(), 0);
        return Ok(());
    }
    check_log(deps, OBSERVE + then_kill().total_grace())
}
