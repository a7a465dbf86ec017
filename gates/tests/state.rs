//! The state of a session, for every value of the known facts (U22: one function for all verbs).

use rekindle_core::lifecycle::LifecycleState;
use rekindle_core::state::{Listening, OtherSpelling, session_state};
use rekindle_core::{LastWorker, Liveness, RecordState, RejectReason, SessionState};
use serde_json::json;

const WORKERS: [LastWorker; 4] =
    [LastWorker::Gone, LastWorker::AliveUnobserved, LastWorker::AliveReady, LastWorker::Unknown];
const RECORDED: [Option<RecordState>; 5] = [
    None,
    Some(RecordState::Starting),
    Some(RecordState::Ready),
    Some(RecordState::Exited),
    Some(RecordState::Retained),
];

#[test]
fn a_session_is_exited_exactly_if_its_worker_is_gone() {
    for worker in WORKERS {
        for recorded in RECORDED {
            for listening in [Listening::Yes, Listening::No] {
                let state = session_state(worker, recorded, listening);
                assert_eq!(state == SessionState::Exited, worker == LastWorker::Gone, "{state:?}");
                let live = worker != LastWorker::Gone && listening == Listening::Yes;
                assert_eq!(state == SessionState::Live, live, "{worker:?} {recorded:?} {listening:?}");
                assert_ne!(state, SessionState::Corrupt);
            }
        }
    }
}

#[test]
fn who_does_not_listen_is_named_by_how_far_the_start_had_come() {
    use {LastWorker as W, RecordState as R, SessionState as S};
    let silent = |worker, recorded| session_state(worker, recorded, Listening::No);
    for worker in [W::AliveUnobserved, W::Unknown] {
        assert_eq!(silent(worker, Some(R::Starting)), S::Starting);
        assert_eq!(silent(worker, Some(R::Retained)), S::Retained);
        for recorded in [Some(R::Ready), Some(R::Exited), None] {
            assert_eq!(silent(worker, recorded), S::Unresponsive);
        }
    }
    for recorded in RECORDED {
        assert_eq!(silent(W::AliveReady, recorded), S::Unresponsive, "it had been ready");
    }
}

/// Every state has one word, in a sentence as in JSON.
#[test]
fn a_word_is_the_one_of_the_json() {
    use {RejectReason as R, SessionState as S};
    for state in [S::Starting, S::Live, S::Unresponsive, S::Exited, S::Retained, S::Corrupt] {
        assert_eq!(json!(state), state.to_string());
    }
    for liveness in [Liveness::Live, Liveness::Dormant, Liveness::Indeterminate, Liveness::Forged] {
        assert_eq!(json!(liveness), liveness.to_string());
    }
    for reason in [R::BadTarget, R::TargetLocked, R::WorkerUnknown, R::VersionMismatch] {
        assert_eq!(json!(reason), reason.to_string());
    }
    for state in [LifecycleState::Held, LifecycleState::Stale, LifecycleState::OtherMachine] {
        assert_eq!(json!(state), state.to_string());
    }
}

/// A worker that was not seen ready is never asked under another spelling of its path.
#[test]
fn only_a_worker_that_was_seen_ready_is_asked_under_another_spelling() {
    for recorded in RECORDED {
        let unseen = matches!(recorded, Some(RecordState::Starting | RecordState::Retained));
        assert_eq!(OtherSpelling::of(recorded) == OtherSpelling::Ignored, unseen, "{recorded:?}");
    }
}
