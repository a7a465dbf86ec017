//! When a last worker is provably gone: every value of the evidence, and what the design says of it (3.2).

use rekindle_core::identity::{DeathProof, Doubt, Standing};
use rekindle_core::record::RecordState;
use rekindle_core::{Evidence, LastWorker, Lifeline, last_worker};
use std::collections::BTreeMap;

const STATES: [Option<RecordState>; 5] = [
    None,
    Some(RecordState::Starting),
    Some(RecordState::Ready),
    Some(RecordState::Exited),
    Some(RecordState::Retained),
];
const LIFELINES: [Lifeline; 4] = [Lifeline::Free, Lifeline::Held, Lifeline::Missing, Lifeline::Unreadable];
const DEAD: Option<Standing> = Some(Standing::Dead(DeathProof::NoSuchProcess));
const OF_ANOTHER_BOOT: Option<Standing> = Some(Standing::Dead(DeathProof::OtherBoot));
const ALIVE: Option<Standing> = Some(Standing::Alive);
const UNJUDGED: Option<Standing> = Some(Standing::Unjudged(Doubt::NotPermitted));
const STANDINGS: [Option<Standing>; 9] = [
    None,
    ALIVE,
    DEAD,
    Some(Standing::Dead(DeathProof::Zombie)),
    Some(Standing::Dead(DeathProof::OtherStartTime)),
    OF_ANOTHER_BOOT,
    UNJUDGED,
    Some(Standing::Unjudged(Doubt::OtherPidNamespace)),
    Some(Standing::Unjudged(Doubt::OtherMachine)),
];

fn every_evidence() -> Vec<Evidence> {
    let mut all = vec![];
    for recorded in STATES {
        for start_observed in [false, true] {
            for lifeline in LIFELINES {
                for leader in STANDINGS {
                    let with = |peer| Evidence { recorded, start_observed, lifeline, leader, peer };
                    all.extend(STANDINGS.map(with));
                }
            }
        }
    }
    all
}

fn known(evidence: &Evidence) -> impl Iterator<Item = Standing> {
    [evidence.leader, evidence.peer].into_iter().flatten()
}

/// Invariant 1 of the module, and promise 6: unknown is never dead (T10, L17, T28).
#[test]
fn every_value_has_the_verdict_that_its_facts_allow() {
    let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
    for evidence in every_evidence() {
        let verdict = last_worker(&evidence);
        *verdicts.entry(format!("{verdict:?}")).or_default() += 1;
        let alive = known(&evidence).any(Standing::is_alive);
        let all_dead = known(&evidence).all(Standing::is_dead);
        let both_dead = known(&evidence).count() == 2 && all_dead;
        let leftovers = evidence.start_observed && both_dead;
        let lost_in_a_reboot = evidence.leader == OF_ANOTHER_BOOT
            && known(&evidence).all(|standing| Some(standing) == OF_ANOTHER_BOOT);
        let may_be_gone = match evidence.lifeline {
            Lifeline::Free => all_dead,
            Lifeline::Held | Lifeline::Unreadable => leftovers,
            Lifeline::Missing => leftovers || lost_in_a_reboot || (evidence.recorded.is_none() && all_dead),
        };
        let provably_alive = alive || (evidence.lifeline == Lifeline::Held && all_dead);
        let expected = match (may_be_gone, provably_alive, evidence.recorded) {
            (true, _, _) => LastWorker::Gone,
            (false, true, Some(RecordState::Ready)) => LastWorker::AliveReady,
            (false, true, _) => LastWorker::AliveUnobserved,
            (false, false, _) => LastWorker::Unknown,
        };
        assert_eq!(verdict, expected, "{evidence:?}");
    }
    println!("{} values: {verdicts:?}", verdicts.values().sum::<usize>());
}

/// The sharpest of it once more, without a second table: what is alive or unjudged is never gone.
#[test]
fn nobody_who_lives_or_cannot_be_judged_is_gone() {
    for evidence in every_evidence() {
        let gone = last_worker(&evidence) == LastWorker::Gone;
        assert!(!gone || known(&evidence).all(Standing::is_dead), "{evidence:?}");
    }
}

/// What the record says cannot turn a life into an absence, except by saying that nothing was ever recorded.
#[test]
fn a_record_that_says_exited_proves_nothing() {
    for evidence in every_evidence() {
        let said = Evidence { recorded: Some(RecordState::Exited), ..evidence };
        let unsaid = Evidence { recorded: Some(RecordState::Starting), ..evidence };
        assert_eq!(last_worker(&said), last_worker(&unsaid), "{evidence:?}");
    }
}

/// The cells that have a story.
#[test]
fn the_stories_of_the_design() {
    use LastWorker::{AliveReady, AliveUnobserved, Gone, Unknown};
    use Lifeline::{Free, Held, Missing, Unreadable};
    let starting = Evidence { recorded: Some(RecordState::Starting), ..Evidence::NONE };
    let ready = Evidence { recorded: Some(RecordState::Ready), start_observed: true, ..Evidence::NONE };
    let exited = Evidence { recorded: Some(RecordState::Exited), ..ready };
    let retained = Evidence { recorded: Some(RecordState::Retained), ..starting };
    let with = |evidence: Evidence, lifeline, leader, peer| Evidence { lifeline, leader, peer, ..evidence };
    let stories = [
        ("never started", Evidence::NONE, Gone),
        ("launcher killed before the fork", with(starting, Free, None, None), Gone),
        ("launcher killed after the fork (T02)", with(starting, Held, None, None), AliveUnobserved),
        ("the same, its identity written", with(starting, Held, ALIVE, None), AliveUnobserved),
        ("it died before it was ready", with(starting, Free, DEAD, None), Gone),
        ("killed in vain (T04)", with(retained, Held, ALIVE, None), AliveUnobserved),
        ("retained, and gone since", with(retained, Free, DEAD, None), Gone),
        ("serving, its socket deleted (T26)", with(ready, Held, ALIVE, ALIVE), AliveReady),
        ("serving, and its leader is a stub that left (T19)", with(ready, Held, DEAD, ALIVE), AliveReady),
        ("ended in order", with(exited, Free, DEAD, DEAD), Gone),
        ("the record lies (it lives)", with(exited, Held, ALIVE, ALIVE), AliveUnobserved),
        ("only a grandchild holds the lifeline (T17)", with(ready, Held, DEAD, DEAD), Gone),
        ("the same, who answered is unknown", with(ready, Held, DEAD, None), AliveReady),
        ("the same, never ready", with(starting, Held, DEAD, DEAD), AliveUnobserved),
        ("its pid was reused, the lifeline held (T07)", with(starting, Held, DEAD, None), AliveUnobserved),
        ("the lifeline was removed (T27)", with(ready, Missing, DEAD, None), Unknown),
        ("the same before a reboot", with(ready, Missing, OF_ANOTHER_BOOT, None), Gone),
        ("the lifeline cannot be asked (T30)", with(ready, Unreadable, DEAD, None), Unknown),
        ("EPERM on everything (L17)", with(ready, Free, UNJUDGED, UNJUDGED), Unknown),
        ("EPERM on its peer alone", with(ready, Free, DEAD, UNJUDGED), Unknown),
        ("held, by whom cannot be judged (T28)", with(ready, Held, UNJUDGED, None), Unknown),
    ];
    for (story, evidence, verdict) in stories {
        assert_eq!(last_worker(&evidence), verdict, "{story}");
    }
}

/// T19: a daemon that forks after it began to listen leaves a dead listener behind, and is alive all the same.
#[test]
fn a_listener_that_handed_its_socket_on_is_no_death() {
    use rekindle_core::evidence::{Listener, standing_of_peer};
    let dead = Standing::Dead(DeathProof::NoSuchProcess);
    assert_eq!(standing_of_peer(Some(dead), Listener::Present), None);
    assert_eq!(standing_of_peer(Some(dead), Listener::Absent), Some(dead));
    assert_eq!(standing_of_peer(Some(Standing::Alive), Listener::Present), Some(Standing::Alive));
    let daemon = Evidence {
        recorded: Some(RecordState::Ready),
        start_observed: true,
        lifeline: Lifeline::Held,
        leader: Some(dead),
        peer: standing_of_peer(Some(dead), Listener::Present),
    };
    assert_eq!(last_worker(&daemon), LastWorker::AliveReady);
}
