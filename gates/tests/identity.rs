//! Which process is dead, alive or unjudged (T07, T10, T28, T29).

use rekindle_core::identity::{
    BootId, DeathProof, NamespaceId, PidStatus, ProcessLiveness, StartTime, UnknownReason, is_foreign, judge,
};
use rekindle_core::{Host, ProcessIdentity};
use rekindle_gates::builders::{here, process};

const STARTED: u64 = 1_000;

fn running(ticks: u64) -> PidStatus {
    PidStatus::Running { start_time: Some(StartTime::from_ticks(ticks)) }
}

const UNREADABLE: PidStatus = PidStatus::Running { start_time: None };

/// Three relations between a recorded fact and the same fact here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fact {
    Same,
    Other,
    NotWritten,
}

impl Fact {
    const ALL: [Self; 3] = [Self::Same, Self::Other, Self::NotWritten];

    fn of<T>(self, same: Option<T>, other: T) -> Option<T> {
        match self {
            Self::Same => same,
            Self::Other => Some(other),
            Self::NotWritten => None,
        }
    }
}

fn written(boot: Fact, pid_namespace: Fact, time_namespace: Fact, start: Fact) -> ProcessIdentity {
    let Host { boot_id, pid_namespace: pid_here, time_namespace: time_here, .. } = here();
    ProcessIdentity {
        boot_id: boot.of(boot_id, BootId::new("before")),
        pid_namespace: pid_namespace.of(pid_here, NamespaceId::from_inode(1)),
        time_namespace: time_namespace.of(time_here, NamespaceId::from_inode(2)),
        start_time: start.of(Some(StartTime::from_ticks(STARTED)), StartTime::from_ticks(7)),
        ..process(42, STARTED)
    }
}

const SIGHTINGS: [PidStatus; 5] = [
    PidStatus::Absent,
    PidStatus::Zombie,
    PidStatus::Running { start_time: Some(StartTime::from_ticks(STARTED)) },
    UNREADABLE,
    PidStatus::NotPermitted,
];

/// Every combination of recorded and observed facts, against the requirements of each proof.
#[test]
fn every_death_has_its_proof_and_nothing_else_is_death() {
    let mut judged = 0;
    for (boot, pid_ns) in pairs() {
        for (time_ns, start) in pairs() {
            for status in SIGHTINGS {
                let standing = judge(&written(boot, pid_ns, time_ns, start), &here(), status);
                let told = (boot, pid_ns, time_ns, start, status);
                let elsewhere = boot == Fact::Same && pid_ns == Fact::Other;
                let nowhere = boot == Fact::NotWritten && pid_ns == Fact::Other;
                let here_now = boot != Fact::Other && pid_ns != Fact::Other;
                let seen = matches!(status, PidStatus::Running { .. });
                let reused = status == running(STARTED) && time_ns == Fact::Same && start == Fact::Other;
                let proven = status == running(STARTED)
                    && [boot, pid_ns, time_ns, start].iter().all(|fact| *fact == Fact::Same);
                let expected = [
                    (boot == Fact::Other, ProcessLiveness::Dead(DeathProof::OtherBoot)),
                    (elsewhere, ProcessLiveness::Unjudged(UnknownReason::OtherPidNamespace)),
                    (nowhere, ProcessLiveness::Unjudged(UnknownReason::UnknownBoot)),
                    (
                        here_now && status == PidStatus::Absent,
                        ProcessLiveness::Dead(DeathProof::NoSuchProcess),
                    ),
                    (here_now && status == PidStatus::Zombie, ProcessLiveness::Dead(DeathProof::Zombie)),
                    (here_now && reused, ProcessLiveness::Dead(DeathProof::OtherStartTime)),
                    (proven, ProcessLiveness::Alive),
                    (
                        here_now && seen && !reused && !proven,
                        ProcessLiveness::Unjudged(UnknownReason::Unproven),
                    ),
                    (
                        here_now && status == PidStatus::NotPermitted,
                        ProcessLiveness::Unjudged(UnknownReason::NotPermitted),
                    ),
                ];
                let mut holding = expected.iter().filter(|(holds, _)| *holds);
                assert_eq!(holding.next().map(|(_, standing)| *standing), Some(standing), "{told:?}");
                assert_eq!(holding.next(), None, "{told:?} has two meanings");
                judged += 1;
            }
        }
    }
    println!("{judged} combinations judged");
}

fn pairs() -> impl Iterator<Item = (Fact, Fact)> {
    Fact::ALL.into_iter().flat_map(|one| Fact::ALL.into_iter().map(move |other| (one, other)))
}

/// T07, L5: if the pid belongs to a process that started later, the recorded process is dead.
#[test]
fn a_reused_pid_is_another_process() {
    let standing = judge(&process(42, STARTED), &here(), running(STARTED + 1));
    assert_eq!(standing, ProcessLiveness::Dead(DeathProof::OtherStartTime));
}

/// L6: start times of two time namespaces are two clocks.
#[test]
fn start_times_of_two_time_namespaces_are_not_compared() {
    let shifted = Host { time_namespace: Some(NamespaceId::from_inode(9)), ..here() };
    let unproven = ProcessLiveness::Unjudged(UnknownReason::Unproven);
    // Even with an equal number: the number comes from another clock.
    for start in [STARTED, STARTED + 100_000_000] {
        assert_eq!(judge(&process(42, STARTED), &shifted, running(start)), unproven);
    }
    let blind = Host { time_namespace: None, ..here() };
    assert_eq!(judge(&process(42, STARTED), &blind, running(STARTED + 1)), unproven);
}

/// A kernel without time namespaces has one clock.
#[test]
fn a_kernel_without_time_namespaces_has_one_clock() {
    let old = Host { time_namespace: None, ..here() };
    let worker = old.identify(process(42, STARTED).pid, Some(StartTime::from_ticks(STARTED)));
    let standing = judge(&worker, &old, running(STARTED + 1));
    assert_eq!(standing, ProcessLiveness::Dead(DeathProof::OtherStartTime));
}

/// L17, T10: a permission error is no death, and no life either.
#[test]
fn eperm_is_never_death() {
    let standing = judge(&process(42, STARTED), &here(), PidStatus::NotPermitted);
    assert_eq!(standing, ProcessLiveness::Unjudged(UnknownReason::NotPermitted));
    assert!(!standing.is_dead() && !standing.is_alive());
}

/// L8, T28: ESRCH for a pid of another pid namespace says nothing.
#[test]
fn a_pid_of_another_namespace_is_not_looked_up_in_ours() {
    let inner = Host { pid_namespace: Some(NamespaceId::from_inode(9)), ..here() };
    for status in SIGHTINGS {
        let standing = judge(&process(42, STARTED), &inner, status);
        assert_eq!(standing, ProcessLiveness::Unjudged(UnknownReason::OtherPidNamespace), "{status:?}");
    }
}

/// T28: if our own namespace cannot be read, no pid can be looked up, and a missing pid is no death.
#[test]
fn a_pid_is_not_looked_up_where_our_own_namespace_is_unknown() {
    let blind = Host { pid_namespace: None, ..here() };
    for status in SIGHTINGS {
        let standing = judge(&process(42, STARTED), &blind, status);
        assert_eq!(standing, ProcessLiveness::Unjudged(UnknownReason::NotPermitted), "{status:?}");
    }
    let unbooted = Host { boot_id: None, ..here() };
    let standing = judge(&process(42, STARTED), &unbooted, running(STARTED));
    assert_eq!(standing, ProcessLiveness::Unjudged(UnknownReason::Unproven));
}

/// A process of an earlier boot is gone, even if another process has the same pid today.
#[test]
fn no_process_outlives_its_boot() {
    let rebooted = Host { boot_id: Some(BootId::new("next")), ..here() };
    for status in SIGHTINGS {
        let standing = judge(&process(42, STARTED), &rebooted, status);
        assert_eq!(standing, ProcessLiveness::Dead(DeathProof::OtherBoot), "{status:?}");
    }
}

/// L9, L10, T29: a host may be renamed, so a machine is recognised by values that do not change.
#[test]
fn a_machine_is_known_by_boot_then_machine_id_then_hostname() {
    let boot = |text: &str| Some(BootId::new(text));
    let foreign = |hostname: &str, machine_id: Option<&str>, boot_id: Option<BootId>| {
        is_foreign(&here(), hostname, machine_id, boot_id.as_ref())
    };
    let cases = [
        ("all the same", foreign("box", Some("3f2c"), boot("b00t")), false),
        ("renamed", foreign("new-name", Some("3f2c"), boot("b00t")), false),
        ("renamed and rebooted", foreign("new-name", Some("3f2c"), boot("before")), false),
        ("the same boot seen from a container", foreign("c0ffee", Some("0ther"), boot("b00t")), false),
        ("another machine", foreign("elsewhere", Some("0ther"), boot("before")), true),
        ("another machine with our hostname", foreign("box", Some("0ther"), boot("before")), true),
        ("nothing but our hostname", foreign("box", None, None), false),
        ("nothing but another hostname", foreign("elsewhere", None, None), true),
        ("another hostname of an earlier boot", foreign("elsewhere", None, boot("before")), true),
    ];
    for (case, found, expected) in cases {
        assert_eq!(found, expected, "{case}");
    }
    let bare = Host { machine_id: None, boot_id: None, ..here() };
    assert!(is_foreign(&bare, "elsewhere", Some("3f2c"), None), "our machine has no id to compare");
    assert!(
        !is_foreign(&bare, "box", Some("3f2c"), None),
        "the hostname decides where nothing better is known"
    );
}

/// Unknown fields are not written, and missing fields stay unknown.
#[test]
fn an_identity_is_written_flat_and_read_back() {
    let full = process(42, STARTED);
    let json = r#"{"pid":42,"start_time":1000,"boot_id":"b00t","pid_namespace":4026531836,"time_namespace":4026531834}"#;
    assert_eq!(serde_json::to_string(&full).unwrap(), json);
    assert_eq!(serde_json::from_str::<ProcessIdentity>(json).unwrap(), full);
    let bare = written(Fact::NotWritten, Fact::NotWritten, Fact::NotWritten, Fact::NotWritten);
    assert_eq!(serde_json::to_string(&bare).unwrap(), r#"{"pid":42}"#);
    assert_eq!(serde_json::from_str::<ProcessIdentity>(r#"{"pid":42}"#).unwrap(), bare);
    assert!(serde_json::from_str::<ProcessIdentity>(r#"{"pid":0}"#).is_err());
}

#[test]
fn a_fact_is_given_back_as_it_was_read() {
    assert_eq!([0, 1, STARTED].map(|ticks| StartTime::from_ticks(ticks).ticks()), [0, 1, STARTED]);
    assert_eq!([0, 1, 7].map(|inode| NamespaceId::from_inode(inode).inode()), [0, 1, 7]);
    assert_eq!(BootId::new("b00t").as_str(), "b00t");
}

/// A lifecycle lock needs the answer before it says that the holder runs: an unjudged holder is left alone.
#[test]
fn a_pid_is_taken_by_the_same_process_or_by_one_that_is_not_told_apart() {
    let elsewhere = [
        UnknownReason::OtherPidNamespace,
        UnknownReason::UnknownBoot,
        UnknownReason::OtherMachine,
        UnknownReason::NotPermitted,
    ];
    let dead = [
        DeathProof::NoSuchProcess,
        DeathProof::Zombie,
        DeathProof::OtherStartTime,
        DeathProof::OtherBoot,
        DeathProof::LockFree,
    ];
    assert!(
        ProcessLiveness::Alive.pid_is_taken()
            && ProcessLiveness::Unjudged(UnknownReason::Unproven).pid_is_taken()
    );
    assert!(!elsewhere.into_iter().any(|doubt| ProcessLiveness::Unjudged(doubt).pid_is_taken()));
    assert!(!dead.into_iter().any(|proof| ProcessLiveness::Dead(proof).pid_is_taken()));
}

#[test]
fn every_proof_and_doubt_has_its_own_words() {
    let proofs = [
        DeathProof::NoSuchProcess,
        DeathProof::Zombie,
        DeathProof::OtherStartTime,
        DeathProof::OtherBoot,
        DeathProof::LockFree,
    ];
    let doubts = [
        UnknownReason::OtherPidNamespace,
        UnknownReason::UnknownBoot,
        UnknownReason::Unproven,
        UnknownReason::OtherMachine,
        UnknownReason::NotPermitted,
    ];
    let mut words: Vec<&str> = proofs.map(DeathProof::describe).into_iter().collect();
    words.extend(doubts.map(UnknownReason::describe));
    let said = words.len();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), said);
}

/// The text for people: each proof and each doubt has different words.
#[test]
fn every_proof_and_every_doubt_has_its_own_words() {
    use DeathProof as P;
    use UnknownReason as D;
    let proofs = [P::NoSuchProcess, P::Zombie, P::OtherStartTime, P::OtherBoot, P::LockFree].map(P::describe);
    let doubts = [D::OtherPidNamespace, D::UnknownBoot, D::Unproven, D::OtherMachine, D::NotPermitted]
        .map(D::describe);
    let mut words = [proofs, doubts].concat();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), 10);
    assert!(words.iter().all(|words| words.contains(' ')), "{words:?}");
}
