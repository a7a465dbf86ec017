//! The only function that releases: the whole table, and random histories (T06, promise 4).

use proptest::prelude::*;
use rekindle_core::release::{PairingError, ReleaseEvent, ReleasePolicy, ReleaseState, SendFinal, reduce};
use rekindle_gates::builders::{claim, session, session_named};
use rekindle_gates::property;

const POLICIES: [ReleasePolicy; 3] = [
    ReleasePolicy::NoLock,
    ReleasePolicy::ReleaseAfterSendFinal,
    ReleasePolicy::ReleaseAfterSpawnObservation,
];
const STATES: [ReleaseState; 3] = [ReleaseState::Pending, ReleaseState::Started, ReleaseState::Released];
const EVENTS: [ReleaseEvent; 9] = [
    ReleaseEvent::SendFinal(SendFinal::Sent),
    ReleaseEvent::SendFinal(SendFinal::FallbackSent),
    ReleaseEvent::SendFinal(SendFinal::Rejected),
    ReleaseEvent::SendFinal(SendFinal::Failed),
    ReleaseEvent::SpawnStarted,
    ReleaseEvent::SpawnStartFailed,
    ReleaseEvent::SocketAlive,
    ReleaseEvent::ChildExited,
    ReleaseEvent::MailboxEnqueued,
];

/// The cells with a release, and the cell that only moves on; every other cell changes nothing.
fn expected(policy: ReleasePolicy, state: ReleaseState, event: ReleaseEvent) -> (ReleaseState, bool) {
    use {ReleaseEvent as Ev, ReleasePolicy as P, ReleaseState as St};
    let releases = [
        (P::ReleaseAfterSendFinal, St::Pending, Ev::SendFinal(SendFinal::Sent)),
        (P::ReleaseAfterSendFinal, St::Pending, Ev::SendFinal(SendFinal::FallbackSent)),
        (P::ReleaseAfterSendFinal, St::Pending, Ev::SendFinal(SendFinal::Rejected)),
        (P::ReleaseAfterSendFinal, St::Pending, Ev::SendFinal(SendFinal::Failed)),
        (P::ReleaseAfterSendFinal, St::Started, Ev::SendFinal(SendFinal::Sent)),
        (P::ReleaseAfterSendFinal, St::Started, Ev::SendFinal(SendFinal::FallbackSent)),
        (P::ReleaseAfterSendFinal, St::Started, Ev::SendFinal(SendFinal::Rejected)),
        (P::ReleaseAfterSendFinal, St::Started, Ev::SendFinal(SendFinal::Failed)),
        (P::ReleaseAfterSpawnObservation, St::Pending, Ev::SpawnStartFailed),
        (P::ReleaseAfterSpawnObservation, St::Pending, Ev::SocketAlive),
        (P::ReleaseAfterSpawnObservation, St::Pending, Ev::ChildExited),
        (P::ReleaseAfterSpawnObservation, St::Started, Ev::SocketAlive),
        (P::ReleaseAfterSpawnObservation, St::Started, Ev::ChildExited),
    ];
    if releases.contains(&(policy, state, event)) {
        (St::Released, true)
    } else if (policy, state, event) == (P::ReleaseAfterSpawnObservation, St::Pending, Ev::SpawnStarted) {
        (St::Started, false)
    } else {
        (state, false)
    }
}

#[test]
fn every_cell_is_the_one_of_the_table() {
    let mut cells = 0;
    for policy in POLICIES {
        for state in STATES {
            for event in EVENTS {
                let found = reduce(policy, state, event);
                assert_eq!(found, expected(policy, state, event), "{policy:?}, {state:?}, {event:?}");
                cells += 1;
            }
        }
    }
    println!("{cells} cells");
}

/// A start that began cannot turn into a start that never happened.
#[test]
fn a_start_that_began_is_not_unmade_by_a_late_failure() {
    let policy = ReleasePolicy::ReleaseAfterSpawnObservation;
    let (state, _) = reduce(policy, ReleaseState::Pending, ReleaseEvent::SpawnStarted);
    assert_eq!(reduce(policy, state, ReleaseEvent::SpawnStartFailed), (ReleaseState::Started, false));
}

/// Over any sequence of events, under any policy, a claim is released at most once and stays released.
#[test]
fn at_most_once_over_any_history() {
    let history =
        (prop::sample::select(&POLICIES), prop::collection::vec(prop::sample::select(&EVENTS), 0..40));
    property!("release", at_most_once_over_any_history).check(&history, |(policy, events)| {
        let mut state = ReleaseState::default();
        let mut releases = 0;
        for event in events {
            let (next, should_release) = reduce(policy, state, event);
            releases += usize::from(should_release);
            prop_assert!(releases <= 1, "released twice, by {:?}", event);
            prop_assert_eq!(releases == 1, next == ReleaseState::Released);
            state = next;
        }
        prop_assert!(policy != ReleasePolicy::NoLock || releases == 0);
        Ok(())
    });
}

/// Without an observation, and unless the start never happened, a spawn's claim stays.
#[test]
fn no_release_without_an_observation() {
    let harmless: Vec<ReleaseEvent> = EVENTS
        .into_iter()
        .filter(|event| {
            use ReleaseEvent::{ChildExited, SocketAlive, SpawnStartFailed};
            !matches!(event, SocketAlive | ChildExited | SpawnStartFailed)
        })
        .collect();
    let history = prop::collection::vec(prop::sample::select(harmless), 0..40);
    property!("release", no_release_without_an_observation).check(&history, |events| {
        let mut state = ReleaseState::default();
        for event in events {
            let (next, should_release) = reduce(ReleasePolicy::ReleaseAfterSpawnObservation, state, event);
            prop_assert!(!should_release, "released by {:?}", event);
            state = next;
        }
        Ok(())
    });
}

/// Deriving the policy fails loudly if plan and claim do not belong together.
#[test]
fn a_policy_and_a_claim_that_do_not_belong_together_are_an_error() {
    let ours = claim();
    let mut theirs = claim();
    theirs.session_id = session_named("other");
    for policy in [ReleasePolicy::ReleaseAfterSendFinal, ReleasePolicy::ReleaseAfterSpawnObservation] {
        assert_eq!(policy.pair(&session(), Some(&ours)), Ok(Some(&ours)));
        assert_eq!(policy.pair(&session(), None), Err(PairingError::Missing { session: session() }));
        assert_eq!(
            policy.pair(&session(), Some(&theirs)),
            Err(PairingError::OtherSession { planned: session(), claimed: session_named("other") })
        );
    }
    let free = ReleasePolicy::NoLock;
    assert_eq!(free.pair(&session(), None), Ok(None));
    for (held, named) in [(&ours, session()), (&theirs, session_named("other"))] {
        let error = free.pair(&session(), Some(held));
        assert_eq!(error, Err(PairingError::Unexpected { session: named }));
    }
}
