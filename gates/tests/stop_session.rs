//! Stopping a session: whom a stop may signal, and how a stop cleans up, every state and every event (L14).

use Event as Ev;
use LastWorker::{AliveReady, AliveUnobserved, Gone, Unknown};
use RecordIs::{Absent, Corrupt, NamesNobody, NamesWorker, Newer};
use rekindle_core::start::order::Room;
use rekindle_core::stop::session::{Conclusion, Effect, EndedBy, Event, StopSession, step};
use rekindle_core::stop::{StopEnd, StopStep};
use rekindle_core::view::{Coherence, RecordIs, View};
use rekindle_core::{Generation, LastWorker, Lifeline, Liveness};
use rekindle_gates::table::{Row, assert_table, reach};

const KILLED: StopEnd = StopEnd::Ended { by: StopStep::Kill };
const LIVENESSES: [Liveness; 4] =
    [Liveness::Live, Liveness::Dormant, Liveness::Indeterminate, Liveness::Forged];
const ROOMS: [Room; 3] = [Room::Free, Room::Stale, Room::Taken];
/// Whether a launcher holds the claim.
const CLAIMS: [Event; 2] = [Ev::Did, Ev::Refused];

/// A generation with a gone worker, by its record.
const DEAD: View = View { generation: Generation::new(7), record: NamesWorker, ..View::NOTHING };

/// Every view that makes a difference to a stop.
fn views() -> Vec<View> {
    let mut views = Vec::new();
    for coherence in [Coherence::OneStart, Coherence::Torn] {
        for generation in [Generation::UNMANAGED, Generation::new(7), Generation::new(8)] {
            for record in [Absent, NamesWorker, NamesNobody, Newer, Corrupt] {
                for lifeline in [Lifeline::Free, Lifeline::Held, Lifeline::Missing, Lifeline::Unreadable] {
                    let view = |last| View { generation, last, record, lifeline, coherence, ..DEAD };
                    views.extend([Gone, AliveUnobserved, AliveReady, Unknown].map(view));
                }
            }
        }
    }
    views
}

fn after(events: &[Event]) -> StopSession {
    events.iter().fold(StopSession::default(), |stop, event| step(stop, *event))
}

fn effect(events: &[Event]) -> Effect {
    after(events).effect()
}

fn done(conclusion: Conclusion) -> Effect {
    Effect::Done(conclusion)
}

/// The effect after the first look.
fn looked(view: &View, claim: Event) -> Effect {
    let is_gone = view.last == Gone && view.lifeline != Lifeline::Held;
    match (view.coherence, claim, view.record) {
        (Coherence::Torn, Ev::Did, _) => Effect::Pause,
        (Coherence::Torn, _, _) => done(Conclusion::Torn),
        (Coherence::OneStart, _, Newer) => done(Conclusion::RecordNewer),
        (Coherence::OneStart, _, Corrupt) if is_gone => done(Conclusion::RecordCorrupt),
        (Coherence::OneStart, _, Absent | NamesWorker | NamesNobody) if is_gone => Effect::Probe,
        (Coherence::OneStart, _, Absent | NamesWorker | NamesNobody | Corrupt) => Effect::Pin,
    }
}

#[test]
fn every_view_leads_where_the_table_says() {
    for claim in CLAIMS {
        for view in views() {
            let expected = looked(&view, claim);
            assert_eq!(effect(&[claim, Ev::Looked(view)]), expected, "{claim:?}, {view:?}");
        }
    }
}

/// Invariant 2: an unjudged worker is signalled only if a holder of the lifeline is visible from here.
#[test]
fn nobody_is_signalled_who_cannot_be_judged() {
    for view in views().into_iter().filter(|view| looked(view, Ev::Refused) == Effect::Pin) {
        let pinned = [Ev::Refused, Ev::Looked(view), Ev::Did];
        let expected = match (view.last, view.lifeline) {
            (Unknown, Lifeline::Held) => Effect::CountMembers,
            (Unknown, _) => done(Conclusion::Unjudged),
            (Gone | AliveUnobserved | AliveReady, _) => Effect::End,
        };
        assert_eq!(effect(&pinned), expected, "{view:?}");
        if expected != Effect::CountMembers {
            continue;
        }
        let counted = |event| step(after(&pinned), event).effect();
        assert_eq!((counted(Ev::Did), counted(Ev::Refused)), (Effect::End, done(Conclusion::Unjudged)));
    }
}

/// A torn session with a launcher at work is looked at again, within the time limit.
#[test]
fn a_launcher_between_two_steps_gets_the_time_to_take_them() {
    let torn = after(&[Ev::Did, Ev::Looked(View { coherence: Coherence::Torn, ..DEAD })]);
    assert_eq!(torn.effect(), Effect::Pause);
    assert_eq!(step(torn, Ev::Did), StopSession::default());
    assert_eq!(step(torn, Ev::Late).effect(), done(Conclusion::StartInProgress));
}

/// If a socket answers although our worker is gone, the socket belongs to another program.
#[test]
fn of_a_worker_that_is_gone_the_socket_is_asked() {
    let never = View::NOTHING;
    let is_not_stopped = [(DEAD, Conclusion::NotRunning), (never, Conclusion::Unknown)];
    for (view, conclusion) in is_not_stopped {
        for liveness in LIVENESSES {
            let probed = after(&[Ev::Refused, Ev::Looked(view), Ev::Probed(liveness)]);
            if liveness == Liveness::Live {
                assert_eq!(probed.effect(), done(Conclusion::NotManaged));
            } else {
                assert_eq!(probed.effect(), Effect::Acquire, "{liveness:?}");
                assert_eq!(step(probed, Ev::Refused).effect(), done(conclusion));
            }
        }
    }
}

/// The clean-up of generation 7, after a stop with `conclusion`.
#[rustfmt::skip]
fn clean_up_rows(conclusion: Conclusion, by: EndedBy) -> Vec<Row<&'static str, Event, Effect>> {
    use Ev::{Did, Failed, Looked, Refused, Room as Found};
    use Room::{Free, Stale, Taken};
    let left = "releasing";
    let unknown = View { last: Unknown, ..DEAD };
    let next = View { generation: Generation::new(8), ..DEAD };
    vec![
        ("acquiring", Effect::Acquire,         vec![(Did, "looking"), (Refused, "done"), (Failed, "done")]),
        ("looking",   Effect::LookUnderClaim,  vec![(Looked(DEAD), "socket"), (Looked(unknown), left), (Looked(next), left), (Failed, left)]),
        ("socket",    Effect::LookAtSocket,    vec![(Found(Free), "writing"), (Found(Taken), "writing"), (Found(Stale), "removing"), (Failed, left)]),
        ("removing",  Effect::RemoveSocket,    vec![(Did, "writing"), (Failed, left)]),
        ("writing",   Effect::WriteExited(by), vec![(Did, left), (Failed, left)]),
        (left,        Effect::Release,         vec![(Did, "done"), (Failed, "done")]),
        ("done",      done(conclusion),        vec![]),
    ]
}

/// Invariants 3 and 4.
#[test]
fn a_clean_up_is_made_under_the_claim_and_changes_no_conclusion() {
    let gone = [Ev::Refused, Ev::Looked(DEAD), Ev::Probed(Liveness::Dormant)];
    let ended = |end| [Ev::Refused, Ev::Looked(View { last: AliveReady, ..DEAD }), Ev::Did, Ev::Ended(end)];
    let others = [View { last: Unknown, ..DEAD }, View { generation: Generation::new(8), ..DEAD }];
    let mut events = vec![Ev::Did, Ev::Refused, Ev::Late, Ev::Failed, Ev::Looked(DEAD), Ev::Ended(KILLED)];
    events.extend(others.map(Ev::Looked));
    events.extend(LIVENESSES.map(Ev::Probed));
    events.extend(ROOMS.map(Ev::Room));
    for (root, conclusion, by) in [
        (after(&gone), Conclusion::NotRunning, EndedBy::Worker),
        (after(&ended(KILLED)), Conclusion::Ended(KILLED), EndedBy::Stop),
        (after(&ended(StopEnd::GaveUp)), Conclusion::Ended(StopEnd::GaveUp), EndedBy::Stop),
    ] {
        let rows = clean_up_rows(conclusion, by);
        assert_table([("acquiring", root)], (step, StopSession::effect), &events, &rows);
        for stop in reach([root], step, &events) {
            let is_outside = matches!(stop.effect(), Effect::Acquire | Effect::Done(_));
            assert_eq!(stop.holds_claim(), !is_outside, "{stop:?}");
        }
    }
}

/// Files of a living worker or of another generation are not ours to clean up.
#[test]
fn only_the_generation_that_was_seen_and_is_gone_is_cleaned_up() {
    let acquired = after(&[Ev::Refused, Ev::Looked(DEAD), Ev::Probed(Liveness::Dormant), Ev::Did]);
    for now in views() {
        let is_same = now.generation == DEAD.generation && now.last == Gone;
        let expected = if is_same { Effect::LookAtSocket } else { Effect::Release };
        assert_eq!(step(acquired, Ev::Looked(now)).effect(), expected, "{now:?}");
    }
}

/// The answers of an effect, by its documentation.
fn is_answer(effect: Effect, event: Event) -> bool {
    match effect {
        Effect::AskClaim | Effect::CountMembers | Effect::Acquire => {
            matches!(event, Ev::Did | Ev::Refused | Ev::Failed)
        }
        Effect::Look | Effect::LookUnderClaim => matches!(event, Ev::Looked(_) | Ev::Failed),
        Effect::Pause => matches!(event, Ev::Did | Ev::Late),
        Effect::Probe => matches!(event, Ev::Probed(_)),
        Effect::Pin | Effect::RemoveSocket | Effect::WriteExited(_) | Effect::Release => {
            matches!(event, Ev::Did | Ev::Failed)
        }
        Effect::End => matches!(event, Ev::Ended(_)),
        Effect::LookAtSocket => matches!(event, Ev::Room(_) | Ev::Failed),
        Effect::Done(_) => false,
    }
}

/// A failure before the first signal is the outcome. `CountMembers` can refuse, but sends no signal either.
#[test]
fn every_state_takes_its_answers_and_nothing_else() {
    let ends = [StopEnd::GaveUp, KILLED].map(Ev::Ended);
    let mut events = vec![Ev::Did, Ev::Refused, Ev::Late, Ev::Failed];
    events.extend(ends.into_iter().chain(LIVENESSES.map(Ev::Probed)).chain(ROOMS.map(Ev::Room)));
    events.extend(views().into_iter().map(Ev::Looked));
    let reached = reach([StopSession::default()], step, &events);
    for stop in &reached {
        for event in &events {
            let next = step(*stop, *event);
            assert_eq!(next != *stop, is_answer(stop.effect(), *event), "{event:?} in {stop:?}");
        }
        let failed = step(*stop, Ev::Failed).effect();
        if matches!(stop.effect(), Effect::AskClaim | Effect::Look | Effect::Pin | Effect::CountMembers) {
            assert_eq!(failed, done(Conclusion::Failed), "{stop:?}");
        }
        let is_before =
            matches!(stop.effect(), Effect::AskClaim | Effect::Look | Effect::Pause | Effect::End);
        assert!(!is_before || !stop.holds_claim(), "a stop signals without the claim: {stop:?}");
    }
    println!("{} states, {} transitions", reached.len(), reached.len() * events.len());
}
