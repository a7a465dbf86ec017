//! Diagnoses: the words for every kind of claim, process and lifeline.

use rekindle_core::care::diagnose::{Known, of_claim, of_lifeline, of_process};
use rekindle_core::claim::KernelLock::{Free, Held};
use rekindle_core::identity::{DeathProof, UnknownReason};
use rekindle_core::{Found, Lifeline, LockClaim, OsFailure, ProcessLiveness};
use rekindle_gates::builders::{claim, pid};
use std::path::Path;

const ALIVE: ProcessLiveness = ProcessLiveness::Alive;

fn told(found: &Found<LockClaim>, lock: rekindle_core::claim::KernelLock) -> Option<String> {
    of_claim(found, lock, ALIVE, Path::new("/state/s/claim"))
}

#[test]
fn every_kind_of_claim_has_its_words() {
    let corrupt = Found::Corrupt { why: "it is cut off".into() };
    let other = Found::OtherSession { named: "other".parse().expect("a name") };
    let held = claim();
    let mut retained = claim();
    retained.retained_at = Some(retained.created_at);
    assert_eq!(told(&Found::Nothing, Free), None);
    let words = [
        (
            Found::Nothing,
            Held,
            "claim: the kernel's lock is held, and its holder has not written down who it is",
        ),
        (Found::Empty, Free, "claim: an empty file, which means nothing"),
        (
            corrupt,
            Free,
            "claim: `/state/s/claim` cannot be read: it is cut off; nobody holds the kernel's lock",
        ),
        (other, Held, "claim: the file is about session `other`; the kernel's lock is held"),
    ];
    for (found, lock, expected) in words {
        assert_eq!(told(&found, lock).as_deref(), Some(expected));
    }
    for (found, begin) in
        [(Found::Held(held), "claim: taken by "), (Found::Retained(retained), "claim: retained by ")]
    {
        let text = told(&found, Free).expect("there is a claim");
        assert!(text.starts_with(begin) && text.contains("; it runs: "), "{text}");
        assert!(text.ends_with("; nobody holds the kernel's lock"), "{text}");
    }
}

#[test]
fn every_liveness_has_its_words() {
    assert_eq!(of_process(ALIVE), "it runs: pid, start time and boot are those written down");
    let dead = of_process(ProcessLiveness::Dead(DeathProof::NoSuchProcess));
    assert!(dead.starts_with("it is gone: "), "{dead}");
    let unjudged = of_process(ProcessLiveness::Unjudged(UnknownReason::NotPermitted));
    assert!(unjudged.starts_with("it cannot be judged: "), "{unjudged}");
}

#[test]
fn every_kind_of_lifeline_has_its_words() {
    use Lifeline as L;
    let failure = OsFailure::new("read the directory", "no such device");
    let pids = [pid(4), pid(5)];
    let words = |lifeline, known, gap| of_lifeline(lifeline, known, &pids, gap);
    let seen = words(L::Held, Known::Yes, None).expect("a finding");
    assert_eq!(seen, "lifeline: held by process 4, 5");
    let hidden = of_lifeline(L::Held, Known::No, &[], None).expect("a finding");
    assert_eq!(hidden, "lifeline: held, by a process that the system does not let us see");
    let free = words(L::Free, Known::No, None).expect("a finding");
    assert_eq!(free, "lifeline: free, so no process of the worker that kept it is left");
    assert_eq!(words(L::Missing, Known::No, None), None);
    let missing = words(L::Missing, Known::Yes, None).expect("a finding");
    assert_eq!(missing, "lifeline: the file is missing, and no process keeps it");
    let gap = words(L::Unreadable, Known::Yes, Some(&failure)).expect("a finding");
    assert!(gap.starts_with("lifeline: the file is missing, and could not be searched for: "), "{gap}");
    let unsaid = words(L::Unreadable, Known::Yes, None).expect("a finding");
    assert_eq!(unsaid, "lifeline: the kernel does not say whether it is held");
}

#[test]
fn a_lifeline_is_held_only_if_the_kernel_says_so() {
    let held =
        [Lifeline::Held, Lifeline::Free, Lifeline::Missing, Lifeline::Unreadable].map(Lifeline::is_held);
    assert_eq!(held, [Some(true), Some(false), None, None]);
}

#[test]
fn only_a_file_that_no_launcher_can_use_is_set_aside() {
    assert!(Found::<LockClaim>::Corrupt { why: String::new() }.is_unusable());
    assert!(Found::<LockClaim>::OtherSession { named: "s".parse().expect("a name") }.is_unusable());
    for found in [Found::Nothing, Found::Empty, Found::Held(claim()), Found::Retained(claim())] {
        assert!(!found.is_unusable(), "{found:?}");
    }
}
