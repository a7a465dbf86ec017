//! Every cell of the decision table of the design, section 3.2.

use Finding::{Dormant, Forged, Indeterminate, Live};
use Intent::{Attach, Ensure, Restart, Resume};
use RejectReason as R;
use rekindle_core::LastWorker::{AliveReady, AliveUnobserved, Gone, Unknown};
use rekindle_core::{Finding, Intent, RejectReason, Verdict, decide};

const INTENTS: [Intent; 4] = [Ensure, Attach, Resume, Restart];
const FINDINGS: [Finding; 7] = [
    Live,
    Dormant(Gone),
    Dormant(AliveUnobserved),
    Dormant(AliveReady),
    Dormant(Unknown),
    Indeterminate,
    Forged,
];

/// One row a finding: what `ensure`, `attach`, `resume` and `restart` do.
#[rustfmt::skip]
const TABLE: [(Finding, [Verdict; 4]); 7] = [
    (Live,                     [Verdict::Attach, Verdict::Attach, Verdict::Reject(R::AlreadyLive), Verdict::Replace]),
    (Dormant(Gone),            [Verdict::Spawn, Verdict::Reject(R::NotRunning), Verdict::Spawn, Verdict::Spawn]),
    (Dormant(AliveUnobserved), [Verdict::Adopt, Verdict::Reject(R::NotRunning), Verdict::Adopt, Verdict::Replace]),
    (Dormant(AliveReady),      [Verdict::Reject(R::WorkerUnresponsive), Verdict::Reject(R::NotRunning), Verdict::Reject(R::WorkerUnresponsive), Verdict::Replace]),
    (Dormant(Unknown),         [Verdict::Reject(R::WorkerUnknown), Verdict::Reject(R::NotRunning), Verdict::Reject(R::WorkerUnknown), Verdict::Reject(R::WorkerUnknown)]),
    (Indeterminate,            [Verdict::Reject(R::IndeterminateNoSpawn); 4]),
    (Forged,                   [Verdict::Reject(R::TargetAddressConflict); 4]),
];

#[test]
fn every_cell_is_the_one_of_the_table() {
    assert_eq!(TABLE.map(|(finding, _)| finding), FINDINGS, "the table has every row");
    for (finding, row) in TABLE {
        for (intent, verdict) in INTENTS.into_iter().zip(row) {
            assert_eq!(decide(intent, finding), verdict, "{intent:?} on {finding:?}");
        }
    }
    println!("{} cells", TABLE.len() * INTENTS.len());
}

/// Promise 1: only a dormant socket with a provably gone worker leads to a start (T08, T10, T26).
#[test]
fn only_provable_absence_leads_to_a_start() {
    for finding in FINDINGS {
        for intent in INTENTS {
            let spawns = decide(intent, finding) == Verdict::Spawn;
            assert!(!spawns || finding == Dormant(Gone), "{intent:?} on {finding:?}");
        }
    }
}

#[test]
fn attach_starts_nothing_and_resume_attaches_to_nothing() {
    for finding in FINDINGS {
        let attach = decide(Attach, finding);
        assert!(!matches!(attach, Verdict::Spawn | Verdict::Adopt | Verdict::Replace), "{finding:?}");
        assert_ne!(decide(Resume, finding), Verdict::Attach, "{finding:?}");
        assert_ne!(decide(Restart, finding), Verdict::Attach, "{finding:?}");
        for intent in [Ensure, Attach, Resume] {
            assert_ne!(decide(intent, finding), Verdict::Replace, "{intent:?} on {finding:?}");
        }
    }
}

#[test]
fn the_words_of_json_are_the_documented_ones() {
    let word = |value: serde_json::Value| value.as_str().map(String::from).unwrap();
    let liveness: Vec<String> =
        FINDINGS.into_iter().map(|found| word(serde_json::to_value(found.liveness()).unwrap())).collect();
    let dormant = ["dormant"; 4];
    assert_eq!(liveness, [&["live"][..], &dormant, &["indeterminate", "forged"]].concat());
    let reasons = [
        (R::BadTarget, "bad-target"),
        (R::TargetLocked, "target-locked"),
        (R::TargetAddressConflict, "target-address-conflict"),
        (R::IndeterminateNoSpawn, "indeterminate-no-spawn"),
        (R::NotRunning, "not-running"),
        (R::AlreadyLive, "already-live"),
        (R::WorkerUnresponsive, "worker-unresponsive"),
        (R::WorkerUnknown, "worker-unknown"),
    ];
    for (reason, text) in reasons {
        assert_eq!(word(serde_json::to_value(reason).unwrap()), text);
    }
    let intents = INTENTS.map(|intent| word(serde_json::to_value(intent).unwrap()));
    assert_eq!(intents, ["ensure", "attach", "resume", "restart"]);
}
