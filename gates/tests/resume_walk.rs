//! Every reachable state of a start, and every event in each state.
//!
//! The walk carries facts missing in the machine's state (the number of releases, whether the exit is known, the
//! timers), so a rule for every path becomes a property of one node.

use rekindle_core::KillSignal;
use rekindle_core::plan::KillPolicy;
use rekindle_core::release::ReleaseState;
use rekindle_core::resume::{
    AfterKill, Conclusion, Effect, Ending, EndingWhy, Event, ExitWatch, Observed, Phase, Resume,
    RetainedReason, Seam, step,
};
use rekindle_gates::builders::{term_only, then_kill};
use std::collections::{BTreeSet, HashSet, VecDeque};

/// A state, and the history of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Node {
    start: Resume,
    releases: usize,
    exit_known: bool,
    terms: usize,
    kills: usize,
    timeouts: usize,
    graces: usize,
    exit_watches: usize,
}

impl Node {
    fn root(policy: &KillPolicy) -> Self {
        Self {
            start: Resume::new(policy),
            releases: 0,
            exit_known: false,
            terms: 0,
            kills: 0,
            timeouts: 0,
            graces: 0,
            exit_watches: 0,
        }
    }

    fn after(self, event: Event) -> (Self, Vec<Effect>) {
        let (start, effects) = step(self.start, event);
        let count = |wanted: Effect| effects.iter().filter(|effect| **effect == wanted).count();
        let graces = [KillSignal::Term, KillSignal::Kill].map(|signal| count(Effect::StartGrace(signal)));
        let watched = matches!(self.start.phase, Phase::Observing | Phase::Ending(_));
        let next = Self {
            start,
            releases: self.releases + count(Effect::Release),
            exit_known: self.exit_known || (watched && event == Event::ChildExited),
            terms: self.terms + count(Effect::Kill(KillSignal::Term)),
            kills: self.kills + count(Effect::Kill(KillSignal::Kill)),
            timeouts: self.timeouts + count(Effect::StartTimeout),
            graces: self.graces + graces.iter().sum::<usize>(),
            exit_watches: self.exit_watches + count(Effect::WatchExit),
        };
        (next, effects)
    }
}

/// One edge of the walk.
struct Edge {
    from: Node,
    event: Event,
    to: Node,
    effects: Vec<Effect>,
}

/// The limit of nodes; a walk beyond the limit has lost a bound.
const NODES_MAX: usize = 100_000;

/// Every reachable edge under `policy`, breadth first.
fn walk(policy: &KillPolicy) -> (Vec<Node>, Vec<Edge>) {
    let root = Node::root(policy);
    let mut seen = HashSet::from([root]);
    let mut nodes = vec![root];
    let mut edges = vec![];
    let mut ahead = VecDeque::from([root]);
    while let Some(from) = ahead.pop_front() {
        for event in Event::ALL {
            let (to, effects) = from.after(event);
            edges.push(Edge { from, event, to, effects });
            if seen.insert(to) {
                assert!(nodes.len() < NODES_MAX, "the walk has no end at {to:?}");
                nodes.push(to);
                ahead.push_back(to);
            }
        }
    }
    (nodes, edges)
}

fn for_each_edge(check: impl Fn(&KillPolicy, &Edge)) {
    for policy in [term_only(), then_kill()] {
        walk(&policy).1.iter().for_each(|edge| check(&policy, edge));
    }
}

fn told(edge: &Edge) -> String {
    format!("{:?} in {:?} leads to {:?} with {:?}", edge.event, edge.from, edge.to.start.phase, edge.effects)
}

/// Prints the coverage, and checks that every phase and every end was reached.
#[test]
fn the_walk_reaches_every_phase_and_every_end() {
    for (name, policy, signals) in [("term only", term_only(), 1), ("term, then kill", then_kill(), 2)] {
        let (nodes, edges) = walk(&policy);
        let states: HashSet<Resume> = nodes.iter().map(|node| node.start).collect();
        let transitions: HashSet<(Resume, Event)> =
            edges.iter().map(|edge| (edge.from.start, edge.event)).collect();
        println!(
            "{name}: {} states, {} transitions ({} nodes and {} edges with their history)",
            states.len(),
            transitions.len(),
            nodes.len(),
            edges.len()
        );
        assert_eq!(transitions.len(), states.len() * Event::ALL.len(), "every event in every state");
        let reached: HashSet<Phase> = states.iter().map(|start| start.phase).collect();
        for phase in every_phase() {
            let signal_is_sent = match phase {
                Phase::Ending(Ending { signal: KillSignal::Kill, .. }) => signals == 2,
                Phase::Ending(Ending { signal: KillSignal::Term, .. })
                | Phase::Idle
                | Phase::Spawning
                | Phase::Observing
                | Phase::Releasing(_)
                | Phase::Done(_) => true,
            };
            assert_eq!(reached.contains(&phase), signal_is_sent, "{phase:?}");
        }
    }
}

fn every_phase() -> Vec<Phase> {
    let mut phases = vec![Phase::Idle, Phase::Spawning, Phase::Observing];
    for why in [EndingWhy::TimedOut, EndingWhy::SeamFailed] {
        for signal in [KillSignal::Term, KillSignal::Kill] {
            for exit_watch in [ExitWatch::First, ExitWatch::Again] {
                // A repeated watch means that the first failed, and then the time-out is no longer the reason.
                if (why, exit_watch) != (EndingWhy::TimedOut, ExitWatch::Again) {
                    phases.push(Phase::Ending(Ending { why, signal, exit_watch }));
                }
            }
        }
    }
    for what in every_observation() {
        phases.push(Phase::Releasing(what));
        phases.push(Phase::Done(Conclusion::Settled(what)));
        phases.push(Phase::Done(Conclusion::ReleaseFailed(what)));
    }
    phases.push(Phase::Done(Conclusion::Retained(RetainedReason::KillUnconfirmed)));
    phases.push(Phase::Done(Conclusion::Retained(RetainedReason::ObserveFailed)));
    phases
}

fn every_observation() -> Vec<Observed> {
    let mut all = vec![Observed::SpawnStartFailed];
    for after_kill in [AfterKill::No, AfterKill::Yes] {
        all.extend([Observed::SocketAlive { after_kill }, Observed::ChildExited { after_kill }]);
    }
    all
}

/// Promise 4 (T06): at most once along any path, and the claim's own state agrees.
#[test]
fn the_claim_is_released_at_most_once() {
    for_each_edge(|_, edge| {
        assert!(edge.to.releases <= 1, "{}", told(edge));
        assert_eq!(edge.to.releases == 1, edge.to.start.claim == ReleaseState::Released, "{}", told(edge));
    });
}

/// Rule 4: only an observation releases, or a start without a process; no timer and no failing seam releases.
#[test]
fn only_an_observation_releases() {
    for_each_edge(|_, edge| {
        let observation = matches!(edge.event, Event::SpawnFailed | Event::SocketAlive | Event::ChildExited);
        assert!(!edge.effects.contains(&Effect::Release) || observation, "{}", told(edge));
    });
}

/// Every accepted observation does release, so no claim is forgotten.
#[test]
fn every_observation_that_counts_releases() {
    for_each_edge(|_, edge| {
        let is = |event| edge.event == event;
        let counts = match edge.from.start.phase {
            Phase::Spawning => is(Event::SpawnFailed),
            Phase::Observing => is(Event::SocketAlive) || is(Event::ChildExited),
            Phase::Ending(ending) => {
                is(Event::ChildExited) || (is(Event::SocketAlive) && ending.why == EndingWhy::TimedOut)
            }
            Phase::Idle | Phase::Releasing(_) | Phase::Done(_) => false,
        };
        assert_eq!(edge.effects.contains(&Effect::Release), counts, "{}", told(edge));
        assert!(!counts || matches!(edge.to.start.phase, Phase::Releasing(_)), "{}", told(edge));
    });
}

/// Rule 5: a worker with a failed watch is not handed out, even if its socket answers.
#[test]
fn a_socket_does_not_count_once_a_watch_failed() {
    for_each_edge(|_, edge| {
        let Phase::Ending(ending) = edge.from.start.phase else { return };
        if ending.why == EndingWhy::SeamFailed && edge.event == Event::SocketAlive {
            assert_eq!((edge.to.start, &edge.effects[..]), (edge.from.start, &[][..]), "{}", told(edge));
        }
    });
}

/// T07, checklist 18: no signal follows a known exit, and no signal is sent twice.
#[test]
fn nothing_is_signalled_after_its_exit() {
    for_each_edge(|policy, edge| {
        let signals = edge.effects.iter().any(|effect| matches!(effect, Effect::Kill(_)));
        assert!(!(signals && edge.to.exit_known), "{}", told(edge));
        assert!(edge.to.terms <= 1, "{}", told(edge));
        assert!(edge.to.kills <= usize::from(*policy == then_kill()), "{}", told(edge));
        assert!(edge.to.kills <= edge.to.terms, "SIGTERM comes first: {}", told(edge));
    });
}

/// Rule 7: one timeout, one grace per signal, two exit watches; no path has more.
#[test]
fn every_path_is_bounded() {
    for_each_edge(|_, edge| {
        assert!(edge.to.timeouts <= 1 && edge.to.exit_watches <= 2, "{}", told(edge));
        assert_eq!(edge.to.graces, edge.to.terms + edge.to.kills, "{}", told(edge));
    });
}

/// After the end, no event has an effect.
#[test]
fn done_absorbs_every_event() {
    for_each_edge(|_, edge| {
        if matches!(edge.from.start.phase, Phase::Done(_)) {
            assert_eq!((edge.to.start, &edge.effects[..]), (edge.from.start, &[][..]), "{}", told(edge));
        }
    });
}

/// Rule 7 as liveness: from every state, elapsing or failing timers lead to an end.
#[test]
fn from_every_state_the_timers_lead_to_an_end() {
    // The timeout, and a grace for each of two signals.
    const TIMERS_MAX: usize = 3;
    for policy in [term_only(), then_kill()] {
        for node in walk(&policy).0 {
            for fails in [false, true] {
                let (mut start, mut timers) = (node.start, 0);
                while let Some(event) = next_without_an_observation(start.phase, fails) {
                    timers += usize::from(matches!(start.phase, Phase::Observing | Phase::Ending(_)));
                    assert!(timers <= TIMERS_MAX, "{node:?} does not end");
                    start = step(start, event).0;
                }
            }
        }
    }
}

/// The next event if nothing is observed and every timer elapses or fails.
fn next_without_an_observation(phase: Phase, fails: bool) -> Option<Event> {
    match phase {
        Phase::Idle => Some(Event::Begin),
        Phase::Spawning => Some(Event::SpawnStarted),
        Phase::Observing if fails => Some(Event::SeamFailed(Seam::Timeout)),
        Phase::Observing => Some(Event::TimeoutElapsed),
        Phase::Ending(_) if fails => Some(Event::SeamFailed(Seam::Grace)),
        Phase::Ending(_) => Some(Event::GraceElapsed),
        Phase::Releasing(_) => Some(Event::Released),
        Phase::Done(_) => None,
    }
}

/// Without an observation the claim is retained, for the right reason.
#[test]
fn time_alone_retains_the_claim() {
    for_each_edge(|_, edge| {
        if let (Phase::Ending(ending), Phase::Done(end)) = (edge.from.start.phase, edge.to.start.phase) {
            let reason = match ending.why {
                EndingWhy::TimedOut => RetainedReason::KillUnconfirmed,
                EndingWhy::SeamFailed => RetainedReason::ObserveFailed,
            };
            assert_eq!(end, Conclusion::Retained(reason), "{}", told(edge));
            assert_eq!(edge.to.releases, 0, "{}", told(edge));
        }
    });
}

/// `step` is total also in unreachable states: any event in any representable state causes no panic.
#[test]
fn step_is_total_beyond_what_can_be_reached() {
    let mut steps = 0;
    let mut ends = BTreeSet::new();
    for policy in [term_only(), then_kill()] {
        for phase in every_phase() {
            for claim in [ReleaseState::Pending, ReleaseState::Started, ReleaseState::Released] {
                for event in Event::ALL {
                    let mut start = Resume::new(&policy);
                    (start.phase, start.claim) = (phase, claim);
                    let (next, effects) = step(start, event);
                    let released = effects.contains(&Effect::Release);
                    assert!(!(released && claim == ReleaseState::Released), "{event:?} in {start:?}");
                    ends.insert(format!("{:?}", next.phase));
                    steps += 1;
                }
            }
        }
    }
    println!("{steps} steps into {} phases", ends.len());
}

/// The list of all events is complete: a new event does not compile here until listed.
#[test]
fn the_list_of_events_is_complete() {
    let index = |event: Event| match event {
        Event::Begin => 0,
        Event::SpawnStarted => 1,
        Event::SpawnFailed => 2,
        Event::ChildExited => 3,
        Event::SocketAlive => 4,
        Event::SeamFailed(Seam::Exit) => 5,
        Event::SeamFailed(Seam::Socket) => 6,
        Event::SeamFailed(Seam::Timeout) => 7,
        Event::SeamFailed(Seam::Grace) => 8,
        Event::TimeoutElapsed => 9,
        Event::GraceElapsed => 10,
        Event::Released => 11,
        Event::ReleaseFailed => 12,
    };
    assert!(Event::ALL.into_iter().map(index).eq(0..Event::ALL.len()));
}

#[test]
fn what_comes_after_a_kill_is_true_in_json() {
    assert_eq!([AfterKill::Yes, AfterKill::No].map(AfterKill::as_bool), [true, false]);
}
