//! Random histories of one start: the promises for every order of facts.

use proptest::prelude::*;
use rekindle_core::resume::{Effect, Event, Phase, Resume, step};
use rekindle_gates::builders::{term_only, then_kill};
use rekindle_gates::property;

/// Any event in any order, mostly after a begun start.
fn histories() -> impl Strategy<Value = (Resume, Vec<Event>)> {
    let begun = prop_oneof![
        1 => Just(vec![]),
        4 => Just(vec![Event::Begin, Event::SpawnStarted]),
    ];
    let rest = prop::collection::vec(prop::sample::select(&Event::ALL), 0..40);
    let start = prop::sample::select(vec![Resume::new(&term_only()), Resume::new(&then_kill())]);
    (start, begun, rest).prop_map(|(start, begun, rest)| (start, [begun, rest].concat()))
}

/// In any order of facts the claim is released at most once, and never without an observation.
#[test]
fn release_needs_an_observation() {
    property!("resume_prop", release_needs_an_observation).check(&histories(), |(mut start, events)| {
        let mut releases = 0;
        for event in events {
            let (next, effects) = step(start, event);
            let now = effects.iter().filter(|effect| **effect == Effect::Release).count();
            let observation = matches!(event, Event::SpawnFailed | Event::SocketAlive | Event::ChildExited);
            prop_assert!(now == 0 || observation, "released by {:?} in {:?}", event, start.phase);
            releases += now;
            prop_assert!(releases <= 1, "released again by {:?}", event);
            start = next;
        }
        Ok(())
    });
}

/// No signal follows an exit that was heard during the watch.
#[test]
fn no_signal_after_an_exit() {
    property!("resume_prop", no_signal_after_an_exit).check(&histories(), |(mut start, events)| {
        let mut exited = false;
        for event in events {
            exited |=
                event == Event::ChildExited && matches!(start.phase, Phase::Observing | Phase::Ending(_));
            let (next, effects) = step(start, event);
            let signalled = effects.iter().any(|effect| matches!(effect, Effect::Kill(_)));
            prop_assert!(!(exited && signalled), "{:?} in {:?}", event, start.phase);
            start = next;
        }
        Ok(())
    });
}

/// A late fact changes nothing: a finished start stays as it is.
#[test]
fn what_is_over_stays_over() {
    property!("resume_prop", what_is_over_stays_over).check(&histories(), |(mut start, events)| {
        for event in events {
            let (next, effects) = step(start, event);
            if matches!(start.phase, Phase::Done(_)) {
                prop_assert_eq!(next, start);
                prop_assert_eq!(effects, []);
            }
            start = next;
        }
        Ok(())
    });
}
