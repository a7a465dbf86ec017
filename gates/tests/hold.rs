//! A claim for one send: the table of every state and event (`core/src/claim/hold.rs`).

use rekindle_core::claim::hold::{Conclusion, Effect, Event, Hold, Passes, Patience, step};
use rekindle_core::release::SendFinal;
use rekindle_gates::table::{assert_table, reach};

const ENDS: [SendFinal; 4] =
    [SendFinal::Sent, SendFinal::FallbackSent, SendFinal::Rejected, SendFinal::Failed];

fn events() -> Vec<Event> {
    let conflicts = [Passes::Yes, Passes::No].map(Event::Conflict);
    let others = [Event::Did, Event::Late, Event::Failed];
    others.into_iter().chain(conflicts).chain(ENDS.map(Event::Sent)).collect()
}

#[test]
fn the_machine_is_its_table() {
    let ended = |end: SendFinal| format!("releasing after {end:?}");
    let mut rows = vec![
        (
            "patient".to_owned(),
            Effect::Acquire,
            vec![
                (Event::Did, "looking".to_owned()),
                (Event::Conflict(Passes::Yes), "waiting".to_owned()),
                (Event::Conflict(Passes::No), "conflict".to_owned()),
                (Event::Failed, "failed".to_owned()),
            ],
        ),
        (
            "waiting".to_owned(),
            Effect::AwaitClaim,
            vec![(Event::Did, "patient".to_owned()), (Event::Late, "late".to_owned())],
        ),
        (
            "looking".to_owned(),
            Effect::Look,
            vec![(Event::Did, "sending".to_owned()), (Event::Failed, ended(SendFinal::Failed))],
        ),
        ("sending".to_owned(), Effect::Send, ENDS.map(|end| (Event::Sent(end), ended(end))).to_vec()),
        ("conflict".to_owned(), Effect::Done(Conclusion::Conflict), vec![]),
        ("late".to_owned(), Effect::Done(Conclusion::Late), vec![]),
        ("failed".to_owned(), Effect::Done(Conclusion::Failed), vec![]),
    ];
    for end in ENDS {
        let (released, kept) = (format!("released after {end:?}"), format!("kept after {end:?}"));
        rows.push((
            ended(end),
            Effect::Release,
            vec![(Event::Did, released.clone()), (Event::Failed, kept.clone())],
        ));
        rows.push((released, Effect::Done(Conclusion::Released(end)), vec![]));
        rows.push((kept, Effect::Done(Conclusion::NotReleased(end)), vec![]));
    }
    let root = ("patient".to_owned(), Hold::new(Patience::UntilDeadline));
    assert_table([root], (step, Hold::effect), &events(), &rows);
}

#[test]
fn a_claimer_without_patience_never_waits() {
    for hold in reach([Hold::new(Patience::None)], step, &events()) {
        assert_ne!(hold.effect(), Effect::AwaitClaim);
    }
}

/// The policy: every end of a send releases, and nothing else does.
#[test]
fn a_claim_is_held_exactly_until_its_send_has_ended() {
    for hold in reach([Patience::None, Patience::UntilDeadline].map(Hold::new), step, &events()) {
        let holds = match hold.effect() {
            Effect::Look | Effect::Send | Effect::Release => true,
            Effect::Acquire | Effect::AwaitClaim | Effect::Done(_) => false,
        };
        assert_eq!(hold.holds_claim(), holds, "{hold:?}");
        for event in events() {
            let next = step(hold, event);
            let begins_release = next.effect() == Effect::Release && hold.effect() != Effect::Release;
            let has_ended = matches!(
                (hold.effect(), event),
                (Effect::Send, Event::Sent(_)) | (Effect::Look, Event::Failed)
            );
            assert_eq!(begins_release, has_ended, "{event:?} in {hold:?}");
        }
    }
}
