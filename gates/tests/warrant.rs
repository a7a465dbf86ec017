//! Who may be signalled: every value of the observed facts, and never an unjudged process (U1, U30).

use rekindle_core::PidStatus;
use rekindle_core::identity::{DeathProof, Host, NamespaceId, ProcessLiveness, StartTime, UnknownReason};
use rekindle_core::warrant::{
    FoundLifeline, Ground, LeaderName, LifelineSighting, MemberSighting, Sameness, Warrant,
};
use rekindle_gates::builders::{here, process};

const STARTED: u64 = 1_000;
const SAMENESS: [Sameness; 3] = [Sameness::Same, Sameness::Other, Sameness::Unknown];

fn running() -> PidStatus {
    PidStatus::Running { start_time: Some(StartTime::from_ticks(STARTED)) }
}

/// An unknown value equals nothing, not even another unknown value.
#[test]
fn only_what_is_known_on_both_sides_is_compared() {
    assert_eq!(Sameness::of(Some(1), Some(1)), Sameness::Same);
    assert_eq!(Sameness::of(Some(1), Some(2)), Sameness::Other);
    for (one, other) in [(Some(1), None), (None, Some(1)), (None, None)] {
        assert_eq!(Sameness::of(one, other), Sameness::Unknown, "{one:?} and {other:?}");
    }
}

/// A whole identity, and the same identity with each field removed or changed in turn: only the whole is a proof.
#[test]
fn only_a_process_that_is_proved_in_every_field_may_be_signalled() {
    let whole = process(42, STARTED);
    let warrant = Warrant::by_identity(&whole, &here(), running()).expect("all of it is the same");
    assert_eq!((warrant.pid(), warrant.ground()), (whole.pid, Ground::Identity));
    let unproven = ProcessLiveness::Unjudged(UnknownReason::Unproven);
    let elsewhere = ProcessLiveness::Unjudged(UnknownReason::OtherPidNamespace);
    let written = [
        (
            "without a start time",
            rekindle_core::ProcessIdentity { start_time: None, ..whole.clone() },
            unproven,
        ),
        ("without a boot", rekindle_core::ProcessIdentity { boot_id: None, ..whole.clone() }, unproven),
        (
            "without a pid namespace",
            rekindle_core::ProcessIdentity { pid_namespace: None, ..whole.clone() },
            unproven,
        ),
        (
            "without a time namespace",
            rekindle_core::ProcessIdentity { time_namespace: None, ..whole.clone() },
            unproven,
        ),
        (
            "of another time namespace",
            rekindle_core::ProcessIdentity {
                time_namespace: Some(NamespaceId::from_inode(9)),
                ..whole.clone()
            },
            unproven,
        ),
        (
            "of another pid namespace",
            rekindle_core::ProcessIdentity {
                pid_namespace: Some(NamespaceId::from_inode(9)),
                ..whole.clone()
            },
            elsewhere,
        ),
        (
            "started at another time",
            process(42, STARTED + 1),
            ProcessLiveness::Dead(DeathProof::OtherStartTime),
        ),
    ];
    for (case, process, standing) in written {
        assert_eq!(Warrant::by_identity(&process, &here(), running()), Err(standing), "{case}");
    }
    let elsewhere = Host { pid_namespace: Some(NamespaceId::from_inode(9)), ..here() };
    assert!(Warrant::by_identity(&whole, &elsewhere, running()).is_err());
    for status in [
        PidStatus::Absent,
        PidStatus::Zombie,
        PidStatus::NotPermitted,
        PidStatus::Running { start_time: None },
    ] {
        assert!(Warrant::by_identity(&whole, &here(), status).is_err(), "{status:?}");
    }
}

/// A member holds the lifeline or the listening socket, or belongs to the process session of a proven leader.
#[test]
fn only_a_member_may_be_signalled() {
    let pid = process(7, STARTED).pid;
    let mut warrants = 0;
    for lifeline in SAMENESS {
        for session in SAMENESS {
            for leader in [LeaderName::Sure, LeaderName::Doubtful] {
                for listener in SAMENESS {
                    let seen = MemberSighting { lifeline, session, leader, listener };
                    let in_session = session == Sameness::Same && leader == LeaderName::Sure;
                    let is_member = lifeline == Sameness::Same || listener == Sameness::Same || in_session;
                    let warrant = Warrant::by_membership(pid, seen);
                    assert_eq!(warrant.is_some(), is_member, "{seen:?}");
                    assert!(warrant.is_none_or(|it| it.pid() == pid && it.ground() != Ground::Identity));
                    warrants += usize::from(is_member);
                }
            }
        }
    }
    assert_eq!(warrants, 34);
}

/// U30: a lifeline without its name counts by owner, device and namespaces; another user's file never counts.
#[test]
fn a_lifeline_that_was_found_counts_only_by_what_nobody_can_forge() {
    for owner in SAMENESS {
        for device in SAMENESS {
            for mark in SAMENESS {
                for root in SAMENESS {
                    for mount_namespace in SAMENESS {
                        for pid_namespace in SAMENESS {
                            let seen = LifelineSighting {
                                owner,
                                device,
                                mark,
                                root,
                                mount_namespace,
                                pid_namespace,
                            };
                            let judged = seen.judge();
                            let all = [owner, device, mark, mount_namespace, pid_namespace];
                            let is_ours = all.iter().all(|fact| *fact == Sameness::Same);
                            assert_eq!(judged == FoundLifeline::Ours, is_ours, "{seen:?}");
                            let strangers = owner == Sameness::Other || device == Sameness::Other;
                            assert!(!strangers || judged == FoundLifeline::Others, "{seen:?}");
                        }
                    }
                }
            }
        }
    }
}

/// One volume in two containers: the other container's worker is unjudged, and an equal path on another volume belongs
/// to another session.
#[test]
fn the_same_root_in_another_namespace_is_a_doubt_and_another_root_is_not() {
    let elsewhere = LifelineSighting {
        owner: Sameness::Same,
        device: Sameness::Same,
        mark: Sameness::Same,
        root: Sameness::Same,
        mount_namespace: Sameness::Other,
        pid_namespace: Sameness::Other,
    };
    assert_eq!(elsewhere.judge(), FoundLifeline::Doubtful);
    let another = LifelineSighting { root: Sameness::Other, ..elsewhere };
    assert_eq!(another.judge(), FoundLifeline::Others);
}
