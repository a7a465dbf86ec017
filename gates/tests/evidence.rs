//! When a last worker is provably gone: every value of the evidence, and the rule of the design (3.2).

use rekindle_core::evidence::{EndpointHolder, LifelineHistory};
use rekindle_core::identity::{DeathProof, ProcessLiveness, UnknownReason};
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
const HISTORIES: [LifelineHistory; 2] = [LifelineHistory::WasHeld, LifelineHistory::NotKnown];
const ENDPOINTS: [EndpointHolder; 3] =
    [EndpointHolder::Ours, EndpointHolder::Vacant, EndpointHolder::Unclear];
const DEAD: Option<ProcessLiveness> = Some(ProcessLiveness::Dead(DeathProof::NoSuchProcess));
const OF_ANOTHER_BOOT: Option<ProcessLiveness> = Some(ProcessLiveness::Dead(DeathProof::OtherBoot));
const ALIVE: Option<ProcessLiveness> = Some(ProcessLiveness::Alive);
const UNJUDGED: Option<ProcessLiveness> = Some(ProcessLiveness::Unjudged(UnknownReason::NotPermitted));
const ELSEWHERE: Option<ProcessLiveness> = Some(ProcessLiveness::Unjudged(UnknownReason::OtherPidNamespace));
const STANDINGS: [Option<ProcessLiveness>; 11] = [
    None,
    ALIVE,
    DEAD,
    Some(ProcessLiveness::Dead(DeathProof::Zombie)),
    Some(ProcessLiveness::Dead(DeathProof::OtherStartTime)),
    OF_ANOTHER_BOOT,
    UNJUDGED,
    ELSEWHERE,
    Some(ProcessLiveness::Unjudged(UnknownReason::UnknownBoot)),
    Some(ProcessLiveness::Unjudged(UnknownReason::Unproven)),
    Some(ProcessLiveness::Unjudged(UnknownReason::OtherMachine)),
];

fn every_evidence() -> Vec<Evidence> {
    let mut all = vec![Evidence::NONE];
    all = spread(all, STATES, |evidence, recorded| Evidence { recorded, ..evidence });
    all = spread(all, [false, true], |evidence, start_observed| Evidence { start_observed, ..evidence });
    all = spread(all, LIFELINES, |evidence, lifeline| Evidence { lifeline, ..evidence });
    all = spread(all, HISTORIES, |evidence, history| Evidence { history, ..evidence });
    all = spread(all, STANDINGS, |evidence, leader| Evidence { leader, ..evidence });
    all = spread(all, STANDINGS, |evidence, peer| Evidence { peer, ..evidence });
    spread(all, ENDPOINTS, |evidence, endpoint| Evidence { endpoint, ..evidence })
}

/// Every combination of values of the evidence.
fn spread<T: Copy, const N: usize>(
    all: Vec<Evidence>,
    values: [T; N],
    with: impl Fn(Evidence, T) -> Evidence,
) -> Vec<Evidence> {
    all.into_iter().flat_map(|evidence| values.map(|value| with(evidence, value))).collect()
}

fn known(evidence: &Evidence) -> impl Iterator<Item = ProcessLiveness> {
    [evidence.leader, evidence.peer].into_iter().flatten()
}

/// Invariant 1 of the module, and promise 6: unknown is never dead (T10, L17, T28).
#[test]
fn every_value_has_the_verdict_that_its_facts_allow() {
    let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
    for evidence in every_evidence() {
        let verdict = last_worker(&evidence);
        *verdicts.entry(format!("{verdict:?}")).or_default() += 1;
        let alive = known(&evidence).any(ProcessLiveness::is_alive);
        let all_dead = known(&evidence).all(ProcessLiveness::is_dead);
        let both_dead = known(&evidence).count() == 2 && all_dead;
        let leftovers = evidence.start_observed && both_dead;
        let lost_in_a_reboot = evidence.leader == OF_ANOTHER_BOOT
            && known(&evidence).all(|standing| Some(standing) == OF_ANOTHER_BOOT);
        let ended_elsewhere = evidence.history == LifelineHistory::WasHeld
            && evidence.endpoint == EndpointHolder::Vacant
            && known(&evidence).all(|standing| standing.is_dead() || Some(standing) == ELSEWHERE);
        let answered_for =
            evidence.recorded == Some(RecordState::Ready) && evidence.endpoint == EndpointHolder::Ours;
        let may_be_gone = match evidence.lifeline {
            Lifeline::Free => all_dead || ended_elsewhere,
            Lifeline::Held => leftovers,
            Lifeline::Unreadable => leftovers || lost_in_a_reboot,
            Lifeline::Missing => all_dead,
        };
        let provably_alive = alive || answered_for || (evidence.lifeline == Lifeline::Held && all_dead);
        let expected = match (may_be_gone && !alive && !answered_for, provably_alive, evidence.recorded) {
            (true, _, _) => LastWorker::Gone,
            (false, true, Some(RecordState::Ready) | None) => LastWorker::AliveReady,
            (false, true, _) => LastWorker::AliveUnobserved,
            (false, false, _) => LastWorker::Unknown,
        };
        assert_eq!(verdict, expected, "{evidence:?}");
    }
    println!("{} values: {verdicts:?}", verdicts.values().sum::<usize>());
}

/// The strictest rules again, without a table: a living process is never gone, and an unjudged process is gone only if
/// the process was in another pid namespace and its lock is free (U2).
#[test]
fn nobody_who_lives_or_cannot_be_judged_is_gone() {
    for evidence in every_evidence() {
        let gone = last_worker(&evidence) == LastWorker::Gone;
        let dead = |standing: ProcessLiveness| {
            let let_go = evidence.lifeline == Lifeline::Free
                && evidence.history == LifelineHistory::WasHeld
                && evidence.endpoint == EndpointHolder::Vacant;
            standing.is_dead() || (let_go && Some(standing) == ELSEWHERE)
        };
        assert!(!gone || known(&evidence).all(dead), "{evidence:?}");
    }
}

/// U20, U21: more evidence never worsens the result. A worker gone without a known endpoint is gone with a vacant
/// endpoint, and a living worker is not gone because a file is missing.
#[test]
fn more_evidence_never_makes_it_worse() {
    for evidence in every_evidence().into_iter().filter(|it| it.endpoint == EndpointHolder::Unclear) {
        let asked = Evidence { endpoint: EndpointHolder::Vacant, ..evidence };
        let was_gone = last_worker(&evidence) == LastWorker::Gone;
        assert!(!was_gone || last_worker(&asked) == LastWorker::Gone, "{evidence:?}");
        let unrecorded = Evidence { recorded: None, ..evidence };
        let lives = evidence.lifeline == Lifeline::Held && last_worker(&evidence) != LastWorker::Gone;
        assert!(!lives || last_worker(&unrecorded) != LastWorker::Gone, "{evidence:?}");
        let adopted = last_worker(&unrecorded) == LastWorker::AliveUnobserved;
        assert!(!adopted, "a worker without a record is not ours to end: {evidence:?}");
    }
}

/// A record cannot turn a living worker into an absent one, except if no start was ever recorded.
#[test]
fn a_record_that_says_exited_proves_nothing() {
    for evidence in every_evidence() {
        let said = Evidence { recorded: Some(RecordState::Exited), ..evidence };
        let unsaid = Evidence { recorded: Some(RecordState::Starting), ..evidence };
        assert_eq!(last_worker(&said), last_worker(&unsaid), "{evidence:?}");
    }
}

/// Cells with a scenario in the design.
#[test]
fn the_stories_of_the_design() {
    use LastWorker::{AliveReady, AliveUnobserved, Gone, Unknown};
    use Lifeline::{Free, Held, Missing, Unreadable};
    let starting = Evidence { recorded: Some(RecordState::Starting), ..Evidence::NONE };
    let ready = Evidence { recorded: Some(RecordState::Ready), start_observed: true, ..Evidence::NONE };
    let exited = Evidence { recorded: Some(RecordState::Exited), ..ready };
    let retained = Evidence { recorded: Some(RecordState::Retained), ..starting };
    let with = |evidence: Evidence, lifeline, leader, peer| Evidence { lifeline, leader, peer, ..evidence };
    let in_container = |evidence, endpoint| Evidence {
        history: LifelineHistory::WasHeld,
        endpoint,
        ..with(evidence, Free, ELSEWHERE, ELSEWHERE)
    };
    let forgotten = |evidence| Evidence { history: LifelineHistory::NotKnown, ..evidence };
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
        (
            "the lifeline was removed, nobody keeps it, all are dead (U20)",
            with(ready, Missing, DEAD, None),
            Gone,
        ),
        ("the same, and it lives (T27)", with(ready, Missing, ALIVE, None), AliveReady),
        ("the same, and not everybody could be searched (U19)", with(ready, Unreadable, DEAD, None), Unknown),
        ("its record was removed, and it lives (U21)", with(Evidence::NONE, Held, ALIVE, None), AliveReady),
        (
            "nothing is there, and not everybody could be searched",
            with(Evidence::NONE, Unreadable, None, None),
            Unknown,
        ),
        ("the same before a reboot", with(ready, Missing, OF_ANOTHER_BOOT, None), Gone),
        ("the lifeline cannot be asked (T30)", with(ready, Unreadable, DEAD, None), Unknown),
        ("EPERM on everything (L17)", with(ready, Free, UNJUDGED, UNJUDGED), Unknown),
        ("EPERM on its peer alone", with(ready, Free, DEAD, UNJUDGED), Unknown),
        ("held, by whom cannot be judged (T28)", with(ready, Held, UNJUDGED, None), Unknown),
        ("its container is gone (U2)", in_container(ready, EndpointHolder::Vacant), Gone),
        ("the same, killed in the middle of its start", in_container(starting, EndpointHolder::Vacant), Gone),
        ("the same, and somebody listens", in_container(ready, EndpointHolder::Unclear), Unknown),
        (
            "the same, it had closed its lifeline",
            forgotten(in_container(ready, EndpointHolder::Vacant)),
            Unknown,
        ),
        (
            "the same, and its lifeline was removed",
            Evidence { lifeline: Missing, ..in_container(ready, EndpointHolder::Vacant) },
            Unknown,
        ),
        (
            "it replaced itself and listens on",
            Evidence { endpoint: EndpointHolder::Ours, ..with(ready, Free, DEAD, DEAD) },
            AliveReady,
        ),
        (
            "another program on the path of one that exited",
            Evidence { endpoint: EndpointHolder::Ours, ..with(exited, Free, DEAD, DEAD) },
            Gone,
        ),
    ];
    for (story, evidence, verdict) in stories {
        assert_eq!(last_worker(&evidence), verdict, "{story}");
    }
}

/// T19: a daemon that forks after it began to listen leaves a dead listener behind, but is alive.
#[test]
fn a_listener_that_handed_its_socket_on_is_no_death() {
    use rekindle_core::evidence::{Listener, standing_of_peer};
    let dead = ProcessLiveness::Dead(DeathProof::NoSuchProcess);
    assert_eq!(standing_of_peer(Some(dead), Listener::Present), None);
    assert_eq!(standing_of_peer(Some(dead), Listener::Absent), Some(dead));
    assert_eq!(
        standing_of_peer(Some(ProcessLiveness::Alive), Listener::Present),
        Some(ProcessLiveness::Alive)
    );
    let daemon = Evidence {
        recorded: Some(RecordState::Ready),
        start_observed: true,
        lifeline: Lifeline::Held,
        leader: Some(dead),
        peer: standing_of_peer(Some(dead), Listener::Present),
        ..Evidence::NONE
    };
    assert_eq!(last_worker(&daemon), LastWorker::AliveReady);
}
