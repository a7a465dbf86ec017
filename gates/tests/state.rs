//! The state of a session, for every value of the known facts (U22: one function for all verbs).

use rekindle_core::endpoint::EndpointKind;
use rekindle_core::lifecycle::LifecycleState;
use rekindle_core::readiness::{Proof, ShownBy};
use rekindle_core::state::{Listening, OtherSpelling, session_state};
use rekindle_core::view::{Coherence, EndpointView, View};
use rekindle_core::{LastWorker, Lifeline, Liveness, RecordState, RejectReason, SessionState};
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

/// If the process shows that a ready worker is live, the worker need not listen; otherwise the listener decides.
#[test]
fn a_worker_that_its_process_shows_counts_as_listening_once_it_was_ready() {
    use Listening::{No, Yes};
    for last in WORKERS {
        let view = |shown_by| View { last, shown_by, ..View::NOTHING };
        for listens in [Yes, No] {
            assert_eq!(Listening::of(&view(ShownBy::Listener), listens), listens, "{last:?}");
            let shown = if last == LastWorker::AliveReady { Yes } else { listens };
            assert_eq!(Listening::of(&view(ShownBy::Process), listens), shown, "{last:?}");
        }
        let state = session_state(last, None, Listening::of(&view(ShownBy::Process), No));
        assert_eq!(state == SessionState::Live, last == LastWorker::AliveReady, "{last:?}");
    }
}

/// If no process can be judged, a held lifeline shows that a ready worker is live; facts of two starts show nothing.
#[test]
fn a_held_lifeline_shows_a_worker_that_had_been_ready() {
    let ready = View { recorded: Some(RecordState::Ready), shown_by: ShownBy::Process, ..View::NOTHING };
    let unjudged = View { last: LastWorker::Unknown, lifeline: Lifeline::Held, ..ready };
    assert!(unjudged.is_shown_by_process());
    let others = [Lifeline::Free, Lifeline::Missing, Lifeline::Unreadable];
    assert!(others.iter().all(|lifeline| !View { lifeline: *lifeline, ..unjudged }.is_shown_by_process()));
    for recorded in
        [None, Some(RecordState::Starting), Some(RecordState::Retained), Some(RecordState::Exited)]
    {
        assert!(!View { recorded, ..unjudged }.is_shown_by_process(), "{recorded:?}");
    }
    for last in [LastWorker::Gone, LastWorker::AliveUnobserved] {
        assert!(!View { last, ..unjudged }.is_shown_by_process(), "{last:?}");
    }
    for view in [unjudged, View { last: LastWorker::AliveReady, ..ready }] {
        assert!(!View { coherence: Coherence::Torn, ..view }.is_shown_by_process(), "{view:?}");
        assert!(!View { shown_by: ShownBy::Listener, ..view }.is_shown_by_process(), "{view:?}");
    }
}

/// The liveness in a decision, for every cell: a listener that is not ours stays a conflict.
#[test]
fn a_view_is_live_by_its_listener_or_by_its_process() {
    use Liveness::{Dormant, Forged, Indeterminate, Live};
    for last in WORKERS {
        for kind in [EndpointKind::Unix, EndpointKind::Tcp, EndpointKind::None] {
            let view = |shown_by| View { last, shown_by, endpoint: kind, ..View::NOTHING };
            let watched = |shown_by| View { proof: Proof::Watch, ..view(shown_by) };
            for found in [Live, Dormant, Indeterminate, Forged] {
                assert_eq!(view(ShownBy::Listener).liveness(found), found, "{last:?}, {found}");
                let shown = match (found, last) {
                    (Dormant | Indeterminate, LastWorker::AliveReady) => Live,
                    (found, _) => found,
                };
                assert_eq!(view(ShownBy::Process).liveness(found), shown, "{last:?}, {found}");
                // A start that nobody watched to its end is watched again, whoever listens.
                let again = |otherwise| match (found, last) {
                    (Live | Indeterminate, LastWorker::AliveUnobserved) => Dormant,
                    _ => otherwise,
                };
                assert_eq!(watched(ShownBy::Listener).liveness(found), again(found), "{last:?}, {found}");
                assert_eq!(watched(ShownBy::Process).liveness(found), again(shown), "{last:?}, {found}");
                let answer = View { proof: Proof::Answer, ..view(ShownBy::Listener) };
                assert_eq!(answer.liveness(found), found, "{last:?}, {found}");
            }
        }
    }
}

/// A listener proves nothing about a worker whose start nobody watched to its end, if only a watch can prove it ready.
#[test]
fn an_unwatched_start_is_not_live_by_its_listener() {
    use Liveness::{Dormant, Forged, Indeterminate, Live};
    for last in WORKERS {
        for proof in [Proof::Listener, Proof::Answer, Proof::Watch] {
            let view = View { last, proof, ..View::NOTHING };
            let is_unwatched = proof == Proof::Watch && last == LastWorker::AliveUnobserved;
            for found in [Live, Dormant, Indeterminate, Forged] {
                let expected = if is_unwatched && found != Forged { Dormant } else { found };
                assert_eq!(view.liveness(found), expected, "{last:?}, {proof:?}, {found}");
            }
        }
    }
}

/// The two endpoints with a name here agree with the table of conditions.
#[test]
fn the_views_of_a_socket_and_of_no_endpoint_are_those_of_their_default_conditions() {
    for view in [EndpointView::SOCKET, EndpointView::NONE] {
        let row = rekindle_core::Readiness::default_for(view.kind).kind().row();
        assert!(row.suits(view.kind));
        assert_eq!((view.proof, view.shown_by), (row.proof, row.kind.shown_by(view.kind)), "{view:?}");
        let probes = view.contact == rekindle_core::view::Contact::Connect;
        assert_eq!(probes, row.connects.allows_probes(), "{view:?}");
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
