//! Failing and hanging effects after the spawn (design 3.4, rules 5 to 7).

use rekindle_core::execute::{Cause, ExecuteError, Outcome, Seen};
use rekindle_core::resume::RetainedReason;
use rekindle_core::{ChildExit, KillSignal};
use rekindle_gates::builders::{
    self, CHILD_PID, KILL, OBSERVE, TERM, kill_error, pid, release_error, watch_error,
};
use rekindle_gates::fakes::{Call, Ended, Entry, FakeStart, Step};

const TERMINATED: ChildExit = ChildExit::Signal(15);
const TIMED_OUT: Cause = Cause::ObserveTimeout { after: OBSERVE };

fn exits(deps: &FakeStart) {
    deps.child_exits(TERMINATED);
}

fn observe_elapses(deps: &FakeStart) {
    deps.elapse(OBSERVE);
}

fn term_elapses(deps: &FakeStart) {
    deps.elapse(TERM);
}

fn kill_elapses(deps: &FakeStart) {
    deps.elapse(KILL);
}

fn socket_fails(deps: &FakeStart) {
    deps.socket.answer(Err(watch_error("watch the socket")));
}

fn exit_fails(deps: &FakeStart) {
    deps.exit.answer(Err(watch_error("watch the exit")));
}

fn timeout_fails(deps: &FakeStart) {
    deps.timer(OBSERVE).answer(Err(watch_error("measure the timeout")));
}

/// The three effects that can fail during the observation, each with the cause to keep.
fn failures() -> [(Step<'static>, Cause); 3] {
    [
        (&socket_fails, Cause::Seam(watch_error("watch the socket"))),
        (&exit_fails, Cause::Seam(watch_error("watch the exit"))),
        (&timeout_fails, Cause::Seam(watch_error("measure the timeout"))),
    ]
}

fn retained(ended: Ended) -> (RetainedReason, Cause, Option<String>) {
    match ended {
        Ok(Outcome::LockRetained { reason, cause, diagnostic }) => (reason, cause, diagnostic.kill_error),
        other => panic!("{other:?}"),
    }
}

/// Rule 5: the worker is killed; its exit releases the claim, and the original error is the cause.
#[test]
fn a_failing_effect_kills_and_an_exit_releases_with_the_error_as_cause() {
    for (fails, cause) in failures() {
        let deps = FakeStart::new();
        let ended = deps.play(&[fails, &exits]).unwrap();
        assert!(ended.released());
        let Outcome::ChildExited { exit, after_kill, cause: kept, .. } = ended else { panic!("{ended:?}") };
        assert_eq!((exit, after_kill, kept), (TERMINATED, true, Some(cause)));
        assert_eq!(deps.log.kills(), [KillSignal::Term]);
        assert_eq!(deps.log.asked(Call::Release), 1);
    }
}

/// Rule 5: without an exit within the graces the claim is retained, because the worker could not be watched.
#[test]
fn a_failing_effect_without_an_exit_retains() {
    for (fails, cause) in failures() {
        let deps = FakeStart::new();
        let ended = deps.play(&[fails, &term_elapses, &kill_elapses]);
        assert_eq!(retained(ended), (RetainedReason::ObserveFailed, cause, None));
        assert_eq!(deps.log.kills(), [KillSignal::Term, KillSignal::Kill]);
        assert_eq!(deps.log.asked(Call::Release), 0);
        assert_eq!(deps.log.outstanding(), []);
    }
}

/// Rule 5: only the exit is awaited; a socket does not count any more, and is not watched any more.
#[test]
fn after_a_failing_effect_the_socket_no_longer_counts() {
    for (fails, cause) in failures() {
        let deps = FakeStart::new();
        let ended = deps.play(&[
            fails,
            &FakeStart::socket_alive,
            &term_elapses,
            &FakeStart::socket_alive,
            &kill_elapses,
        ]);
        assert_eq!(retained(ended), (RetainedReason::ObserveFailed, cause, None));
        assert_eq!(deps.log.count(Entry::Answered(Call::Socket)), 0, "nobody listened");
        assert_eq!(deps.log.asked(Call::Socket), 1, "it is not asked again");
    }
}

/// Rule 5: a failed exit watch is repeated once, and never a third time.
#[test]
fn a_failing_exit_is_asked_exactly_once_more() {
    let deps = FakeStart::new();
    let ended = deps.play(&[&exit_fails, &exit_fails, &term_elapses, &kill_elapses]);
    let first = Cause::Seam(watch_error("watch the exit"));
    assert_eq!(retained(ended), (RetainedReason::ObserveFailed, first, None));
    assert_eq!(deps.log.asked(Call::Exit), 2);

    for (fails, _) in [failures()[0].clone(), failures()[2].clone()] {
        let deps = FakeStart::new();
        assert!(deps.play(&[fails, &exits]).unwrap().released());
        assert_eq!(deps.log.asked(Call::Exit), 1, "what did not fail is not asked again");
    }
}

/// Rule 5: an exit watch that fails only after the timeout is repeated as well, and its error outranks the timeout.
#[test]
fn an_exit_that_fails_after_the_kill_is_asked_once_more() {
    let unseen = Cause::Seam(watch_error("watch the exit"));
    let deps = FakeStart::new();
    let ended = deps.play(&[&observe_elapses, &exit_fails, &exits]).unwrap();
    let Outcome::ChildExited { after_kill: true, cause, .. } = ended else { panic!("{ended:?}") };
    assert_eq!(cause, Some(unseen.clone()));
    assert_eq!(deps.log.asked(Call::Exit), 2);

    let deps = FakeStart::new();
    let ended = deps.play(&[&observe_elapses, &exit_fails, &exit_fails, &term_elapses, &kill_elapses]);
    assert_eq!(retained(ended), (RetainedReason::ObserveFailed, unseen, None));
    assert_eq!(deps.log.asked(Call::Exit), 2);
}

/// Rule 5: a repeated exit watch beats the end of any grace at the same instant, also of the last grace.
#[test]
fn an_exit_that_answers_when_asked_again_beats_the_end_of_the_grace() {
    let fails_then_exits = |deps: &FakeStart| {
        exit_fails(deps);
        exits(deps);
    };
    let with_the_last_grace = |deps: &FakeStart| {
        kill_elapses(deps);
        fails_then_exits(deps);
    };
    let with_the_first_grace = |deps: &FakeStart| {
        term_elapses(deps);
        fails_then_exits(deps);
    };
    let scripts: [(&[Step<'_>], &[KillSignal]); 2] = [
        (&[&observe_elapses, &with_the_first_grace], &[KillSignal::Term]),
        (&[&observe_elapses, &term_elapses, &with_the_last_grace], &[KillSignal::Term, KillSignal::Kill]),
    ];
    for (script, kills) in scripts {
        let deps = FakeStart::new();
        let ended = deps.play(script).unwrap();
        assert!(matches!(ended, Outcome::ChildExited { after_kill: true, .. }), "{ended:?}");
        assert_eq!(deps.log.kills(), kills, "nothing is signalled after its exit is known");
        assert_eq!(deps.log.asked(Call::Release), 1);
    }
}

/// Rule 5: of several successive failures, the first is the cause.
#[test]
fn the_first_of_several_errors_is_the_cause() {
    let deps = FakeStart::new();
    let ended = deps.play(&[&observe_elapses, &socket_fails, &exit_fails, &term_elapses, &kill_elapses]);
    let first = Cause::Seam(watch_error("watch the socket"));
    assert_eq!(retained(ended), (RetainedReason::ObserveFailed, first, None));
}

/// Rule 5: the repeated exit watch survives the escalation.
#[test]
fn an_exit_that_is_asked_again_is_heard_after_the_escalation() {
    let deps = FakeStart::new();
    let ended = deps.play(&[&exit_fails, &term_elapses, &exits]).unwrap();
    assert!(matches!(ended, Outcome::ChildExited { after_kill: true, .. }), "{ended:?}");
    assert_eq!(deps.log.kills(), [KillSignal::Term, KillSignal::Kill]);
}

/// Rule 5: if the socket watch fails after the kill, the exit decides.
#[test]
fn a_socket_that_fails_after_the_kill_leaves_the_exit_to_decide() {
    let deps = FakeStart::new();
    let ended = deps.play(&[&observe_elapses, &socket_fails, &exits]).unwrap();
    assert!(matches!(ended, Outcome::ChildExited { after_kill: true, .. }), "{ended:?}");
    assert_eq!(deps.log.kills(), [KillSignal::Term], "it is not killed twice");

    let deps = FakeStart::new();
    let ended = deps.play(&[&observe_elapses, &socket_fails, &term_elapses, &kill_elapses]);
    assert_eq!(retained(ended).0, RetainedReason::ObserveFailed);
    assert_eq!(deps.log.time_asked(), OBSERVE + TERM + KILL, "its grace is not started anew");
}

/// Rule 5: of several simultaneous failures, the first one heard is the cause, and one kill is sent.
#[test]
fn effects_that_fail_at_once_kill_once() {
    let deps = FakeStart::new();
    let all = |deps: &FakeStart| failures().iter().for_each(|(fails, _)| fails(deps));
    let ended = deps.play(&[&all, &exits]).unwrap();
    let Outcome::ChildExited { cause, .. } = ended else { panic!("{ended:?}") };
    assert_eq!(cause, Some(Cause::Seam(watch_error("watch the exit"))));
    assert_eq!(deps.log.kills(), [KillSignal::Term]);
    assert_eq!(deps.log.asked(Call::Exit), 2);
}

/// Rule 5: an observation beats a simultaneous failure.
#[test]
fn an_observation_beats_a_simultaneous_failure() {
    let socket_and_failures = |deps: &FakeStart| {
        exit_fails(deps);
        timeout_fails(deps);
        deps.socket_alive();
    };
    let deps = FakeStart::new();
    let ended = deps.play(&[&socket_and_failures]).unwrap();
    assert!(matches!(ended, Outcome::SocketAlive { after_kill: false, .. }), "{ended:?}");
    let exit_and_failures = |deps: &FakeStart| {
        socket_fails(deps);
        timeout_fails(deps);
        deps.child_exits(ChildExit::Code(1));
    };
    let deps = FakeStart::new();
    let ended = deps.play(&[&exit_and_failures]).unwrap();
    assert!(matches!(ended, Outcome::ChildExited { after_kill: false, cause: None, .. }), "{ended:?}");
}

/// Rule 5: after a failed kill the observation still decides, and the diagnostic reports the failure.
#[test]
fn a_failing_kill_is_survived() {
    let deps = FakeStart::silent();
    deps.spawn.answer(Ok(builders::child()));
    deps.term.answer(Err(kill_error()));
    deps.kill.answer(Err(kill_error()));
    let ended = deps.play(&[&observe_elapses, &term_elapses, &kill_elapses]);
    let told = Some(kill_error().to_string());
    assert_eq!(retained(ended), (RetainedReason::KillUnconfirmed, TIMED_OUT, told));

    let deps = FakeStart::silent();
    deps.spawn.answer(Ok(builders::child()));
    deps.term.answer(Err(kill_error()));
    deps.release.answer(Ok(()));
    let ended = deps.play(&[&observe_elapses, &exits]).unwrap();
    assert!(matches!(ended, Outcome::ChildExited { after_kill: true, .. }), "{ended:?}");
}

/// Rule 7 (T04): a hanging kill does not delay its grace, and is dropped when the next kill begins.
#[test]
fn a_hanging_kill_is_raced_by_its_grace() {
    let deps = FakeStart::silent();
    deps.spawn.answer(Ok(builders::child()));
    let ended = deps.play(&[&observe_elapses, &term_elapses, &kill_elapses]);
    assert_eq!(retained(ended), (RetainedReason::KillUnconfirmed, TIMED_OUT, None));
    assert_eq!(deps.log.count(Entry::Dropped(Call::Kill(KillSignal::Term))), 1);
    assert_eq!(deps.log.count(Entry::Dropped(Call::Kill(KillSignal::Kill))), 1);
    let dropped = deps.log.position(Entry::Dropped(Call::Kill(KillSignal::Term)));
    assert!(dropped < deps.log.position(Entry::Asked(Call::Kill(KillSignal::Kill))));
}

/// Rule 7: an exit is heard while the kill still hangs.
#[test]
fn an_exit_is_heard_while_the_kill_hangs() {
    let deps = FakeStart::silent();
    deps.spawn.answer(Ok(builders::child()));
    deps.release.answer(Ok(()));
    let ended = deps.play(&[&observe_elapses, &exits]).unwrap();
    assert!(matches!(ended, Outcome::ChildExited { after_kill: true, .. }), "{ended:?}");
    assert_eq!(deps.log.outstanding(), []);
}

/// Rule 5: a grace with a failed timer counts as elapsed, and is not the first cause.
#[test]
fn a_failing_grace_counts_as_elapsed() {
    let term_fails = |deps: &FakeStart| deps.timer(TERM).answer(Err(watch_error("measure the grace")));
    let kill_fails = |deps: &FakeStart| deps.timer(KILL).answer(Err(watch_error("measure the grace")));
    let deps = FakeStart::new();
    let ended = deps.play(&[&observe_elapses, &term_fails, &kill_fails]);
    assert_eq!(retained(ended), (RetainedReason::KillUnconfirmed, TIMED_OUT, None));
    assert_eq!(deps.log.kills(), [KillSignal::Term, KillSignal::Kill]);
}

/// Rule 6: a failed release reports the earlier observation, so the caller does not start again.
#[test]
fn a_failing_release_says_what_was_seen() {
    let spawn_fails = |deps: &FakeStart| deps.spawn.answer(Err(builders::spawn_error()));
    let spawns = |deps: &FakeStart| deps.spawn.answer(Ok(builders::child()));
    let release_fails = |deps: &FakeStart| deps.release.answer(Err(release_error()));
    let alive = Seen::SocketAlive { pid: Some(pid(CHILD_PID)) };
    let scripts: [(Seen, &[Step<'_>]); 4] = [
        (Seen::SpawnStartFailed, &[&spawn_fails, &release_fails]),
        (alive, &[&spawns, &FakeStart::socket_alive, &release_fails]),
        (Seen::ChildExited { exit: TERMINATED }, &[&spawns, &exits, &release_fails]),
        (Seen::ChildExited { exit: TERMINATED }, &[&spawns, &observe_elapses, &exits, &release_fails]),
    ];
    for (seen, script) in scripts {
        let deps = FakeStart::silent();
        match deps.play(script) {
            Err(ExecuteError::Release { source, observed }) => {
                assert_eq!((source, observed), (release_error(), seen));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(deps.log.asked(Call::Release), 1, "it is not tried again");
        assert_eq!(deps.log.outstanding(), []);
    }
}

#[test]
fn the_words_for_what_was_seen_are_the_documented_ones() {
    let json = |seen: Seen| serde_json::to_string(&seen).unwrap();
    assert_eq!(json(Seen::SpawnStartFailed), r#""spawn-start-failed""#);
    assert_eq!(json(Seen::SocketAlive { pid: Some(pid(7)) }), r#"{"socket-alive":{"pid":7}}"#);
    let exited = Seen::ChildExited { exit: ChildExit::Code(3) };
    assert_eq!(json(exited), r#"{"child-exited":{"exit":{"code":3}}}"#);
}
