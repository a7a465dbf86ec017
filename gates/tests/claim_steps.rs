//! The steps under a claim beside their tables, every state and event: acquiring and giving up a claim, the order of a
//! start, and the writes before the claim is given up (T01, T02, T13).

use rekindle_core::ClaimDecision;
use rekindle_core::claim::acquire::{self, Acquire, AcquireEffect, AcquireEvent, Judgement, Taken};
use rekindle_core::claim::give_up::{self, GiveUp, GiveUpEffect, GiveUpEvent, GivenUp, Whose};
use rekindle_core::claim::{ConflictReason, TakeOverReason};
use rekindle_core::start::order::{self, Begun, CHILD, ChildStep, Order, OrderEffect, OrderEvent, Room};
use rekindle_core::start::settle::{self, Heard, Noted, Settle, SettleEffect, SettleEvent};
use rekindle_gates::table::{Row, assert_table, reach};

/// How often a directory may be replaced before the claim counts as another launcher's.
const REPLACED_MAX: u8 = 16;

const ACQUIRE_EVENTS: [AcquireEvent; 5] = {
    use AcquireEvent::{Did, Failed, Judged, Refused};
    [Did, Refused, Judged(Judgement::Takeable), Judged(Judgement::NotOurs), Failed]
};

/// The states after the directory was replaced `n` times.
#[rustfmt::skip]
fn acquire_rows(n: u8) -> Vec<Row<(u8, &'static str), AcquireEvent, AcquireEffect>> {
    use {AcquireEffect as Fx, AcquireEvent::{Did, Failed, Judged, Refused}, Judgement::{NotOurs, Takeable}};
    let at = |name| (n, name);
    let replaced = if n < REPLACED_MAX { (n + 1, "opening") } else { at("conflict: let go") };
    vec![
        (at("opening"),          Fx::Open,                  vec![(Did, at("locking")), (Failed, at("failed"))]),
        (at("locking"),          Fx::Lock,                  vec![(Did, at("placing")), (Refused, at("describing")), (Failed, at("failed"))]),
        (at("describing"),       Fx::Describe,              vec![(Did, at("conflict")), (Failed, at("failed"))]),
        (at("placing"),          Fx::CheckPlace,            vec![(Did, at("reading")), (Refused, replaced), (Failed, at("failed: let go"))]),
        (at("reading"),          Fx::Judge,                 vec![(Judged(Takeable), at("writing")), (Judged(NotOurs), at("conflict: let go")), (Failed, at("failed: let go"))]),
        (at("writing"),          Fx::WriteEvidence,         vec![(Did, at("granted")), (Failed, at("failed: let go"))]),
        (at("conflict: let go"), Fx::Unlock,                vec![(Did, at("conflict")), (Failed, at("conflict"))]),
        (at("failed: let go"),   Fx::Unlock,                vec![(Did, at("failed")), (Failed, at("failed"))]),
        (at("granted"),          Fx::Done(Taken::Granted),  vec![]),
        (at("conflict"),         Fx::Done(Taken::Conflict), vec![]),
        (at("failed"),           Fx::Done(Taken::Failed),   vec![]),
    ]
}

#[test]
fn a_claim_is_taken_by_the_table() {
    let rows: Vec<_> = (0..=REPLACED_MAX).flat_map(acquire_rows).collect();
    let root = ((0, "opening"), Acquire::default());
    assert_table([root], (acquire::step, Acquire::effect), &ACQUIRE_EVENTS, &rows);
}

/// Invariant 2: only a granted claim keeps its lock.
#[test]
fn only_a_claim_that_is_granted_keeps_its_lock() {
    for attempt in reach([Acquire::default()], acquire::step, &ACQUIRE_EVENTS) {
        assert_eq!(attempt.is_granted(), attempt.effect() == AcquireEffect::Done(Taken::Granted));
        let is_locked = matches!(
            attempt.effect(),
            AcquireEffect::CheckPlace | AcquireEffect::Judge | AcquireEffect::WriteEvidence
        );
        for next in ACQUIRE_EVENTS.map(|event| acquire::step(attempt, event)) {
            let is_left = matches!(next.effect(), AcquireEffect::Done(Taken::Conflict | Taken::Failed));
            assert!(!(is_locked && is_left), "{attempt:?} leads to {next:?} without an unlock");
        }
    }
}

#[test]
fn a_fresh_claim_and_a_takeover_are_takeable_and_a_conflict_is_not() {
    let take_over: ClaimDecision<()> =
        ClaimDecision::TakeOver { why: TakeOverReason::Retained, previous: None };
    let conflict: ClaimDecision<()> =
        ClaimDecision::Conflict { why: ConflictReason::HolderAlive, holder: None };
    for decision in [ClaimDecision::Fresh, take_over] {
        assert_eq!(Judgement::from(&decision), Judgement::Takeable);
    }
    assert_eq!(Judgement::from(&conflict), Judgement::NotOurs);
}

const GIVE_UP_EVENTS: [GiveUpEvent; 6] = {
    use GiveUpEvent::{Did, Failed, Read, Refused};
    [Did, Refused, Read(Whose::Ours), Read(Whose::Others), Read(Whose::Nobodys), Failed]
};

#[rustfmt::skip]
#[test]
fn a_claim_is_given_up_by_the_table() {
    use {GiveUpEffect as Fx, GiveUpEvent::{Did, Failed, Read, Refused}, Whose::{Nobodys, Others, Ours}};
    let (failed, replaced, retained) = ("failed: unlock", "replaced: unlock", "retained: unlock");
    let (released, not_ours) = ("released: unlock", "not ours: unlock");
    let rows = [
        ("release",  Fx::CheckPlace,               vec![(Did, "judging"), (Refused, replaced), (Failed, failed)]),
        ("retain",   Fx::CheckPlace,               vec![(Did, "marking"), (Refused, "retain, replaced: unlock"), (Failed, "retain, failed: unlock")]),
        ("judging",  Fx::ReadEvidence,             vec![(Read(Ours), "removing"), (Read(Nobodys), released), (Read(Others), not_ours), (Failed, failed)]),
        ("removing", Fx::RemoveEvidence,           vec![(Did, released), (Failed, failed)]),
        ("marking",  Fx::MarkRetained,             vec![(Did, retained), (Failed, "retain, failed: unlock")]),
        (released,   Fx::Unlock,                   vec![(Did, "released"), (Failed, "failed")]),
        (retained,   Fx::Unlock,                   vec![(Did, "retained"), (Failed, "retain, failed")]),
        (not_ours,   Fx::Unlock,                   vec![(Did, "not ours"), (Failed, "failed")]),
        (replaced,   Fx::Unlock,                   vec![(Did, "replaced"), (Failed, "failed")]),
        (failed,     Fx::Unlock,                   vec![(Did, "failed"), (Failed, "failed")]),
        ("retain, replaced: unlock", Fx::Unlock,   vec![(Did, "retain, replaced"), (Failed, "retain, failed")]),
        ("retain, failed: unlock", Fx::Unlock,     vec![(Did, "retain, failed"), (Failed, "retain, failed")]),
        ("released", Fx::Done(GivenUp::Released),  vec![]),
        ("retained", Fx::Done(GivenUp::Retained),  vec![]),
        ("not ours", Fx::Done(GivenUp::NotOurs),   vec![]),
        ("replaced", Fx::Done(GivenUp::Replaced),  vec![]),
        ("failed",   Fx::Done(GivenUp::Failed),    vec![]),
        ("retain, replaced", Fx::Done(GivenUp::Replaced), vec![]),
        ("retain, failed", Fx::Done(GivenUp::Failed), vec![]),
    ];
    let roots = [("release", GiveUp::RELEASE), ("retain", GiveUp::RETAIN)];
    assert_table(roots, (give_up::step, GiveUp::effect), &GIVE_UP_EVENTS, &rows);
}

/// Invariant 2: the lock is released even if the evidence could not be changed.
#[test]
fn every_way_out_unlocks() {
    for claim in reach([GiveUp::RELEASE, GiveUp::RETAIN], give_up::step, &GIVE_UP_EVENTS) {
        for next in GIVE_UP_EVENTS.map(|event| give_up::step(claim, event)) {
            let ends = next != claim && matches!(next.effect(), GiveUpEffect::Done(_));
            assert!(!ends || claim.effect() == GiveUpEffect::Unlock, "{claim:?} leads to {next:?}");
        }
    }
}

#[rustfmt::skip]
#[test]
fn a_start_keeps_the_order_of_the_table() {
    use {OrderEffect as Fx, OrderEvent::{Did, Failed, Room as Found}, Room::{Free, Stale, Taken}};
    let events = [Did, Found(Free), Found(Stale), Found(Taken), Failed];
    let (not, started) = ("not started", "started");
    let rows = [
        ("placing",     Fx::CheckPlace,              vec![(Did, "renewing"), (Failed, not)]),
        ("renewing",    Fx::RenewLifeline,           vec![(Did, "looking"), (Failed, not)]),
        ("looking",     Fx::LookAtSocket,            vec![(Found(Free), "describing"), (Found(Stale), "clearing"), (Found(Taken), not), (Failed, not)]),
        ("clearing",    Fx::RemoveSocket,            vec![(Did, "describing"), (Failed, not)]),
        ("describing",  Fx::WriteStarting,           vec![(Did, "providing"), (Failed, not)]),
        ("providing",   Fx::Provide,                 vec![(Did, "forking"), (Failed, not)]),
        ("forking",     Fx::Fork,                    vec![(Did, "identifying"), (Failed, not)]),
        // The lifeline's mark has the identity as well.
        ("identifying", Fx::WriteIdentity,           vec![(Did, started), (Failed, started)]),
        (not,           Fx::Done(Begun::NotStarted), vec![]),
        (started,       Fx::Done(Begun::Started),    vec![]),
    ];
    assert_table([("placing", Order::default())], (order::step, Order::effect), &events, &rows);
}

/// The child locks and marks the lifeline before its copy of the claim is closed; exec comes last.
#[test]
fn the_child_takes_its_lifeline_before_it_lets_go_of_the_claim() {
    use ChildStep::{CheckPlace, Exec, LetGoOfClaim, Mark, TakeLifeline};
    assert_eq!(CHILD, [TakeLifeline, Mark, CheckPlace, LetGoOfClaim, Exec]);
}

/// The record is completed first, then the claim is given up; the rest are the steps of [`GiveUp`].
#[test]
fn the_record_is_completed_before_the_claim_goes() {
    use {Room::*, SettleEffect as Fx, SettleEvent as Ev};
    let (place, did) = (Fx::GiveUp(GiveUpEffect::CheckPlace), Ev::GaveUp(GiveUpEvent::Did));
    let release = [place, Fx::GiveUp(GiveUpEffect::ReadEvidence)];
    let retain = [place, Fx::GiveUp(GiveUpEffect::MarkRetained)];
    let exit = Fx::WriteRecord(Heard::Exit);
    let look = [exit, Fx::LookAtSocket];
    #[rustfmt::skip]
    let table: [(Settle, &[Ev], Vec<Fx>); 7] = [
        (Settle::released(Heard::Ready),   &[Ev::Did, did],                           [&[Fx::WriteRecord(Heard::Ready)][..], &release].concat()),
        (Settle::released(Heard::Nothing), &[Ev::Did, did],                           [&[Fx::WriteRecord(Heard::Nothing)][..], &release].concat()),
        (Settle::released(Heard::Exit),    &[Ev::Did, Ev::Room(Free), did],           [&look[..], &release].concat()),
        (Settle::released(Heard::Exit),    &[Ev::Did, Ev::Room(Taken), did],          [&look[..], &release].concat()),
        (Settle::released(Heard::Exit),    &[Ev::Did, Ev::Room(Stale), Ev::Did, did], [&look[..], &[Fx::RemoveSocket], &release].concat()),
        (Settle::retained(),               &[Ev::Did, did],                           [&[Fx::WriteRetained][..], &retain].concat()),
        (Settle::release_alone(),          &[did],                                    release.to_vec()),
    ];
    for (begun, events, expected) in table {
        let mut effects = vec![begun.effect()];
        let mut settle = begun;
        for event in events {
            settle = settle::step(settle, *event);
            effects.push(settle.effect());
        }
        assert_eq!(effects, expected, "{begun:?}");
    }
}

#[test]
fn a_settled_start_takes_no_foreign_answer() {
    let rooms = [Room::Free, Room::Stale, Room::Taken].map(SettleEvent::Room);
    let events: Vec<SettleEvent> =
        [SettleEvent::Did].into_iter().chain(rooms).chain(GIVE_UP_EVENTS.map(SettleEvent::GaveUp)).collect();
    let heard = [Heard::Exit, Heard::Ready, Heard::Nothing].map(Settle::released);
    let roots = heard.into_iter().chain([Settle::retained(), Settle::release_alone()]);
    for settle in reach(roots, settle::step, &events) {
        for event in &events {
            let is_answer = match settle.effect() {
                SettleEffect::WriteRecord(_) | SettleEffect::WriteRetained | SettleEffect::RemoveSocket => {
                    *event == SettleEvent::Did
                }
                SettleEffect::LookAtSocket => matches!(event, SettleEvent::Room(_)),
                SettleEffect::GiveUp(_) => matches!(event, SettleEvent::GaveUp(_)),
            };
            let next = settle::step(settle, *event);
            assert!(is_answer || next == settle, "{event:?} in {settle:?} leads to {next:?}");
        }
    }
}

/// An exit beats a socket.
#[test]
fn of_a_start_that_was_ready_and_ended_the_end_is_heard() {
    let noted = |exit, ready| Noted { exit, ready }.heard();
    let heard = [noted(true, true), noted(true, false), noted(false, true), noted(false, false)];
    assert_eq!(heard, [Heard::Exit, Heard::Exit, Heard::Ready, Heard::Nothing]);
}
