//! Who may take a claim: every cell of the design's table (3.6) under both policies, and the results of a damaged
//! evidence file (L4, L9, L10, L17, L18, T05, T10, T12, T28, T29).

use proptest::prelude::*;
use rekindle_core::claim::{ConflictReason, Found, KernelLock, TakeOverReason};
use rekindle_core::identity::{BootId, DeathProof, NamespaceId, UnknownReason};
use rekindle_core::{ClaimDecision, ClaimPolicy, Host, LockClaim, ProcessLiveness, decide_claim};
use rekindle_gates::builders::{claim, here, instant, session, session_named};
use rekindle_gates::property;

/// The documented format.
const CLAIM_JSON: &str = r#"{
  "session_id": "cache",
  "pid": 77,
  "start_time": 1000,
  "boot_id": "b00t",
  "pid_namespace": 4026531836,
  "time_namespace": 4026531834,
  "hostname": "box",
  "machine_id": "3f2c",
  "created_at": "2026-01-02T03:04:05Z",
  "nonce": "0000000000000000000000000000c1a1",
  "owner": "rekindle",
  "lock_path": "/state/cache/claim"
}"#;

fn retained() -> LockClaim {
    LockClaim { retained_at: Some(instant()), ..claim() }
}

fn bytes(claim: &LockClaim) -> Vec<u8> {
    serde_json::to_vec(claim).expect("a claim is plain data")
}

fn read(content: &[u8]) -> Found<LockClaim> {
    Found::read(Some(content), &session())
}

const STANDINGS: [ProcessLiveness; 10] = [
    ProcessLiveness::Alive,
    ProcessLiveness::Dead(DeathProof::NoSuchProcess),
    ProcessLiveness::Dead(DeathProof::Zombie),
    ProcessLiveness::Dead(DeathProof::OtherStartTime),
    ProcessLiveness::Dead(DeathProof::OtherBoot),
    ProcessLiveness::Unjudged(UnknownReason::OtherPidNamespace),
    ProcessLiveness::Unjudged(UnknownReason::UnknownBoot),
    ProcessLiveness::Unjudged(UnknownReason::Unproven),
    ProcessLiveness::Unjudged(UnknownReason::OtherMachine),
    ProcessLiveness::Unjudged(UnknownReason::NotPermitted),
];

/// Every possible content of a claim's file.
fn founds() -> [Found<LockClaim>; 6] {
    [
        Found::Nothing,
        Found::Empty,
        Found::Corrupt { why: "bad".into() },
        Found::OtherSession { named: session_named("other") },
        Found::Held(claim()),
        Found::Retained(retained()),
    ]
}

/// A decision in a few words; `+` means that the decision carries the found claim.
fn told(decision: &ClaimDecision<LockClaim>) -> String {
    let with = |claim: &Option<LockClaim>| if claim.is_some() { " +" } else { "" };
    match decision {
        ClaimDecision::Fresh => "fresh".into(),
        ClaimDecision::TakeOver { why, previous } => match why {
            TakeOverReason::HolderDead(_) => format!("take: dead{}", with(previous)),
            TakeOverReason::Retained => format!("take: retained{}", with(previous)),
            TakeOverReason::OtherMachine => format!("take: machine{}", with(previous)),
            TakeOverReason::Corrupt => format!("take: corrupt{}", with(previous)),
            TakeOverReason::OtherSession => format!("take: session{}", with(previous)),
        },
        ClaimDecision::Conflict { why, holder } => match why {
            ConflictReason::KernelLockHeld => format!("no: kernel{}", with(holder)),
            ConflictReason::HolderAlive => format!("no: alive{}", with(holder)),
            ConflictReason::HolderUnjudged(UnknownReason::OtherMachine) => {
                format!("no: machine{}", with(holder))
            }
            ConflictReason::HolderUnjudged(_) => format!("no: unjudged{}", with(holder)),
            ConflictReason::Corrupt { .. } => format!("no: corrupt{}", with(holder)),
            ConflictReason::OtherSession { .. } => format!("no: session{}", with(holder)),
        },
    }
}

/// The content of the file, the liveness of the holder, and the decisions under `dispatch` and `lifecycle` with a free
/// kernel lock.
#[rustfmt::skip]
fn table() -> Vec<(Found<LockClaim>, ProcessLiveness, &'static str, &'static str)> {
    let [nothing, empty, corrupt, other, held, retained] = founds();
    let [alive, absent, zombie, reused, rebooted, namespace, unbooted, unproven, machine, eperm] = STANDINGS;
    vec![
        (nothing,          alive,     "fresh",            "fresh"),
        (empty,            alive,     "fresh",            "fresh"),
        (corrupt,          absent,    "no: corrupt",      "take: corrupt"),
        (other,            absent,    "no: session",      "take: session"),
        (held.clone(),     alive,     "no: alive +",      "no: alive +"),
        (held.clone(),     absent,    "take: dead +",     "take: dead +"),
        (held.clone(),     zombie,    "take: dead +",     "take: dead +"),
        (held.clone(),     reused,    "take: dead +",     "take: dead +"),
        (held.clone(),     rebooted,  "take: dead +",     "take: dead +"),
        (held.clone(),     namespace, "take: dead +",     "take: dead +"),
        (held.clone(),     unbooted,  "no: unjudged +",   "no: unjudged +"),
        (held.clone(),     unproven,  "no: alive +",      "no: alive +"),
        (held.clone(),     machine,   "no: machine +",    "take: machine +"),
        (held,             eperm,     "no: unjudged +",   "no: unjudged +"),
        (retained.clone(), alive,     "take: retained +", "no: alive +"),
        (retained.clone(), absent,    "take: retained +", "take: dead +"),
        (retained.clone(), zombie,    "take: retained +", "take: dead +"),
        (retained.clone(), reused,    "take: retained +", "take: dead +"),
        (retained.clone(), rebooted,  "take: retained +", "take: dead +"),
        (retained.clone(), namespace, "take: retained +", "take: dead +"),
        (retained.clone(), unbooted,  "take: retained +", "no: unjudged +"),
        (retained.clone(), unproven,  "take: retained +", "no: alive +"),
        (retained.clone(), machine,   "no: machine +",    "take: machine +"),
        (retained,         eperm,     "take: retained +", "no: unjudged +"),
    ]
}

#[test]
fn every_cell_is_the_one_of_the_table() {
    for (found, standing, dispatch, lifecycle) in table() {
        let decided = |policy| told(&decide_claim(policy, KernelLock::Free, found.clone(), standing));
        let cell = (decided(ClaimPolicy::dispatch()), decided(ClaimPolicy::lifecycle()));
        assert_eq!(cell, (dispatch.into(), lifecycle.into()), "{found:?}, whose holder is {standing:?}");
    }
    println!("{} rows under two policies", table().len());
}

/// Waiting is useful only if the holder is at work or dying; an unjudged holder or an unreadable file does not change.
#[test]
fn only_for_who_will_be_done_or_dead_is_it_worth_waiting() {
    use ConflictReason as No;
    let unjudged = STANDINGS.into_iter().filter_map(|standing| match standing {
        ProcessLiveness::Unjudged(doubt) => Some(No::HolderUnjudged(doubt)),
        ProcessLiveness::Alive | ProcessLiveness::Dead(_) => None,
    });
    let unreadable = [No::Corrupt { why: "bad".into() }, No::OtherSession { named: session_named("other") }];
    assert!(No::KernelLockHeld.may_pass() && No::HolderAlive.may_pass());
    for why in unjudged.chain(unreadable) {
        assert!(!why.may_pass(), "{why:?}");
    }
}

/// The liveness matters only if the evidence names a holder.
#[test]
fn what_names_no_holder_is_decided_without_one() {
    for policy in [ClaimPolicy::dispatch(), ClaimPolicy::lifecycle()] {
        for found in founds().into_iter().filter(|found| found.payload().is_none()) {
            let decide = |standing| decide_claim(policy, KernelLock::Free, found.clone(), standing);
            assert!(STANDINGS.into_iter().all(|standing| decide(standing) == decide(ProcessLiveness::Alive)));
        }
    }
}

/// Invariant 1: a held kernel lock is a conflict with any file, and carries the holder's record if readable.
#[test]
fn a_held_kernel_lock_is_always_a_conflict() {
    for policy in [ClaimPolicy::dispatch(), ClaimPolicy::lifecycle()] {
        for found in founds() {
            for standing in STANDINGS {
                let holder = found.payload().cloned();
                let decision = decide_claim(policy, KernelLock::Held, found.clone(), standing);
                let conflict = ClaimDecision::Conflict { why: ConflictReason::KernelLockHeld, holder };
                assert_eq!(decision, conflict, "{found:?}, whose holder is {standing:?}");
            }
        }
    }
}

/// A decision carries the proof or the doubt behind it.
#[test]
fn a_decision_carries_its_reason() {
    for standing in STANDINGS {
        let decision =
            decide_claim(ClaimPolicy::dispatch(), KernelLock::Free, Found::Held(claim()), standing);
        let expected = match standing {
            ProcessLiveness::Alive | ProcessLiveness::Unjudged(UnknownReason::Unproven) => {
                ClaimDecision::Conflict { why: ConflictReason::HolderAlive, holder: Some(claim()) }
            }
            // U2: the lock taken with the claim is free, in every pid namespace of this kernel.
            ProcessLiveness::Unjudged(UnknownReason::OtherPidNamespace) => {
                let why = TakeOverReason::HolderDead(DeathProof::LockFree);
                ClaimDecision::TakeOver { why, previous: Some(claim()) }
            }
            ProcessLiveness::Dead(proof) => {
                ClaimDecision::TakeOver { why: TakeOverReason::HolderDead(proof), previous: Some(claim()) }
            }
            ProcessLiveness::Unjudged(doubt) => {
                let why = ConflictReason::HolderUnjudged(doubt);
                ClaimDecision::Conflict { why, holder: Some(claim()) }
            }
        };
        assert_eq!(decision, expected);
    }
}

/// L9, L10, T29: the machine of a holder is recognised by values that survive a renamed host.
#[test]
fn a_holder_on_another_machine_is_not_judged_by_its_pid() {
    let gone = ProcessLiveness::Dead(DeathProof::OtherBoot);
    let elsewhere = ProcessLiveness::Unjudged(UnknownReason::OtherMachine);
    let host = |hostname: &str, machine: &str, boot: &str| Host {
        hostname: hostname.into(),
        machine_id: Some(machine.into()),
        boot_id: Some(BootId::new(boot)),
        pid_namespace: Some(NamespaceId::from_inode(1)),
        time_namespace: None,
    };
    assert_eq!(claim().standing(&here(), ProcessLiveness::Alive), ProcessLiveness::Alive);
    assert_eq!(
        claim().standing(&host("renamed", "3f2c", "b00t"), ProcessLiveness::Alive),
        ProcessLiveness::Alive
    );
    assert_eq!(claim().standing(&host("renamed", "3f2c", "later"), gone), gone);
    assert_eq!(claim().standing(&host("box", "0ther", "later"), gone), elsewhere);
    assert_eq!(claim().standing(&host("box", "0ther", "later"), ProcessLiveness::Alive), elsewhere);
}

#[test]
fn the_json_of_a_claim_is_the_documented_one() {
    assert_eq!(serde_json::to_string_pretty(&claim()).unwrap(), CLAIM_JSON);
    assert_eq!(read(CLAIM_JSON.as_bytes()), Found::Held(claim()));
    let json = serde_json::to_value(retained()).unwrap();
    assert_eq!(json["retained_at"], "2026-01-02T03:04:05Z");
    assert_eq!(read(&bytes(&retained())), Found::Retained(retained()));
}

/// A claim with a field from a later version is not corrupt.
#[test]
fn unknown_fields_are_ignored_and_missing_ones_are_not() {
    let more = CLAIM_JSON.replacen('{', r#"{"later": [1],"#, 1);
    assert_eq!(read(more.as_bytes()), Found::Held(claim()));
    for required in ["session_id", "pid", "hostname", "created_at", "nonce", "owner", "lock_path"] {
        let renamed = CLAIM_JSON.replacen(required, "x", 1);
        assert!(matches!(read(renamed.as_bytes()), Found::Corrupt { .. }), "without {required}");
    }
}

#[test]
fn a_claim_of_another_session_names_it() {
    let found = Found::read(Some(&bytes(&claim())), &session_named("other"));
    assert_eq!(found, Found::OtherSession { named: session() });
    assert_eq!(Found::read(None, &session()), Found::Nothing);
}

/// T05, T12, L3, L4: a claim cut off at any byte is never taken and never treated as absent.
#[test]
fn a_claim_cut_off_at_any_byte_is_corrupt() {
    for whole in [bytes(&claim()), bytes(&retained())] {
        assert_eq!(read(&whole[..0]), Found::Empty);
        for cut in 1..whole.len() {
            assert!(matches!(read(&whole[..cut]), Found::Corrupt { .. }), "cut off after {cut} bytes");
        }
    }
}

fn never_ours_unless_whole(content: &[u8]) -> Result<(), TestCaseError> {
    let found = read(content);
    prop_assert!(!matches!(found, Found::Nothing), "a file is something");
    prop_assert_eq!(found == Found::Empty, content.is_empty());
    let unreadable = matches!(found, Found::Corrupt { .. } | Found::OtherSession { .. });
    for standing in STANDINGS {
        let decision = decide_claim(ClaimPolicy::dispatch(), KernelLock::Free, found.clone(), standing);
        let conflict = matches!(decision, ClaimDecision::Conflict { .. });
        prop_assert!(!unreadable || conflict, "{:?} from {:?}", decision, found);
        let lifecycle = decide_claim(ClaimPolicy::lifecycle(), KernelLock::Free, found.clone(), standing);
        let fresh = lifecycle == ClaimDecision::Fresh;
        prop_assert!(!unreadable || !fresh, "lifecycle keeps the old bytes aside, so it has to know of them");
    }
    Ok(())
}

/// L4: reading arbitrary bytes never panics, and never yields a claim of ours.
#[test]
fn arbitrary_bytes_are_never_ours() {
    let content = prop::collection::vec(any::<u8>(), 0..200);
    property!("claim", arbitrary_bytes_are_never_ours)
        .check(&content, |content| never_ours_unless_whole(&content));
}

/// L4: the same for claims with a few bytes changed, dropped or added.
#[test]
fn damaged_claims_are_never_ours() {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..6);
    property!("claim", damaged_claims_are_never_ours).check(&edits, |edits| {
        let mut content = bytes(&claim());
        for (at, byte, how) in edits {
            let at = at.index(content.len());
            match how {
                0 => content[at] ^= byte,
                1 => content.insert(at, byte),
                _ => drop(content.remove(at)),
            }
        }
        never_ours_unless_whole(&content)
    });
}
