//! The rules of a start (design 3.4), one test each, with every completion under the test's control: pairing, the
//! spawn, the first observation, and the consequences of a timeout. `execute_seams.rs` tests failing effects,
//! `execute_cancel.rs` dropped futures.

use rekindle_core::execute::{Cause, Diagnostic, ExecuteError, Outcome};
use rekindle_core::release::PairingError;
use rekindle_core::resume::RetainedReason;
use rekindle_core::{ChildExit, KillPolicy, KillSignal, SpawnBgPlan, StopSignal, execute_spawn_bg_resume};
use rekindle_gates::builders::{
    self, CHILD_PID, KILL, OBSERVE, TERM, claim, pid, plan, plan_ending_by, session, session_named,
    term_only, then_kill,
};
use rekindle_gates::fakes::{Call, Entry, FakeStart, Run, Step};

fn elapse(after: std::time::Duration) -> impl Fn(&FakeStart) {
    move |deps| deps.elapse(after)
}

fn exits(exit: ChildExit) -> impl Fn(&FakeStart) {
    move |deps| deps.child_exits(exit)
}

fn asked(deps: &FakeStart) -> Vec<Call> {
    let call = |entry: Entry| match entry {
        Entry::Asked(call) => Some(call),
        Entry::Answered(_) | Entry::Failed(_) | Entry::Dropped(_) | Entry::ConnectionClosed => None,
    };
    deps.log.entries().into_iter().filter_map(call).collect()
}

const TERMINATED: ChildExit = ChildExit::Signal(15);
const TIMED_OUT: Cause = Cause::ObserveTimeout { after: OBSERVE };

/// Rule 1.
#[test]
fn a_missing_or_mispaired_claim_is_an_error_before_anything_is_spawned() {
    let deps = FakeStart::new();
    let plan = plan();
    let ended = Run::new(execute_spawn_bg_resume(&plan, None, &deps)).finish();
    let Err(ExecuteError::Pairing(error)) = ended else { panic!("{ended:?}") };
    assert_eq!(error, PairingError::Missing { session: session() });

    let mut theirs = claim();
    theirs.session_id = session_named("other");
    let ended = Run::new(execute_spawn_bg_resume(&plan, Some(&theirs), &deps)).finish();
    let Err(ExecuteError::Pairing(error)) = ended else { panic!("{ended:?}") };
    assert_eq!(error, PairingError::OtherSession { planned: session(), claimed: session_named("other") });
    assert_eq!(deps.log.entries(), []);
}

/// Rule 2 (T18): no watch begins, the claim is released once, the original error is kept.
#[test]
fn a_spawn_that_fails_releases_once_and_keeps_its_error() {
    let deps = FakeStart::silent();
    let fails = |deps: &FakeStart| deps.spawn.answer(Err(builders::spawn_error()));
    let releases = |deps: &FakeStart| deps.release.answer(Ok(()));
    let outcome = deps.play(&[&fails, &releases]).unwrap();
    assert!(outcome.released());
    let Outcome::SpawnStartFailed { error } = outcome else { panic!("{outcome:?}") };
    assert_eq!(error, builders::spawn_error());
    assert_eq!(
        deps.log.entries(),
        [
            Entry::Asked(Call::Spawn),
            Entry::Failed(Call::Spawn),
            Entry::Asked(Call::Release),
            Entry::Answered(Call::Release)
        ]
    );
}

/// Rule 3, and the first effects of every start.
#[test]
fn a_socket_that_answers_ends_the_start() {
    let deps = FakeStart::new();
    let outcome = deps.play(&[&FakeStart::socket_alive]).unwrap();
    assert!(outcome.released());
    let Outcome::SocketAlive { pid: seen, connection, after_kill } = outcome else { panic!("{outcome:?}") };
    assert_eq!((seen, after_kill), (Some(pid(CHILD_PID)), false));
    assert_eq!(
        deps.log.entries(),
        [
            Entry::Asked(Call::Spawn),
            Entry::Answered(Call::Spawn),
            Entry::Asked(Call::Exit),
            Entry::Asked(Call::Socket),
            Entry::Asked(Call::Timer(OBSERVE)),
            Entry::Answered(Call::Socket),
            Entry::Dropped(Call::Exit),
            Entry::Dropped(Call::Timer(OBSERVE)),
            Entry::Asked(Call::Release),
            Entry::Answered(Call::Release),
        ]
    );
    drop(connection);
    assert_eq!(deps.log.count(Entry::ConnectionClosed), 1, "the connection was the caller's to close");
}

/// The watcher uses the plan's endpoint, and the given claim is released.
#[test]
fn the_endpoint_and_the_claim_are_the_given_ones() {
    let deps = FakeStart::new();
    assert!(deps.play(&[&FakeStart::socket_alive]).unwrap().released());
    assert_eq!(deps.watched(), [plan().target().clone()]);
    assert_eq!(deps.released(), [claim().nonce]);
}

/// Rule 3 (T18): an early exit is observed with its status and without a cause, and no signal is sent.
#[test]
fn an_exit_ends_the_start() {
    for exit in [ChildExit::Code(3), ChildExit::Signal(11), ChildExit::Unknown] {
        let deps = FakeStart::new();
        let outcome = deps.play(&[&exits(exit)]).unwrap();
        assert!(outcome.released());
        let Outcome::ChildExited { exit: seen, pid: of, after_kill, cause } = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!((seen, of, after_kill, cause), (exit, Some(pid(CHILD_PID)), false, None));
        assert_eq!(deps.log.kills(), []);
        assert_eq!(deps.log.asked(Call::Release), 1);
        assert_eq!(deps.log.outstanding(), []);
    }
}

/// A child without a pid in our namespace is as good as any.
#[test]
fn a_child_without_a_pid_is_reported_without_one() {
    let deps = FakeStart::silent();
    deps.spawn.answer(Ok(rekindle_gates::fakes::FakeChild { pid: None }));
    deps.release.answer(Ok(()));
    let outcome = deps.play(&[&FakeStart::socket_alive]).unwrap();
    assert!(matches!(outcome, Outcome::SocketAlive { pid: None, .. }), "{outcome:?}");
}

/// Rule 3: among simultaneous facts, exit beats socket and socket beats timeout.
#[test]
fn simultaneous_facts_are_heard_in_their_order() {
    let socket = |deps: &FakeStart| deps.socket_alive();
    let timeout = |deps: &FakeStart| deps.elapse(OBSERVE);
    let exit = |deps: &FakeStart| deps.child_exits(ChildExit::Code(0));
    // The order of arrival makes no difference.
    let together: [(&str, [Step<'_>; 3]); 3] = [
        ("exit", [&timeout, &socket, &exit]),
        ("exit", [&socket, &exit, &timeout]),
        ("socket", [&timeout, &socket, &|_| {}]),
    ];
    for (winner, steps) in together {
        let deps = FakeStart::new();
        let at_once = |deps: &FakeStart| steps.iter().for_each(|step| step(deps));
        let outcome = deps.play(&[&at_once]).unwrap();
        let won = match outcome {
            Outcome::ChildExited { after_kill: false, cause: None, .. } => "exit",
            Outcome::SocketAlive { after_kill: false, .. } => "socket",
            other => panic!("{other:?}"),
        };
        assert_eq!(won, winner);
        assert_eq!(deps.log.kills(), [], "a timeout that lost kills nothing");
        assert_eq!(deps.log.asked(Call::Release), 1);
    }
}

/// Rule 3: the same before the first poll of the start.
#[test]
fn facts_that_were_there_first_are_heard_in_the_same_order() {
    let deps = FakeStart::new();
    deps.elapse(OBSERVE);
    deps.socket_alive();
    deps.child_exits(ChildExit::Code(0));
    let outcome = deps.play(&[]).unwrap();
    assert!(matches!(outcome, Outcome::ChildExited { after_kill: false, .. }), "{outcome:?}");
    assert_eq!(deps.log.count(Entry::ConnectionClosed), 1, "a connection that lost is closed");
}

/// Rule 3: the loser changes nothing, even during the release of the winner.
#[test]
fn the_loser_changes_nothing() {
    let deps = FakeStart::silent();
    deps.spawn.answer(Ok(builders::child()));
    let loses = |deps: &FakeStart| {
        deps.child_exits(ChildExit::Code(1));
        deps.elapse(OBSERVE);
    };
    let releases = |deps: &FakeStart| deps.release.answer(Ok(()));
    let outcome = deps.play(&[&FakeStart::socket_alive, &loses, &releases]).unwrap();
    assert!(matches!(outcome, Outcome::SocketAlive { after_kill: false, .. }), "{outcome:?}");
    assert_eq!(deps.log.asked(Call::Release), 1);
    assert_eq!(deps.log.kills(), []);
    assert_eq!(deps.log.count(Entry::ConnectionClosed), 0, "the winner's connection is kept meanwhile");
}

/// Rule 4: timeout, SIGTERM, grace, SIGKILL, grace, and the claim stays (T04, T20).
#[test]
fn a_worker_that_survives_everything_keeps_its_claim_retained() {
    let deps = FakeStart::new();
    let outcome = deps.play(&[&elapse(OBSERVE), &elapse(TERM), &elapse(KILL)]).unwrap();
    assert!(!outcome.released());
    let Outcome::LockRetained { reason, cause, diagnostic } = outcome else { panic!("{outcome:?}") };
    assert_eq!((reason, cause), (RetainedReason::KillUnconfirmed, TIMED_OUT));
    assert_eq!(diagnostic, diagnostic_of(&then_kill(), None));
    assert_eq!(
        asked(&deps),
        [
            Call::Spawn,
            Call::Exit,
            Call::Socket,
            Call::Timer(OBSERVE),
            Call::Kill(KillSignal::Term),
            Call::Timer(TERM),
            Call::Kill(KillSignal::Kill),
            Call::Timer(KILL),
        ]
    );
    assert_eq!(deps.log.outstanding(), [], "what was watched is watched no longer");
}

/// Rule 4: without escalation there is no SIGKILL, and no second grace.
#[test]
fn term_only_never_kills() {
    let deps = FakeStart::new();
    let outcome = deps.play_by(term_only(), &[&elapse(OBSERVE), &elapse(TERM)]).unwrap();
    let Outcome::LockRetained { reason, cause, diagnostic } = outcome else { panic!("{outcome:?}") };
    assert_eq!((reason, cause), (RetainedReason::KillUnconfirmed, TIMED_OUT));
    assert_eq!(diagnostic, diagnostic_of(&term_only(), None));
    assert_eq!(deps.log.kills(), [KillSignal::Term]);
    assert_eq!(deps.log.time_asked(), OBSERVE + TERM);
}

/// Rule 8: an operator can see the held claim and its worker.
fn diagnostic_of(policy: &KillPolicy, kill_error: Option<String>) -> Diagnostic {
    Diagnostic {
        session: session(),
        pid: Some(pid(CHILD_PID)),
        address: plan().target().clone(),
        socket_path: plan().expected_socket_path().map(ToOwned::to_owned),
        lock_path: claim().lock_path,
        observe_timeout: OBSERVE,
        kill_grace: policy.total_grace(),
        kill_error,
    }
}

/// Rule 8: the JSON of `up --json`.
#[test]
fn the_json_of_a_diagnostic_is_the_documented_one() {
    let json = serde_json::to_string(&diagnostic_of(&then_kill(), Some("no".into()))).unwrap();
    let documented = concat!(
        r#"{"session":"cache","pid":4242,"address":"unix:/run/cache/sock","socket_path":"/run/cache/sock","lock_path":"/state/cache/claim","#,
        r#""observe_timeout_ms":30000,"kill_grace_ms":8000,"kill_error":"no"}"#
    );
    assert_eq!(json, documented);
    let reasons = [RetainedReason::KillUnconfirmed, RetainedReason::ObserveFailed];
    let words = reasons.map(|reason| serde_json::to_string(&reason).unwrap());
    assert_eq!(words, [r#""kill-unconfirmed""#, r#""observe-failed""#]);
}

/// Rule 4: an exit after SIGTERM or SIGKILL is an observation; the cause names the reason for the kill (T20).
#[test]
fn an_exit_after_a_kill_releases_with_its_cause() {
    let after_term: [Step<'_>; 2] = [&elapse(OBSERVE), &exits(TERMINATED)];
    let after_kill: [Step<'_>; 3] = [&elapse(OBSERVE), &elapse(TERM), &exits(ChildExit::Signal(9))];
    let scripts: [(&[Step<'_>], ChildExit, &[KillSignal]); 2] = [
        (&after_term, TERMINATED, &[KillSignal::Term]),
        (&after_kill, ChildExit::Signal(9), &[KillSignal::Term, KillSignal::Kill]),
    ];
    for (script, exit, kills) in scripts {
        let deps = FakeStart::new();
        let outcome = deps.play(script).unwrap();
        assert!(outcome.released());
        let Outcome::ChildExited { exit: seen, after_kill, cause, .. } = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!((seen, after_kill, cause), (exit, true, Some(TIMED_OUT)));
        assert_eq!(deps.log.kills(), kills);
        assert_eq!(deps.log.asked(Call::Release), 1);
    }
}

/// Rule 4: a late socket is an observation too, in either grace.
#[test]
fn a_socket_after_a_kill_releases() {
    let late: [Step<'_>; 2] = [&elapse(OBSERVE), &FakeStart::socket_alive];
    let later: [Step<'_>; 3] = [&elapse(OBSERVE), &elapse(TERM), &FakeStart::socket_alive];
    for script in [&late[..], &later[..]] {
        let deps = FakeStart::new();
        let outcome = deps.play(script).unwrap();
        assert!(outcome.released());
        assert!(matches!(outcome, Outcome::SocketAlive { after_kill: true, .. }), "{outcome:?}");
        assert_eq!(deps.log.asked(Call::Release), 1);
        assert_eq!(deps.log.count(Entry::ConnectionClosed), 0);
    }
}

/// Rules 3 and 4: in a grace, too, the exit beats the socket and both beat the end of the grace.
#[test]
fn simultaneous_facts_in_a_grace_are_heard_in_their_order() {
    let all = |deps: &FakeStart| {
        deps.elapse(TERM);
        deps.socket_alive();
        deps.child_exits(TERMINATED);
    };
    let deps = FakeStart::new();
    let outcome = deps.play(&[&elapse(OBSERVE), &all]).unwrap();
    assert!(matches!(outcome, Outcome::ChildExited { after_kill: true, .. }), "{outcome:?}");
    assert_eq!(deps.log.kills(), [KillSignal::Term], "nothing is signalled after its exit is known");

    let two = |deps: &FakeStart| {
        deps.elapse(TERM);
        deps.socket_alive();
    };
    let deps = FakeStart::new();
    let outcome = deps.play(&[&elapse(OBSERVE), &two]).unwrap();
    assert!(matches!(outcome, Outcome::SocketAlive { after_kill: true, .. }), "{outcome:?}");
    assert_eq!(deps.log.kills(), [KillSignal::Term]);
}

/// Rule 7: the sum of the timeouts is the longest possible duration of a start.
#[test]
fn the_longest_start_is_the_sum_of_its_timeouts() {
    for policy in [term_only(), then_kill()] {
        let deps = FakeStart::new();
        let (plan, claim) = (plan_ending_by(policy), claim());
        let mut run = Run::new(execute_spawn_bg_resume(&plan, Some(&claim), &deps));
        let mut passed = std::time::Duration::ZERO;
        let outcome = loop {
            match run.settle() {
                Some(outcome) => break outcome,
                None => passed += deps.jump().expect("a start that waits has a timer running"),
            }
        };
        assert!(matches!(outcome, Ok(Outcome::LockRetained { .. })), "{outcome:?}");
        assert_eq!(passed, OBSERVE + policy.total_grace());
        assert_eq!(deps.log.time_asked(), passed, "no timer was asked for that did not run out");
    }
}

/// A kill policy has one source: a plan that was printed and read back ends its worker as the plan that was printed.
#[test]
fn the_graces_are_those_of_the_plan_also_if_it_was_read_back() {
    let policy = KillPolicy::TermOnly { grace: std::time::Duration::from_secs(1), signal: StopSignal::TERM };
    let printed = serde_json::to_string(&plan_ending_by(policy)).unwrap();
    let replayed: SpawnBgPlan = serde_json::from_str(&printed).unwrap();
    let deps = FakeStart::new();
    let outcome =
        deps.play_by(replayed.kill_policy, &[&elapse(OBSERVE), &elapse(policy.total_grace())]).unwrap();
    let Outcome::LockRetained { diagnostic, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(diagnostic.kill_grace, policy.total_grace());
}
