//! Clearing a claim, forgetting a worker, removing a session: each machine beside its table, every state and event.

use LastWorker::{AliveReady, AliveUnobserved, Gone, Unknown};
use rekindle_core::care::{forget, gc, unlock};
use rekindle_core::claim::acquire::Judgement as Claimable;
use rekindle_core::claim::{ConflictReason, TakeOverReason};
use rekindle_core::identity::DeathProof;
use rekindle_core::start::order::Room;
use rekindle_core::view::{RecordIs, View};
use rekindle_core::{ClaimDecision, LastWorker, Lifeline};
use rekindle_gates::table::{Row, assert_table, reach};

const LAST_WORKERS: [LastWorker; 4] = [Gone, AliveUnobserved, AliveReady, Unknown];
const LIFELINES: [Lifeline; 4] = [Lifeline::Free, Lifeline::Held, Lifeline::Missing, Lifeline::Unreadable];
const RECORDS: [RecordIs; 5] =
    [RecordIs::Absent, RecordIs::NamesWorker, RecordIs::NamesNobody, RecordIs::Newer, RecordIs::Corrupt];

/// Every view that makes a difference to looking after a session.
fn views() -> Vec<View> {
    let mut views = Vec::new();
    for record in RECORDS {
        for lifeline in LIFELINES {
            views.extend(LAST_WORKERS.map(|last| View { last, record, lifeline, ..View::NOTHING }));
        }
    }
    views
}

/// Invariant 2 of an unlock: the four judgements, with force and without.
#[rustfmt::skip]
fn unlock_rows(force: unlock::Force) -> Vec<Row<&'static str, unlock::Event, unlock::Effect>> {
    use unlock::{Conclusion as C, Effect as Fx, Event::*, Force, Judgement::*};
    let [looking, not_ours] = match force {
        Force::No => ["looking", "not ours: unlock"],
        Force::Yes => ["removing"; 2],
    };
    let looked = |view: View| (Looked(view), if view.last == Gone { "removing" } else { "may run: unlock" });
    let end = |at, then| (at, Fx::Unlock, vec![(Did, then), (Failed, then)]);
    let mut rows = vec![
        ("locking",  Fx::Lock,           vec![(Did, "judging"), (Refused, "held"), (Failed, "failed")]),
        ("judging",  Fx::Judge,          vec![(Judged(Nothing), "nothing: unlock"), (Judged(LeftBehind), "removing"), (Judged(KeptForWorker), looking), (Judged(NotOurs), not_ours), (Failed, "failed: unlock")]),
        ("removing", Fx::RemoveEvidence, vec![(Did, "cleared: unlock"), (Failed, "failed: unlock")]),
    ];
    if force == Force::No {
        let ways = views().into_iter().map(looked).chain([(Failed, "failed: unlock")]);
        rows.extend([
            ("looking", Fx::Look, ways.collect()),
            end("not ours: unlock", "not ours"),
            end("may run: unlock", "may run"),
            ("not ours", Fx::Done(C::NotOurs), vec![]),
            ("may run", Fx::Done(C::WorkerMayRun), vec![]),
        ]);
    }
    rows.extend([
        end("nothing: unlock", "nothing"),
        end("cleared: unlock", "cleared"),
        end("failed: unlock", "failed"),
        ("nothing", Fx::Done(C::NotLocked), vec![]),
        ("cleared", Fx::Done(C::Unlocked), vec![]),
        ("failed", Fx::Done(C::Failed), vec![]),
        ("held", Fx::Done(C::Held), vec![]),
    ]);
    rows
}

fn unlock_events() -> Vec<unlock::Event> {
    use unlock::{Event::*, Judgement::*};
    let judged = [Nothing, LeftBehind, KeptForWorker, NotOurs].map(Judged);
    [Did, Refused, Failed].into_iter().chain(judged).chain(views().into_iter().map(Looked)).collect()
}

#[test]
fn a_claim_is_cleared_by_the_table() {
    for force in [unlock::Force::No, unlock::Force::Yes] {
        let root = ("locking", unlock::Unlock::new(force));
        let machine = (unlock::step, unlock::Unlock::effect);
        assert_table([root], machine, &unlock_events(), &unlock_rows(force));
    }
}

/// Invariant 1 of an unlock: with or without force, a launcher's claim is left alone.
#[test]
fn no_force_clears_a_claim_that_is_held() {
    for force in [unlock::Force::No, unlock::Force::Yes] {
        let held = unlock::step(unlock::Unlock::new(force), unlock::Event::Refused);
        for stop in reach([held], unlock::step, &unlock_events()) {
            assert_eq!(stop.effect(), unlock::Effect::Done(unlock::Conclusion::Held), "{force:?}");
        }
    }
}

#[test]
fn what_a_decision_amounts_to_depends_on_whether_there_was_evidence() {
    use unlock::{Evidence, Judgement as J};
    let take = |why| ClaimDecision::TakeOver { why, previous: None };
    #[rustfmt::skip]
    let table: [(ClaimDecision<()>, J); 7] = [
        (ClaimDecision::Fresh,                                        J::LeftBehind),
        (take(TakeOverReason::HolderDead(DeathProof::NoSuchProcess)), J::LeftBehind),
        (take(TakeOverReason::OtherMachine),                          J::LeftBehind),
        (take(TakeOverReason::Corrupt),                               J::LeftBehind),
        (take(TakeOverReason::OtherSession),                          J::LeftBehind),
        (take(TakeOverReason::Retained),                              J::KeptForWorker),
        (ClaimDecision::Conflict { why: ConflictReason::HolderAlive, holder: None }, J::NotOurs),
    ];
    for (decision, expected) in table {
        assert_eq!(J::of(&decision, Evidence::Present), expected, "{decision:?}");
        assert_eq!(J::of(&decision, Evidence::Absent), J::Nothing, "{decision:?}");
    }
}

/// The result of a look while a session is forgotten (invariant 1).
fn forget_judged(view: &View) -> String {
    match (view.record, view.last, view.lifeline) {
        (RecordIs::Corrupt, ..) => "corrupt: unlock".into(),
        (RecordIs::Newer, ..) => "newer: unlock".into(),
        (_, AliveUnobserved | AliveReady, _) | (_, Unknown, Lifeline::Held) => "runs: unlock".into(),
        (RecordIs::Absent | RecordIs::NamesWorker | RecordIs::NamesNobody, Gone, _)
        | (
            RecordIs::Absent | RecordIs::NamesWorker | RecordIs::NamesNobody,
            Unknown,
            Lifeline::Free | Lifeline::Missing | Lifeline::Unreadable,
        ) => {
            format!("removing the claim of {view:?}")
        }
    }
}

fn forget_rows() -> Vec<Row<String, forget::Event, forget::Effect>> {
    use forget::{Conclusion as C, Effect as Fx, Event::*};
    let row = |at: &str, effect, ways: &[(forget::Event, &str)]| {
        (at.to_owned(), effect, ways.iter().map(|(event, to)| (*event, (*to).to_owned())).collect())
    };
    let failed = "failed: unlock";
    let looked = views().into_iter().map(|view| (Looked(view), forget_judged(&view)));
    let mut rows = vec![
        row("locking", Fx::Lock, &[(Did, "looking"), (Refused, "held"), (Failed, "failed")]),
        ("looking".into(), Fx::Look, looked.chain([(Failed, failed.into())]).collect()),
    ];
    for view in views().into_iter().filter(|view| forget_judged(view).starts_with("removing")) {
        let lifeline = format!("removing the lifeline beside {:?}", view.record);
        let then = if view.last == Gone { "was gone: unlock" } else { &lifeline };
        rows.push(row(&forget_judged(&view), Fx::RemoveClaim, &[(Did, then), (Failed, failed)]));
    }
    // Invariant 2: the lifeline goes before the record.
    for (record, then) in [
        (RecordIs::Absent, "forgotten: unlock"),
        (RecordIs::NamesWorker, "setting the record aside"),
        (RecordIs::NamesNobody, "setting the record aside"),
    ] {
        let at = format!("removing the lifeline beside {record:?}");
        rows.push(row(&at, Fx::RemoveLifeline, &[(Did, then), (Failed, failed)]));
    }
    let aside = [(Did, "forgotten: unlock"), (Failed, failed)];
    rows.push(row("setting the record aside", Fx::SetRecordAside, &aside));
    for (name, conclusion) in [
        ("corrupt", C::RecordCorrupt),
        ("newer", C::RecordNewer),
        ("runs", C::StillRuns),
        ("was gone", C::WasGone),
        ("forgotten", C::Forgotten),
        ("failed", C::Failed),
    ] {
        rows.push(row(&format!("{name}: unlock"), Fx::Unlock, &[(Did, name), (Failed, name)]));
        rows.push(row(name, Fx::Done(conclusion), &[]));
    }
    rows.push(row("held", Fx::Done(C::Held), &[]));
    rows
}

#[test]
fn a_worker_is_forgotten_by_the_table() {
    use forget::Event::{Did, Failed, Looked, Refused};
    let events: Vec<_> = [Did, Refused, Failed].into_iter().chain(views().into_iter().map(Looked)).collect();
    let root = ("locking".to_owned(), forget::Forget::default());
    assert_table([root], (forget::step, forget::Forget::effect), &events, &forget_rows());
}

/// The result of a look while a session is collected.
fn collect_judged(view: &View) -> &'static str {
    match (view.record, view.last, view.lifeline) {
        (RecordIs::Corrupt, ..) => "corrupt: unlock",
        (RecordIs::Newer, ..) => "newer: unlock",
        (
            RecordIs::Absent | RecordIs::NamesWorker | RecordIs::NamesNobody,
            Gone,
            Lifeline::Free | Lifeline::Missing | Lifeline::Unreadable,
        ) => "remembering",
        (RecordIs::Absent | RecordIs::NamesWorker | RecordIs::NamesNobody, Gone, Lifeline::Held)
        | (
            RecordIs::Absent | RecordIs::NamesWorker | RecordIs::NamesNobody,
            AliveUnobserved | AliveReady | Unknown,
            _,
        ) => "running: unlock",
    }
}

/// Invariants 1 to 5 of a collection.
#[rustfmt::skip]
fn collect_rows(options: gc::GcOptions) -> Vec<Row<&'static str, gc::Event, gc::Effect>> {
    use gc::{Conclusion as C, Effect as Fx, Event::*, File::*, GcMode, Repair};
    let failed = "failed: unlock";
    let is_real = options.mode == GcMode::Remove;
    let is_repaired = options.repair == Repair::Yes;
    let recognised = if is_repaired { "repairing" } else { "judging" };
    let looked = views().into_iter().map(|view| (Looked(view), collect_judged(&view)));
    let mut rows = vec![("locking", Fx::Lock, vec![(Did, if is_real { "sweeping" } else { "recognising" }), (Refused, "at work"), (Failed, "failed")])];
    if is_real {
        rows.push(("sweeping", Fx::Sweep, vec![(Did, "recognising"), (Failed, failed)]));
    }
    rows.push(("recognising", Fx::Recognise, vec![(Did, recognised), (Refused, "no session: unlock"), (Failed, failed)]));
    if is_repaired {
        rows.push(("repairing", Fx::Repair, vec![(Did, "repaired: unlock"), (Refused, "judging"), (Failed, failed)]));
    }
    rows.extend([
        ("judging", Fx::Judge, vec![(Judged(Claimable::Takeable), "looking"), (Judged(Claimable::NotOurs), "claimed: unlock"), (Failed, failed)]),
        ("looking", Fx::Look, looked.chain([(Failed, failed)]).collect()),
        ("remembering", Fx::AskLastRun, vec![(Did, "wanted: unlock"), (Refused, if is_real { "socket" } else { "foreseeing" }), (Failed, failed)]),
    ]);
    if is_real {
        rows.extend([
            ("socket",    Fx::LookAtSocket,     vec![(Room(self::Room::Stale), "stale"), (Room(self::Room::Free), "claim"), (Room(self::Room::Taken), "claim"), (Failed, failed)]),
            ("stale",     Fx::RemoveSocket,     vec![(Did, "claim"), (Failed, failed)]),
            ("claim",     Fx::Remove(Claim),    vec![(Did, "record"), (Failed, failed)]),
            ("record",    Fx::Remove(Record),   vec![(Did, "lifeline"), (Failed, failed)]),
            ("lifeline",  Fx::Remove(Lifeline), vec![(Did, "logs"), (Failed, failed)]),
            ("logs",      Fx::Remove(Logs),     vec![(Did, "directory"), (Failed, failed)]),
            ("directory", Fx::RemoveDirectory,  vec![(Did, "removed: unlock"), (Refused, "others: unlock"), (Failed, failed)]),
        ]);
    } else {
        rows.push(("foreseeing", Fx::Foresee, vec![(Did, "others: unlock"), (Refused, "removed: unlock"), (Failed, failed)]));
    }
    let ends = [
        ("no session: unlock", "no session", C::NoSession),
        ("claimed: unlock",    "claimed",    C::Claimed),
        ("corrupt: unlock",    "corrupt",    C::RecordCorrupt),
        ("newer: unlock",      "newer",      C::RecordNewer),
        ("running: unlock",    "running",    C::Running),
        ("wanted: unlock",     "wanted",     C::LastRunWanted),
        ("removed: unlock",    "removed",    C::Removed),
        ("others: unlock",     "others",     C::OtherFiles),
        (failed,               "failed",     C::Failed),
        ("repaired: unlock",   "repaired",   C::Repaired),
    ];
    for (at, then, conclusion) in ends {
        if is_repaired || conclusion != C::Repaired {
            rows.push((at, Fx::Unlock, vec![(Did, then), (Failed, then)]));
            rows.push((then, Fx::Done(conclusion), vec![]));
        }
    }
    rows.push(("at work", Fx::Done(C::AtWork), vec![]));
    rows
}

#[test]
fn a_session_is_collected_by_the_table() {
    use gc::{Event::*, GcMode, Repair};
    let judged = [Claimable::Takeable, Claimable::NotOurs].map(Judged);
    let rooms = [self::Room::Free, self::Room::Stale, self::Room::Taken].map(Room);
    let facts = judged.into_iter().chain(rooms).chain(views().into_iter().map(Looked));
    let events: Vec<_> = [Did, Refused, Failed].into_iter().chain(facts).collect();
    for repair in [Repair::No, Repair::Yes] {
        for mode in [GcMode::Remove, GcMode::DryRun] {
            let options = gc::GcOptions { repair, mode };
            let root = ("locking", gc::Collect::new(options));
            assert_table([root], (gc::step, gc::Collect::effect), &events, &collect_rows(options));
        }
    }
}

/// Invariant 5: the default mode makes changes, but no repairs.
#[test]
fn a_collection_is_no_rehearsal_and_repairs_nothing_unless_asked() {
    let options = gc::GcOptions { repair: gc::Repair::No, mode: gc::GcMode::Remove };
    assert_eq!(gc::GcOptions::default(), options);
    assert_eq!(unlock::Force::default(), unlock::Force::No);
}
