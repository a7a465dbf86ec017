//! The events of a session: every pair of looks, and any history of looks.

use proptest::prelude::*;
use rekindle_core::LastWorker::{AliveReady, AliveUnobserved, Gone, Unknown};
use rekindle_core::RecordState::{Exited, Ready, Retained, Starting};
use rekindle_core::events::{End, Event, FirstLook, Happened, Launcher, Look, Phase, Seen, advance, phase};
use rekindle_core::record::EndedBy;
use rekindle_core::{ChildExit, Generation};

const STOPPED: End = End { exit: Some(ChildExit::Signal(15)), by: Some(EndedBy::Stop) };
const CRASHED: End = End { exit: Some(ChildExit::CoreDumped(11)), by: Some(EndedBy::Worker) };
const LEARNED: End = End { exit: Some(ChildExit::Code(3)), by: None };

fn seen(generation: u64, phase: Phase) -> Seen {
    Seen { generation: Generation::new(generation), was_ready: phase == Phase::Ready, phase }
}

fn after_ready(generation: u64, phase: Phase) -> Seen {
    Seen { was_ready: true, ..seen(generation, phase) }
}

/// The events between two looks, as (generation, word).
fn between(before: Option<Seen>, now: Look) -> Vec<(u64, &'static str)> {
    told(before, now, FirstLook::State)
}

fn told(before: Option<Seen>, now: Look, first: FirstLook) -> Vec<(u64, &'static str)> {
    let (_, events) = advance(before, now, LEARNED, first);
    events
        .iter()
        .map(|it| (it.generation.to_string().parse().expect("a generation is a number"), it.happened.word()))
        .collect()
}

#[test]
fn the_phase_of_a_start_follows_from_record_and_worker() {
    let of = |recorded, last, launcher| phase(recorded, last, launcher, CRASHED);
    for launcher in [Launcher::AtWork, Launcher::Away] {
        for last in [AliveUnobserved, AliveReady] {
            assert_eq!(of(Some(Starting), last, launcher), Some(Phase::Starting));
            assert_eq!(of(Some(Ready), last, launcher), Some(Phase::Ready));
            assert_eq!(of(Some(Retained), last, launcher), Some(Phase::Retained));
            assert_eq!(of(Some(Exited), last, launcher), None, "a process is left");
        }
        for recorded in [Ready, Retained, Exited] {
            assert_eq!(of(Some(recorded), Gone, launcher), Some(Phase::Ended(CRASHED)));
        }
        for recorded in [None, Some(Starting), Some(Ready), Some(Retained), Some(Exited)] {
            assert_eq!(of(recorded, Unknown, launcher), None, "unknown is never dead");
        }
        for last in [Gone, AliveUnobserved, AliveReady] {
            assert_eq!(of(None, last, launcher), None);
        }
    }
    assert_eq!(
        of(Some(Starting), Gone, Launcher::AtWork),
        Some(Phase::Starting),
        "its process is yet to come"
    );
    assert_eq!(of(Some(Starting), Gone, Launcher::Away), Some(Phase::Ended(CRASHED)));
}

#[test]
fn the_first_look_tells_the_present_state() {
    for (now, expected) in [
        (seen(1, Phase::Starting), (1, "starting")),
        (seen(2, Phase::Starting), (2, "restarting")),
        (seen(2, Phase::Ready), (2, "ready")),
        (seen(2, Phase::Retained), (2, "retained")),
        (seen(2, Phase::Ended(CRASHED)), (2, "exited")),
        (seen(2, Phase::Ended(STOPPED)), (2, "stopped")),
    ] {
        assert_eq!(between(None, Look::Seen(now)), [expected]);
    }
    assert!(between(None, Look::Absent).is_empty());
    assert!(between(None, Look::Unclear).is_empty());
}

/// A start that began during the watch, and was seen late.
#[test]
fn a_start_that_is_seen_late_has_its_whole_history() {
    let history = |now| -> Vec<&str> {
        told(None, Look::Seen(now), FirstLook::History).into_iter().map(|(_, word)| word).collect()
    };
    assert_eq!(history(seen(1, Phase::Starting)), ["starting"]);
    assert_eq!(history(seen(1, Phase::Ready)), ["starting", "ready"]);
    assert_eq!(history(seen(2, Phase::Retained)), ["restarting", "retained"]);
    assert_eq!(history(seen(2, Phase::Ended(CRASHED))), ["restarting", "exited"]);
    assert_eq!(history(after_ready(2, Phase::Ended(STOPPED))), ["restarting", "ready", "stopped"]);
    let late = Look::Seen(after_ready(1, Phase::Ended(CRASHED)));
    assert_eq!(between(Some(seen(1, Phase::Starting)), late), [(1, "ready"), (1, "exited")]);
    assert_eq!(between(Some(seen(1, Phase::Retained)), late), [(1, "released"), (1, "ready"), (1, "exited")]);
    assert_eq!(between(Some(seen(1, Phase::Ready)), late), [(1, "exited")]);
}

#[test]
fn every_step_of_a_start_is_one_event() {
    use Phase as P;
    let none: &[&str] = &[];
    for (from, to, expected) in [
        (P::Starting, P::Starting, none),
        (P::Starting, P::Ready, &["ready"]),
        (P::Starting, P::Retained, &["retained"]),
        (P::Starting, P::Ended(CRASHED), &["exited"]),
        (P::Ready, P::Starting, none),
        (P::Ready, P::Ready, none),
        (P::Ready, P::Retained, &["retained"]),
        (P::Ready, P::Ended(STOPPED), &["stopped"]),
        (P::Retained, P::Starting, &["released"]),
        (P::Retained, P::Ready, &["released", "ready"]),
        (P::Retained, P::Retained, none),
        (P::Retained, P::Ended(CRASHED), &["released", "exited"]),
        (P::Ended(CRASHED), P::Starting, none),
        (P::Ended(CRASHED), P::Ready, none),
        (P::Ended(CRASHED), P::Ended(STOPPED), none),
    ] {
        let words: Vec<&str> =
            between(Some(seen(1, from)), Look::Seen(seen(1, to))).into_iter().map(|(_, word)| word).collect();
        assert_eq!(words, expected, "{from:?} to {to:?}");
    }
}

/// The end of a start is told even if the next start was seen first, with the exit that its watcher learned.
#[test]
fn no_end_is_missed() {
    for before in [Phase::Starting, Phase::Ready] {
        let next = Look::Seen(seen(2, Phase::Starting));
        assert_eq!(between(Some(seen(1, before)), next), [(1, "exited"), (2, "restarting")]);
        assert_eq!(between(Some(seen(1, before)), Look::Absent), [(1, "exited"), (1, "removed")]);
    }
    let next = Look::Seen(seen(3, Phase::Ready));
    assert_eq!(
        between(Some(seen(1, Phase::Retained)), next),
        [(1, "released"), (1, "exited"), (3, "restarting"), (3, "ready")]
    );
    assert_eq!(between(Some(seen(1, Phase::Ended(STOPPED))), next), [(3, "restarting"), (3, "ready")]);
    assert_eq!(between(Some(seen(1, Phase::Ended(STOPPED))), Look::Absent), [(1, "removed")]);
    let (_, events) = advance(Some(seen(1, Phase::Ready)), next, LEARNED, FirstLook::State);
    assert_eq!(events[0], Event { generation: Generation::new(1), happened: Happened::Exited, end: LEARNED });
}

#[test]
fn an_unclear_session_keeps_its_state() {
    let before = Some(seen(4, Phase::Ready));
    assert_eq!(advance(before, Look::Unclear, LEARNED, FirstLook::History), (before, Vec::new()));
}

fn arb_look() -> impl Strategy<Value = Look> {
    let phases =
        [Phase::Starting, Phase::Ready, Phase::Retained, Phase::Ended(CRASHED), Phase::Ended(STOPPED)];
    let seen =
        (1_u64..4, prop::sample::select(phases.to_vec())).prop_map(|(at, phase)| Look::Seen(seen(at, phase)));
    prop_oneof![6 => seen, 1 => Just(Look::Absent), 1 => Just(Look::Unclear)]
}

proptest! {
    /// In any history each start ends at most once, nothing but a removal follows its end, and each start that was seen
    /// to run and was left behind has an end.
    #[test]
    fn each_start_ends_once(looks in prop::collection::vec(arb_look(), 0..20)) {
        // A session's generations grow until the session is removed.
        let (mut state, mut latest) = (None, 0);
        let mut open: Option<Generation> = None;
        for look in looks {
            if let Look::Seen(seen) = look {
                let generation: u64 = seen.generation.to_string().parse().expect("a generation is a number");
                if generation < latest { continue }
                latest = generation;
            }
            if look == Look::Absent { latest = 0 }
            let (next, events) = advance(state, look, LEARNED, FirstLook::History);
            for event in events {
                match event.happened {
                    Happened::Starting | Happened::Restarting | Happened::Ready | Happened::Retained
                    | Happened::Released => {
                        prop_assert!(open.is_none_or(|open| open == event.generation), "two starts at once");
                        open = Some(event.generation);
                    }
                    Happened::Exited | Happened::Stopped => {
                        prop_assert!(open.is_none_or(|open| open == event.generation), "another start's end");
                        open = None;
                    }
                    Happened::Removed => prop_assert_eq!(open, None, "removed before its end"),
                }
                prop_assert_eq!(
                    event.happened.is_end(),
                    matches!(event.happened, Happened::Exited | Happened::Stopped | Happened::Removed)
                );
            }
            state = next;
            let runs = state.filter(|seen: &Seen| !matches!(seen.phase, Phase::Ended(_)));
            prop_assert_eq!(runs.map(|seen| seen.generation), open, "events and state agree");
        }
    }
}
