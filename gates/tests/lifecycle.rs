//! The marker of a lifecycle lock: the format, markers of other programs, and the results of damage (L3, L4, L10, L17,
//! T05, T12, T29).

use proptest::prelude::*;
use rekindle_core::claim::{ConflictReason, KeptBy, KernelLock, TakeOverReason};
use rekindle_core::identity::{DeathProof, PidStatus, StartTime, UnknownReason, judge};
use rekindle_core::lifecycle::{LifecycleState, StartedAt, state_of};
use rekindle_core::{
    ClaimDecision, ClaimPolicy, Found, LifecyclePayload, Nonce, ProcessLiveness, decide_claim,
};
use rekindle_gates::builders::{here, instant, pid, process};
use rekindle_gates::property;
use serde_json::Value;

/// The documented format.
const OURS: &str = r#"{
  "schema_version": 1,
  "pid": 77,
  "start_time": 1000,
  "boot_id": "b00t",
  "pid_namespace": 4026531836,
  "time_namespace": 4026531834,
  "hostname": "box",
  "machine_id": "3f2c",
  "started_at": "2026-01-02T03:04:05Z",
  "nonce": "0000000000000000000000000000c1a1",
  "keeps_flock": true
}"#;

/// A marker of another program, with the four required fields only.
const FOUR: &str = r#"{"pid":77,"hostname":"box","started_at":"2026-01-02T03:04:05Z","schema_version":1}"#;

fn ours() -> LifecyclePayload {
    LifecyclePayload::new(
        &here(),
        process(77, 1_000),
        instant(),
        Nonce::from_random(0xc1a1),
        KeptBy::KernelLock,
    )
}

fn read(content: &str) -> Found<LifecyclePayload> {
    Found::read_lifecycle(Some(content.as_bytes()))
}

fn four() -> LifecyclePayload {
    match read(FOUR) {
        Found::Held(payload) => payload,
        other => panic!("the four fields are not enough: {other:?}"),
    }
}

fn decide(found: Found<LifecyclePayload>, standing: ProcessLiveness) -> ClaimDecision<LifecyclePayload> {
    decide_claim(ClaimPolicy::lifecycle(), KernelLock::Free, found, standing)
}

#[test]
fn the_json_of_a_marker_is_the_documented_one() {
    assert_eq!(serde_json::to_string_pretty(&ours()).unwrap(), OURS);
    assert_eq!(read(OURS), Found::Held(ours()));
}

/// A refusal names the holder of a lock in these words. The host name comes from a file, so it is shown escaped.
#[test]
fn a_holder_is_named_by_process_host_and_time() {
    assert_eq!(ours().to_string(), "process 77 on host box since 2026-01-02T03:04:05Z");
    let odd = LifecyclePayload { hostname: "b\u{1b}ox".into(), ..ours() };
    assert_eq!(odd.to_string(), r"process 77 on host b\u{1b}ox since 2026-01-02T03:04:05Z");
}

#[test]
fn the_four_fields_are_enough() {
    let payload = four();
    assert_eq!((payload.holder.pid, payload.hostname.as_str()), (pid(77), "box"));
    assert_eq!((payload.started_at, payload.schema_version), (StartedAt::Time(instant()), 1));
    assert_eq!((payload.holder.start_time, payload.nonce), (None, None));
    for field in ["pid", "hostname", "started_at", "schema_version"] {
        let without = FOUR.replacen(field, "x", 1);
        assert!(matches!(read(&without), Found::Corrupt { .. }), "without {field}");
    }
}

/// Without a start time only a missing process proves the holder's death: any process with the pid may be the holder.
#[test]
fn without_a_start_time_only_a_missing_process_is_death() {
    let standing = |status| four().standing(&here(), judge(&four().holder, &here(), status));
    let running = |ticks| PidStatus::Running { start_time: Some(StartTime::from_ticks(ticks)) };
    assert_eq!(standing(PidStatus::Absent), ProcessLiveness::Dead(DeathProof::NoSuchProcess));
    assert_eq!(standing(PidStatus::Zombie), ProcessLiveness::Dead(DeathProof::Zombie));
    for ticks in [1, u64::MAX] {
        let standing = standing(running(ticks));
        assert_eq!(standing, ProcessLiveness::Unjudged(UnknownReason::Unproven));
        let decision = decide(Found::Held(four()), standing);
        let why = ConflictReason::HolderAlive;
        assert_eq!(decision, ClaimDecision::Conflict { why, holder: Some(four()) });
    }
    assert_eq!(standing(PidStatus::NotPermitted), ProcessLiveness::Unjudged(UnknownReason::NotPermitted));
}

/// U2: a container restarts over the same volume. A holder with the flock is gone together with the flock; a holder
/// with only the marker stays unjudged.
#[test]
fn a_free_flock_proves_the_death_of_who_kept_it() {
    let elsewhere = ProcessLiveness::Unjudged(UnknownReason::OtherPidNamespace);
    let why = TakeOverReason::HolderDead(DeathProof::LockFree);
    let taken = ClaimDecision::TakeOver { why, previous: Some(ours()) };
    assert_eq!(decide(Found::Held(ours()), elsewhere), taken);
    let spoken_for = LifecyclePayload { keeps_flock: Some(false), ..ours() };
    let unsaid = LifecyclePayload { keeps_flock: None, ..ours() };
    for marker in [spoken_for, unsaid] {
        let why = ConflictReason::HolderUnjudged(UnknownReason::OtherPidNamespace);
        let conflict = ClaimDecision::Conflict { why, holder: Some(marker.clone()) };
        assert_eq!(decide(Found::Held(marker), elsewhere), conflict);
    }
}

/// A field of another program with a name of ours does not corrupt a live holder's marker.
#[test]
fn fields_that_mean_something_else_are_left_to_their_owner() {
    let theirs = FOUR.replacen('{', r#"{"start_time":"noon","nonce":7,"machine_id":null,"port":[80],"#, 1);
    let Found::Held(payload) = read(&theirs) else { panic!("it is whole") };
    assert_eq!((payload.holder.start_time, &payload.nonce), (None, &None));
    let again = serde_json::to_value(&payload).unwrap();
    assert_eq!((&again["start_time"], &again["port"][0]), (&"noon".into(), &80.into()));
}

#[test]
fn times_are_understood_as_others_write_them() {
    for time in [
        "2026-01-02T03:04:05+00:00",
        "2026-01-02T05:04:05+02:00",
        "2026-01-02T03:04:05",
        "2026-01-02 03:04:05",
    ] {
        let Found::Held(payload) = read(&FOUR.replace("2026-01-02T03:04:05Z", time)) else {
            panic!("{time}")
        };
        assert_eq!(payload.started_at, StartedAt::Time(instant()), "{time}");
    }
}

/// U15: a time decides nothing. An unreadable time is shown unchanged, and the writer keeps the lock while alive.
#[test]
fn a_time_that_cannot_be_read_is_shown_raw_and_takes_nothing_away() {
    let odd = [
        (r#""""#, ""),
        (r#""noon""#, "noon"),
        (r#""1767323045""#, "1767323045"),
        (r#""2026-13-02T03:04:05Z""#, "2026-13-02T03:04:05Z"),
        ("1767323045", "1767323045"),
        ("17.5", "17.5"),
        ("null", "null"),
        (r#"{"at":[1]}"#, r#"{"at":[1]}"#),
    ];
    for (written, shown) in odd {
        let content = FOUR.replace(r#""2026-01-02T03:04:05Z""#, written);
        let Found::Held(payload) = read(&content) else { panic!("{written} made it corrupt") };
        assert_eq!(payload.started_at.to_string(), shown);
        let again: Value = serde_json::to_value(&payload).unwrap();
        assert_eq!(again, serde_json::from_str::<Value>(&content).unwrap(), "nothing of it is changed");
        let decided = decide(Found::Held(payload), ProcessLiveness::Alive);
        assert!(
            matches!(decided, ClaimDecision::Conflict { why: ConflictReason::HolderAlive, .. }),
            "{written}"
        );
    }
}

/// The fields of the holder are read strictly.
#[test]
fn a_holder_that_cannot_be_read_is_no_holder() {
    for (field, odd) in
        [("\"box\"", "7"), ("\"box\"", "null"), (":1}", ":\"1\"}"), (":1}", ":-1}"), (":1}", ":null}")]
    {
        let found = read(&FOUR.replace(field, odd));
        assert!(matches!(found, Found::Corrupt { .. }), "{odd}: {found:?}");
    }
}

#[test]
fn a_pid_that_no_process_has_is_no_marker() {
    for pid in ["0", "-1", "1.5", "\"77\"", "null", "99999999999"] {
        let found = read(&FOUR.replace("77", pid));
        assert!(matches!(found, Found::Corrupt { .. }), "{pid}: {found:?}");
    }
}

/// A marker with a newer schema is judged like ours: by its holder.
#[test]
fn a_newer_marker_is_its_holders_while_it_lives() {
    let newer = || read(&OURS.replace(r#""schema_version": 1"#, r#""schema_version": 9"#));
    let alive = decide(newer(), ProcessLiveness::Alive);
    assert!(
        matches!(alive, ClaimDecision::Conflict { why: ConflictReason::HolderAlive, holder: Some(it) } if it.schema_version == 9)
    );
    let dead = decide(newer(), ProcessLiveness::Dead(DeathProof::NoSuchProcess));
    assert!(matches!(dead, ClaimDecision::TakeOver { why: TakeOverReason::HolderDead(_), .. }));
}

/// T29, L10: a file copied or synchronised from another machine.
#[test]
fn another_machine_is_told_by_its_id_or_else_by_its_name() {
    let elsewhere = ProcessLiveness::Unjudged(UnknownReason::OtherMachine);
    let renamed = OURS.replace("\"box\"", "\"renamed\"");
    let Found::Held(renamed) = read(&renamed) else { panic!("it is whole") };
    assert_eq!(
        renamed.standing(&here(), ProcessLiveness::Alive),
        ProcessLiveness::Alive,
        "the boot is this one"
    );
    let Found::Held(named) = read(&FOUR.replace("box", "other")) else { panic!("it is whole") };
    assert_eq!(named.standing(&here(), ProcessLiveness::Alive), elsewhere);
    let decided = decide(Found::Held(named), elsewhere);
    assert!(
        matches!(decided, ClaimDecision::TakeOver { why: TakeOverReason::OtherMachine, previous: Some(it) } if it.hostname == "other")
    );
}

/// T05, T12, L3: a marker cut off at any byte is taken over and set aside; an empty marker counts as absent.
#[test]
fn a_marker_cut_off_at_any_byte_is_corrupt() {
    for whole in [OURS, FOUR] {
        assert_eq!(read(&whole[..0]), Found::Empty);
        assert_eq!(decide(Found::Empty, ProcessLiveness::Alive), ClaimDecision::Fresh);
        for cut in 1..whole.len() {
            let found = read(&whole[..cut]);
            assert!(matches!(found, Found::Corrupt { .. }), "cut off after {cut} bytes: {found:?}");
            let taken = ClaimDecision::TakeOver { why: TakeOverReason::Corrupt, previous: None };
            assert_eq!(decide(found, ProcessLiveness::Alive), taken);
        }
    }
}

fn is_read_or_corrupt(content: &[u8]) -> Result<(), TestCaseError> {
    let found = Found::read_lifecycle(Some(content));
    prop_assert_eq!(found == Found::Empty, content.is_empty());
    let fresh = decide(found, ProcessLiveness::Alive) == ClaimDecision::Fresh;
    prop_assert_eq!(fresh, content.is_empty(), "only an empty file is taken without keeping its bytes");
    Ok(())
}

/// L4.
#[test]
fn arbitrary_bytes_are_read_without_a_panic() {
    let content = prop::collection::vec(any::<u8>(), 0..200);
    property!("lifecycle", arbitrary_bytes_are_read_without_a_panic)
        .check(&content, |content| is_read_or_corrupt(&content));
}

/// L4: the same for markers with a few bytes changed, dropped or added.
#[test]
fn damaged_markers_are_read_without_a_panic() {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..6);
    property!("lifecycle", damaged_markers_are_read_without_a_panic).check(&edits, |edits| {
        let mut content = OURS.as_bytes().to_vec();
        for (at, byte, how) in edits {
            let at = at.index(content.len());
            match how {
                0 => content[at] ^= byte,
                1 => content.insert(at, byte),
                _ => drop(content.remove(at)),
            }
        }
        is_read_or_corrupt(&content)
    });
}

/// The state of a lock, for every marker, every liveness and both states of the flock.
#[test]
fn a_lock_has_the_state_of_its_marker_and_its_flock() {
    use LifecycleState::*;
    let alive = ProcessLiveness::Alive;
    let dead = ProcessLiveness::Dead(DeathProof::NoSuchProcess);
    let unjudged = ProcessLiveness::Unjudged;
    let marker = |kept_by| {
        let at = "2026-01-02T03:04:05Z".parse().unwrap();
        let nonce = "0123456789abcdef0123456789abcdef".parse().unwrap();
        Found::Held(LifecyclePayload::new(&here(), process(42, 7), at, nonce, kept_by))
    };
    let [flock, evidence] = [KeptBy::KernelLock, KeptBy::Evidence].map(marker);
    let corrupt = || Found::Corrupt { why: "it has no pid".into() };
    let other = || Found::OtherSession { named: "s".parse().unwrap() };
    let table = [
        (Found::Nothing, dead, Free, "there is no marker"),
        (Found::Empty, dead, Free, "the marker is empty"),
        (corrupt(), dead, Corrupt, "the marker cannot be read: it has no pid"),
        (other(), dead, Corrupt, "the marker is about a session"),
        (evidence.clone(), alive, Held, "its holder runs"),
        (evidence.clone(), dead, Stale, "its holder is gone: "),
        (evidence.clone(), unjudged(UnknownReason::Unproven), Held, "a process with its holder's pid runs"),
        (
            evidence.clone(),
            unjudged(UnknownReason::OtherMachine),
            OtherMachine,
            "it belongs to another machine",
        ),
        (
            evidence.clone(),
            unjudged(UnknownReason::OtherPidNamespace),
            Unjudged,
            "it belongs to another pid namespace",
        ),
        (
            evidence.clone(),
            unjudged(UnknownReason::UnknownBoot),
            Unjudged,
            "it belongs to another pid namespace, ",
        ),
        (
            evidence,
            unjudged(UnknownReason::NotPermitted),
            Unjudged,
            "the system does not let us ask about it",
        ),
        (flock.clone(), unjudged(UnknownReason::OtherPidNamespace), Stale, "its holder is gone: "),
        (
            flock.clone(),
            unjudged(UnknownReason::UnknownBoot),
            Unjudged,
            "it belongs to another pid namespace, ",
        ),
        (flock, alive, Held, "its holder runs"),
    ];
    for (found, liveness, expected, reason) in table {
        let (state, why) = state_of(&found, liveness, KernelLock::Free);
        assert_eq!(state, expected, "{found:?}, {liveness:?}");
        assert!(why.starts_with(reason), "{why}");
        let held = state_of(&found, liveness, KernelLock::Held);
        assert_eq!(held, (Held, "its flock is held".to_owned()));
    }
}
