//! Every cell of the decision table of the design, section 3.2.

use Finding::{Dormant, Forged, Indeterminate, Live, Unrecorded};
use Intent::{Attach, Ensure, Restart, RestartIfRunning, Resume};
use RejectReason as R;
use rekindle_core::LastWorker::{AliveReady, AliveUnobserved, Gone, Unknown};
use rekindle_core::{Finding, Intent, RejectReason, Verdict, decide, decide::Unrecorded as Policy};

const INTENTS: [Intent; 5] = [Ensure, Attach, Resume, Restart, RestartIfRunning];
const FINDINGS: [Finding; 8] = [
    Live,
    Unrecorded,
    Dormant(Gone),
    Dormant(AliveUnobserved),
    Dormant(AliveReady),
    Dormant(Unknown),
    Indeterminate,
    Forged,
];

/// One row a finding: what `ensure`, `attach`, `resume`, `restart` and `restart-if-running` do.
#[rustfmt::skip]
const TABLE: [(Finding, [Verdict; 5]); 8] = [
    (Live,                     [Verdict::Attach, Verdict::Attach, Verdict::Reject(R::AlreadyLive), Verdict::Replace, Verdict::Replace]),
    (Unrecorded,               [Verdict::Reject(R::RecordLessSocket); 5]),
    (Dormant(Gone),            [Verdict::Spawn, Verdict::Reject(R::NotRunning), Verdict::Spawn, Verdict::Spawn, Verdict::Reject(R::NotRunning)]),
    (Dormant(AliveUnobserved), [Verdict::Adopt, Verdict::Reject(R::NotRunning), Verdict::Adopt, Verdict::Replace, Verdict::Replace]),
    (Dormant(AliveReady),      [Verdict::Reject(R::WorkerUnresponsive), Verdict::Reject(R::NotRunning), Verdict::Reject(R::WorkerUnresponsive), Verdict::Replace, Verdict::Replace]),
    (Dormant(Unknown),         [Verdict::Reject(R::WorkerUnknown), Verdict::Reject(R::NotRunning), Verdict::Reject(R::WorkerUnknown), Verdict::Reject(R::WorkerUnknown), Verdict::Reject(R::WorkerUnknown)]),
    (Indeterminate,            [Verdict::Reject(R::IndeterminateNoSpawn); 5]),
    (Forged,                   [Verdict::Reject(R::TargetAddressConflict); 5]),
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
        let if_running = decide(RestartIfRunning, finding);
        assert!(!matches!(if_running, Verdict::Attach | Verdict::Spawn | Verdict::Adopt), "{finding:?}");
        for intent in [Ensure, Attach, Resume] {
            assert_ne!(decide(intent, finding), Verdict::Replace, "{intent:?} on {finding:?}");
        }
    }
}

/// A process that answers is refused only if the caller takes recorded workers alone, and no worker of ours may run.
#[test]
fn only_what_answers_without_a_record_is_refused_for_it() {
    for finding in FINDINGS {
        for policy in [Policy::Taken, Policy::Refused] {
            for may_be_ours in [true, false] {
                let is_refused = finding == Live && policy == Policy::Refused && !may_be_ours;
                let expected = if is_refused { Unrecorded } else { finding };
                assert_eq!(
                    finding.judged_by(policy, may_be_ours),
                    expected,
                    "{finding:?}, {policy:?}, {may_be_ours}"
                );
            }
        }
    }
}

#[test]
fn the_words_of_json_are_the_documented_ones() {
    let word = |value: serde_json::Value| value.as_str().map(String::from).unwrap();
    let liveness: Vec<String> =
        FINDINGS.into_iter().map(|found| word(serde_json::to_value(found.liveness()).unwrap())).collect();
    let dormant = ["dormant"; 4];
    assert_eq!(liveness, [&["live", "live"][..], &dormant, &["indeterminate", "forged"]].concat());
    let reasons = [
        (R::BadTarget, "bad-target"),
        (R::TargetLocked, "target-locked"),
        (R::TargetAddressConflict, "target-address-conflict"),
        (R::IndeterminateNoSpawn, "indeterminate-no-spawn"),
        (R::NotRunning, "not-running"),
        (R::RecordLessSocket, "record-less-socket"),
        (R::AlreadyLive, "already-live"),
        (R::WorkerUnresponsive, "worker-unresponsive"),
        (R::WorkerUnknown, "worker-unknown"),
    ];
    for (reason, text) in reasons {
        assert_eq!(word(serde_json::to_value(reason).unwrap()), text);
    }
    let intents = INTENTS.map(|intent| word(serde_json::to_value(intent).unwrap()));
    assert_eq!(intents, ["ensure", "attach", "resume", "restart", "restart-if-running"]);
}
