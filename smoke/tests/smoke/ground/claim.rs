//! The claim: kernel lock and evidence, through the adapters.

use rekindle_adapters::ClaimAttempt;
use rekindle_adapters::claim_lock::is_locked;
use rekindle_core::claim::ConflictReason;
use rekindle_core::{LockClaim, ReleaseError};
use rekindle_smoke::starts::id;
use rekindle_smoke::{Starts, tests};
use serde_json::Value;
use std::fs;
use std::thread;

tests![
    a_second_claimer_conflicts_and_can_read_the_holder,
    only_one_of_many_threads_gets_it,
    a_release_removes_the_evidence,
    a_retained_claim_is_marked_and_can_be_taken_over,
    a_dropped_claim_is_marked_retained,
    a_claim_that_panics_away_is_marked_retained,
    evidence_that_somebody_replaced_is_left_alone,
    evidence_that_somebody_removed_is_no_failure,
    a_directory_that_was_removed_underneath_is_noticed,
    a_successor_in_a_new_directory_is_left_alone,
    unfinished_files_are_swept_away,
];

fn conflict(attempt: ClaimAttempt) -> (ConflictReason, Option<Box<LockClaim>>) {
    match attempt {
        ClaimAttempt::Conflict { why, holder } => (why, holder),
        ClaimAttempt::Held(held) => panic!("it was taken twice: {:?}", held.claim()),
    }
}

fn evidence(starts: &Starts) -> Option<Value> {
    let bytes = fs::read(starts.env.of("s", "claim")).ok()?;
    Some(serde_json::from_slice(&bytes).expect("the evidence is whole"))
}

fn a_second_claimer_conflicts_and_can_read_the_holder() {
    let starts = Starts::new();
    let held = starts.claim("s");
    let (why, holder) = conflict(starts.try_claim("s"));
    assert_eq!(why, ConflictReason::KernelLockHeld);
    assert_eq!(holder.as_deref(), Some(held.claim()));
    let in_a_thread = thread::scope(|scope| scope.spawn(|| starts.try_claim("s")).join());
    assert_eq!(conflict(in_a_thread.expect("asking does not panic")).0, ConflictReason::KernelLockHeld);
    let reply = starts.env.up_with("s", &["--timeout", "50ms"], &["true"]).expect_rejected("target-locked");
    assert_eq!(reply.json["holder"]["pid"], std::process::id());
    assert_eq!(reply.json["holder"]["nonce"], Value::Null, "the authority to release is the holder's alone");
    assert_eq!(reply.json["liveness"], Value::Null, "nothing was probed");
    held.release().expect("our claim can be released");
}

/// T01, L1: all threads find a claim left by a dead holder.
fn only_one_of_many_threads_gets_it() {
    let starts = Starts::new();
    for round in 0..50 {
        starts.claim("s").retain().expect("our claim can be retained");
        let attempts: Vec<ClaimAttempt> = thread::scope(|scope| {
            let claimers: Vec<_> = (0..8).map(|_| scope.spawn(|| starts.try_claim("s"))).collect();
            claimers.into_iter().map(|it| it.join().expect("asking does not panic")).collect()
        });
        let held: Vec<_> = attempts.iter().filter(|it| matches!(it, ClaimAttempt::Held(_))).collect();
        assert_eq!(held.len(), 1, "round {round}");
    }
}

fn a_release_removes_the_evidence() {
    let starts = Starts::new();
    let held = starts.claim("s");
    assert_eq!(evidence(&starts).expect("a held claim has evidence")["pid"], std::process::id());
    held.release().expect("our claim can be released");
    assert_eq!(evidence(&starts), None);
    starts.claim("s").release().expect("it can be claimed again");
}

fn a_retained_claim_is_marked_and_can_be_taken_over() {
    let starts = Starts::new();
    starts.claim("s").retain().expect("our claim can be retained");
    assert_ne!(evidence(&starts).expect("a retained claim has evidence")["retained_at"], Value::Null);
    starts.claim("s").release().expect("the successor's claim can be released");
}

/// T13, A8: a dropped future.
fn a_dropped_claim_is_marked_retained() {
    let starts = Starts::new();
    let held = starts.claim("s");
    drop(held);
    assert_ne!(evidence(&starts).expect("a dropped claim has evidence")["retained_at"], Value::Null);
    starts.claim("s").release().expect("a living host never wedges itself");
}

/// A8.
fn a_claim_that_panics_away_is_marked_retained() {
    let starts = Starts::new();
    let held = starts.claim("s");
    let thread = thread::spawn(move || {
        let _held = held;
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert!(thread.join().is_err());
    assert_ne!(evidence(&starts).expect("it has evidence")["retained_at"], Value::Null);
}

/// Equal content on another inode, which is still not our file.
fn another_inode(starts: &Starts) {
    let path = starts.env.of("s", "claim");
    let copy = starts.env.file("copy", fs::read(&path).expect("the evidence is there"));
    fs::rename(copy, path).expect("the evidence can be replaced");
}

/// The same inode with another nonce.
fn another_nonce(starts: &Starts) {
    starts.env.edit("s", "claim", |claim| claim["nonce"] = "00112233445566778899".into());
}

/// T06, L2.
fn evidence_that_somebody_replaced_is_left_alone() {
    let starts = Starts::new();
    let path = starts.env.of("s", "claim");
    for replace in [another_inode, another_nonce] {
        let held = starts.claim("s");
        replace(&starts);
        let bytes = fs::read(&path).expect("the evidence is there");
        let error = held.release().expect_err("the evidence is not ours any more");
        assert!(matches!(error, ReleaseError::NotOurs { .. }), "{error}");
        assert_eq!(fs::read(&path).expect("it was left alone"), bytes);
        fs::remove_file(&path).expect("it can be removed");
        starts.claim("s").release().expect("the kernel's lock was given up all the same");
    }
}

fn evidence_that_somebody_removed_is_no_failure() {
    let starts = Starts::new();
    let held = starts.claim("s");
    fs::remove_file(starts.env.of("s", "claim")).expect("it can be removed");
    // Removing a file takes no lock away.
    assert_eq!(conflict(starts.try_claim("s")).0, ConflictReason::KernelLockHeld);
    held.release().expect("there is nothing left to take back");
}

/// T27, L15.
fn a_directory_that_was_removed_underneath_is_noticed() {
    let starts = Starts::new();
    let held = starts.claim("s");
    fs::remove_dir_all(starts.env.of("s", "")).expect("the session can be removed");
    let error = starts.spawn(&starts.plan("s", &["true"]), &held).expect_err("nothing may be started");
    assert!(!error.to_string().is_empty());
    let error = held.release().expect_err("the directory is gone");
    assert!(matches!(error, ReleaseError::DirectoryReplaced { .. }), "{error}");
}

/// T27, L15, L2.
fn a_successor_in_a_new_directory_is_left_alone() {
    let starts = Starts::new();
    let held = starts.claim("s");
    fs::rename(starts.env.of("s", ""), starts.env.path("moved")).expect("the session can be moved");
    let successor = starts.claim("s");
    let error = held.release().expect_err("the directory is another");
    assert!(matches!(error, ReleaseError::DirectoryReplaced { .. }), "{error}");
    assert_eq!(
        evidence(&starts).expect("the successor has evidence")["nonce"],
        successor.claim().nonce.as_str()
    );
    // On our own descriptor: a query through the successor's would drop its lock.
    let dir = starts.root.session(&id("s")).expect("the session is ours").expect("it has a directory");
    assert!(is_locked(&dir).expect("the kernel answers"), "the successor still holds it");
    successor.release().expect("the successor's claim can be released");
}

///
fn unfinished_files_are_swept_away() {
    let starts = Starts::new();
    starts.claim("s").release().expect("our claim can be released");
    // The writer ran before this boot.
    let unfinished = starts.env.of("s", ".rekindle-tmp.1.1.0.7.claim");
    let others = ["claim.tmp", ".tmp-claim-7", ".rekindle-tmp.1.1.0.7"].map(|name| starts.env.of("s", name));
    fs::write(&unfinished, "half").expect("a session's directory can be written to");
    others
        .iter()
        .for_each(|other| fs::write(other, "mine").expect("a session's directory can be written to"));
    starts.claim("s").release().expect("our claim can be released");
    assert!(!unfinished.exists());
    assert!(others.iter().all(|other| other.exists()), "what only looks alike is somebody else's");
}
