//! The end of a worker: every phase and event of the machine, and the driver step by step (design 3.5, T20).

use StopEnd::{Ended, GaveUp};
use StopEvent as Ev;
use StopPhase::{ClosingStdin, Done, Idle, Killing, Terminating};
use proptest::prelude::*;
use rekindle_core::effects::{ChildExit, KillError, KillSignal, WatchError};
use rekindle_core::stop::{
    Stop, StopDeps, StopEffect, StopEnd, StopEvent, StopPhase, StopPolicy, StopReport, StopStep,
    execute_stop, step,
};
use rekindle_core::{KillPolicy, StopSignal};
use rekindle_gates::builders::{kill_error, watch_error};
use rekindle_gates::fakes::{Call, Entry, FakeStop, Run};
use rekindle_gates::property;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

const STDIN: Duration = Duration::from_secs(1);
const TERM: Duration = Duration::from_secs(5);
const KILL: Duration = Duration::from_secs(3);
const POLICY: StopPolicy = StopPolicy {
    stdin_grace: STDIN,
    term_grace: TERM,
    kill_grace: KILL,
    signal: StopSignal::TERM,
    strongest: StopStep::Kill,
};
const TERMINATED: ChildExit = ChildExit::Signal(15);

/// A state, the signals on its path, the number of requests, and whether the exit is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Node {
    stop: Stop,
    steps: [usize; 3],
    exit_known: bool,
}

type Edge = (Node, StopEvent, Node, Vec<StopEffect>);

fn walk() -> (Vec<Node>, Vec<Edge>) {
    let root = Node { stop: Stop::new(), steps: [0; 3], exit_known: false };
    let (mut nodes, mut edges) = (vec![root], vec![]);
    let (mut seen, mut ahead) = (HashSet::from([root]), VecDeque::from([root]));
    while let Some(from) = ahead.pop_front() {
        for event in StopEvent::ALL {
            let (stop, effects) = step(from.stop, event);
            let taken = |wanted| effects.iter().filter(|effect| **effect == StopEffect::Take(wanted)).count();
            let order = [StopStep::CloseStdin, StopStep::Terminate, StopStep::Kill];
            let mut steps = from.steps;
            order.into_iter().zip(&mut steps).for_each(|(wanted, count)| *count += taken(wanted));
            assert!(steps.iter().all(|count| *count <= 1), "{event:?} in {from:?} takes a step again");
            let began = from.stop.phase != Idle;
            let to = Node { stop, steps, exit_known: from.exit_known || (began && event == Ev::Exited) };
            edges.push((from, event, to, effects));
            if seen.insert(to) {
                nodes.push(to);
                ahead.push_back(to);
            }
        }
    }
    (nodes, edges)
}

/// The next phase for each event: after the first request, and after a second request joined.
#[rustfmt::skip]
const TABLE: [(StopPhase, [StopPhase; 4]); 8] = {
    use StopStep::{CloseStdin, Kill, Terminate};
    let (gave_up, stdin, term, kill) =
        (Done(GaveUp), Done(Ended { by: CloseStdin }), Done(Ended { by: Terminate }), Done(Ended { by: Kill }));
    //             Begin,        Exited,  AskedAgain (first), GraceElapsed
    [
        (Idle,         [ClosingStdin, Idle,    Idle,         Idle]),
        (ClosingStdin, [ClosingStdin, stdin,   ClosingStdin, Terminating]),
        (Terminating,  [Terminating,  term,    Terminating,  Killing]),
        (Killing,      [Killing,      kill,    Killing,      gave_up]),
        (gave_up,      [gave_up; 4]),
        (stdin,        [stdin; 4]),
        (term,         [term; 4]),
        (kill,         [kill; 4]),
    ]
};

#[test]
fn every_phase_and_event_is_the_one_of_the_table() {
    for (phase, row) in TABLE {
        for (event, expected) in StopEvent::ALL.into_iter().zip(row) {
            let mut stop = Stop::new();
            stop.phase = phase;
            let (next, effects) = step(stop, event);
            assert_eq!(next.phase, expected, "{event:?} in {phase:?}");
            let enters = next.phase != phase && !matches!(next.phase, Done(_));
            assert_eq!(effects.len(), if enters { 2 } else { 0 }, "{event:?} in {phase:?}: {effects:?}");
        }
    }
}

/// Prints the coverage, and checks the properties of every edge.
#[test]
fn the_walk_signals_nobody_who_ended_and_takes_each_step_once() {
    let (nodes, edges) = walk();
    let states: HashSet<Stop> = nodes.iter().map(|node| node.stop).collect();
    println!("{} states, {} transitions", states.len(), states.len() * StopEvent::ALL.len());
    let phases: HashSet<StopPhase> = states.iter().map(|stop| stop.phase).collect();
    assert_eq!(phases, TABLE.map(|(phase, _)| phase).into(), "every phase is reached");
    for (from, event, to, effects) in edges {
        let told = format!("{event:?} in {from:?} leads to {to:?} with {effects:?}");
        let signals = effects.iter().any(|effect| matches!(effect, StopEffect::Take(_)));
        assert!(!(signals && to.exit_known), "{told}");
        assert!(
            !matches!(from.stop.phase, Done(_)) || (to.stop == from.stop && effects.is_empty()),
            "{told}"
        );
        let steps: Vec<_> = effects.chunks(2).collect();
        let paired = |pair: &&[StopEffect]| matches!(pair, [StopEffect::Take(taken), StopEffect::StartGrace(timed)] if taken == timed);
        assert!(steps.iter().all(paired), "every step has its grace: {told}");
    }
}

/// Invariant 4: three graces lead to an end from every state.
#[test]
fn three_graces_lead_to_an_end() {
    for node in walk().0 {
        let (mut stop, _) = step(node.stop, Ev::Begin);
        for _ in 0..3 {
            stop = step(stop, Ev::GraceElapsed).0;
        }
        assert!(matches!(stop.phase, Done(_)), "{node:?}");
    }
}

/// Invariant 2: the second request joins the first, the third asks for SIGKILL now; a fourth changes nothing.
#[test]
fn a_third_request_kills_now() {
    for graces in [0, 1] {
        let (mut stop, _) = step(Stop::new(), Ev::Begin);
        for _ in 0..graces {
            stop = step(stop, Ev::GraceElapsed).0;
        }
        let before = stop.phase;
        let (stop, joined) = step(stop, Ev::AskedAgain);
        assert_eq!((stop.phase, &joined[..]), (before, &[][..]));
        let (stop, killed) = step(stop, Ev::AskedAgain);
        assert_eq!(stop.phase, Killing);
        assert_eq!(killed, [StopEffect::Take(StopStep::Kill), StopEffect::StartGrace(StopStep::Kill)]);
        assert_eq!(step(stop, Ev::AskedAgain), (stop, vec![]));
    }
}

/// A request counts at any point of the first two steps.
#[test]
fn requests_are_counted_across_steps() {
    let events = [Ev::Begin, Ev::AskedAgain, Ev::GraceElapsed, Ev::AskedAgain];
    let stop = events.into_iter().fold(Stop::new(), |stop, event| step(stop, event).0);
    assert_eq!(stop.phase, Killing);
}

#[test]
fn random_histories_end_at_most_once() {
    let events = prop::collection::vec(prop::sample::select(&StopEvent::ALL), 0..30);
    property!("stop", random_histories_end_at_most_once).check(&events, |events| {
        let mut stop = Stop::default();
        for event in events {
            let (next, effects) = step(stop, event);
            if let Done(end) = stop.phase {
                prop_assert_eq!(next.phase, Done(end));
                prop_assert_eq!(effects, []);
            }
            stop = next;
        }
        Ok(())
    });
}

fn run(deps: &FakeStop, script: &[&dyn Fn(&FakeStop)]) -> StopReport {
    let mut run = Run::new(execute_stop(&POLICY, deps));
    for act in script {
        run.stall();
        act(deps);
    }
    run.finish()
}

fn elapse(after: Duration) -> impl Fn(&FakeStop) {
    move |deps| deps.elapse(after)
}

fn exits(deps: &FakeStop) {
    deps.exits(TERMINATED);
}

fn ended(by: StopStep) -> StopReport {
    StopReport { end: Ended { by }, exit: Some(TERMINATED), trouble: vec![] }
}

fn asked(deps: &FakeStop, call: Call) -> Option<usize> {
    deps.log.position(Entry::Asked(call))
}

/// The default of section 3.5: no time for stdin, 5 s for SIGTERM.
#[test]
fn the_default_graces_are_the_documented_ones() {
    let five = Duration::from_secs(5);
    let documented = StopPolicy {
        stdin_grace: Duration::ZERO,
        term_grace: five,
        kill_grace: five,
        signal: StopSignal::TERM,
        strongest: StopStep::Kill,
    };
    assert_eq!(StopPolicy::default(), documented);
}

/// The graces of a plan's kill policy are the graces of the stop; no default replaces a grace.
#[test]
fn a_stop_has_the_graces_of_the_kill_policy() {
    let (term_grace, kill_grace) = (Duration::from_secs(7), Duration::from_secs(2));
    let kills = StopPolicy { term_grace, kill_grace, ..StopPolicy::default() };
    assert_eq!(
        StopPolicy::from(KillPolicy::TermThenKill { signal: StopSignal::TERM, term_grace, kill_grace }),
        kills
    );
    let gentle = StopPolicy { term_grace, strongest: StopStep::Terminate, ..StopPolicy::default() };
    assert_eq!(
        StopPolicy::from(KillPolicy::TermOnly { grace: term_grace, signal: StopSignal::TERM }),
        gentle
    );
}

#[test]
fn a_worker_that_ends_on_eof_is_not_signalled() {
    let deps = FakeStop::new();
    assert_eq!(run(&deps, &[&exits]), ended(StopStep::CloseStdin));
    assert_eq!(deps.log.kills(), []);
    assert_eq!(deps.log.asked(Call::CloseStdin), 1);
    assert_eq!(deps.log.outstanding(), []);
}

#[test]
fn a_worker_that_ends_on_sigterm_is_not_killed() {
    let deps = FakeStop::new();
    assert_eq!(run(&deps, &[&elapse(STDIN), &exits]), ended(StopStep::Terminate));
    assert_eq!(deps.log.kills(), [KillSignal::Term]);
    assert!(asked(&deps, Call::CloseStdin) < asked(&deps, Call::Kill(KillSignal::Term)));
}

/// T20: SIGTERM, and SIGKILL once the grace of SIGTERM is over.
#[test]
fn a_worker_that_ignores_sigterm_is_killed() {
    let deps = FakeStop::new();
    assert_eq!(run(&deps, &[&elapse(STDIN), &elapse(TERM), &exits]), ended(StopStep::Kill));
    assert_eq!(deps.log.kills(), [KillSignal::Term, KillSignal::Kill]);
}

/// T04: an unobserved end is reported as such, within the sum of the graces.
#[test]
fn a_worker_that_survives_everything_is_given_up() {
    let deps = FakeStop::new();
    let report = run(&deps, &[&elapse(STDIN), &elapse(TERM), &elapse(KILL)]);
    assert_eq!(report, StopReport { end: GaveUp, exit: None, trouble: vec![] });
    assert_eq!(deps.log.time_asked(), STDIN + TERM + KILL);
    assert_eq!(deps.log.outstanding(), []);
}

#[test]
fn an_exit_beats_a_grace_that_is_over_at_the_same_instant() {
    let deps = FakeStop::new();
    let both = |deps: &FakeStop| {
        deps.elapse(TERM);
        deps.ask_again();
        exits(deps);
    };
    assert_eq!(run(&deps, &[&elapse(STDIN), &both]), ended(StopStep::Terminate));
    assert_eq!(deps.log.kills(), [KillSignal::Term], "nothing is signalled after its exit is known");
}

#[test]
fn the_second_request_joins_and_the_third_kills_now() {
    let deps = FakeStop::new();
    let mut stop = Run::new(execute_stop(&POLICY, &deps));
    stop.stall();
    deps.ask_again();
    stop.stall();
    assert_eq!(deps.log.kills(), []);
    deps.ask_again();
    stop.stall();
    assert_eq!(deps.log.kills(), [KillSignal::Kill]);
    assert_eq!(deps.log.count(Entry::Dropped(Call::Timer(STDIN))), 1, "the grace before is over");
    deps.ask_again();
    stop.stall();
    exits(&deps);
    assert_eq!(stop.finish(), ended(StopStep::Kill));
    assert_eq!(deps.log.kills(), [KillSignal::Kill]);
}

/// A stop by the policy `TermOnly` of a plan ends as a start by that policy does: no SIGKILL, however often it is asked for.
#[test]
fn a_stop_by_a_gentle_kill_policy_never_kills() {
    let policy = StopPolicy {
        stdin_grace: STDIN,
        ..KillPolicy::TermOnly { grace: TERM, signal: StopSignal::TERM }.into()
    };
    let deps = FakeStop::new();
    let mut stop = Run::new(execute_stop(&policy, &deps));
    for act in [elapse_stdin, ask_again, ask_again, ask_again, elapse_term] {
        stop.stall();
        act(&deps);
    }
    assert_eq!(stop.finish(), StopReport { end: GaveUp, exit: None, trouble: vec![] });
    assert_eq!(deps.log.kills(), [KillSignal::Term]);
    assert_eq!(deps.log.time_asked(), STDIN + TERM);
}

/// Invariant 5, for every strongest step: the stop gives up when the grace of that step is over.
#[test]
fn no_step_is_stronger_than_the_strongest() {
    let order = [StopStep::CloseStdin, StopStep::Terminate, StopStep::Kill];
    for (index, strongest) in order.into_iter().enumerate() {
        let again = [Ev::Begin, Ev::AskedAgain, Ev::AskedAgain, Ev::AskedAgain];
        let graces = [Ev::GraceElapsed; 3];
        let (mut stop, mut taken) = (Stop::up_to(strongest), vec![]);
        for event in [&again[..], &graces[..]].concat() {
            let (next, effects) = step(stop, event);
            taken.extend(effects.into_iter().filter(|effect| matches!(effect, StopEffect::Take(_))));
            stop = next;
        }
        let asked = if strongest == StopStep::Kill {
            vec![StopStep::CloseStdin, StopStep::Kill]
        } else {
            order[..=index].to_vec()
        };
        assert_eq!(taken, asked.into_iter().map(StopEffect::Take).collect::<Vec<_>>(), "{strongest:?}");
        assert_eq!(stop.phase, Done(GaveUp), "{strongest:?}");
    }
}

fn elapse_stdin(deps: &FakeStop) {
    deps.elapse(STDIN);
}

fn elapse_term(deps: &FakeStop) {
    deps.elapse(TERM);
}

fn ask_again(deps: &FakeStop) {
    deps.ask_again();
}

/// Two requests that arrive at once are two.
#[test]
fn requests_that_arrive_together_are_all_heard() {
    let deps = FakeStop::new();
    let twice = |deps: &FakeStop| {
        deps.ask_again();
        deps.ask_again();
    };
    assert_eq!(run(&deps, &[&elapse(STDIN), &twice, &exits]), ended(StopStep::Kill));
}

fn exit_fails(deps: &FakeStop) {
    deps.exit.answer(Err(watch_error("watch the exit")));
}

/// Without a watch the graces still bound the stop, and the end is reported as unobserved.
#[test]
fn a_failing_exit_watch_leads_through_every_step_to_giving_up() {
    let deps = FakeStop::new();
    let report =
        run(&deps, &[&exit_fails, &exit_fails, &elapse(STDIN), &exit_fails, &elapse(TERM), &elapse(KILL)]);
    let trouble = vec![watch_error("watch the exit").to_string(); 2];
    assert_eq!(report, StopReport { end: GaveUp, exit: None, trouble });
    assert_eq!(deps.log.kills(), [KillSignal::Term, KillSignal::Kill]);
    assert_eq!(deps.log.asked(Call::Exit), 2, "it is asked once more, and not a third time");
}

/// A failed watch is repeated once, and the answer counts, also at the end of the last grace.
#[test]
fn an_exit_that_is_asked_again_is_heard() {
    let again = |deps: &FakeStop| {
        exit_fails(deps);
        deps.elapse(KILL);
        exits(deps);
    };
    let late: [&dyn Fn(&FakeStop); 3] = [&elapse(STDIN), &elapse(TERM), &again];
    let early: [&dyn Fn(&FakeStop); 3] = [&exit_fails, &elapse(STDIN), &exits];
    for (script, by) in [(late, StopStep::Kill), (early, StopStep::Terminate)] {
        let deps = FakeStop::new();
        let report = run(&deps, &script);
        assert_eq!(report.trouble, [watch_error("watch the exit").to_string()]);
        assert_eq!((report.end, report.exit), (Ended { by }, Some(TERMINATED)));
        assert_eq!(deps.log.asked(Call::Exit), 2);
    }
}

/// Closing stdin may hang like any other call to a worker: the grace runs at the same time.
#[test]
fn a_stdin_that_cannot_be_closed_holds_nothing_up() {
    let deps = FakeStop::silent();
    deps.term.answer(Ok(()));
    assert_eq!(run(&deps, &[&elapse(STDIN), &exits]), ended(StopStep::Terminate));
    assert_eq!(deps.log.asked(Call::CloseStdin), 1);
    assert_eq!(deps.log.outstanding(), []);

    let deps = FakeStop::silent();
    assert_eq!(run(&deps, &[&exits]), ended(StopStep::CloseStdin));
}

#[test]
fn a_signal_that_fails_or_hangs_is_survived_and_a_failing_grace_is_over() {
    let deps = FakeStop::silent();
    deps.term.answer(Err(kill_error()));
    let grace_fails = |deps: &FakeStop| deps.timer(TERM).answer(Err(watch_error("wait")));
    let report = run(&deps, &[&elapse(STDIN), &grace_fails, &elapse(KILL)]);
    assert_eq!(report, StopReport { end: GaveUp, exit: None, trouble: vec![kill_error().to_string()] });
    assert_eq!(deps.log.count(Entry::Dropped(Call::Kill(KillSignal::Kill))), 1, "SIGKILL hung");
}

/// A dropped stop leaves nothing running.
#[test]
fn a_dropped_stop_aborts_what_it_waits_for() {
    let deps = FakeStop::silent();
    let mut stop = Run::new(execute_stop(&POLICY, &deps));
    stop.stall();
    deps.elapse(STDIN);
    stop.stall();
    drop(stop);
    assert_eq!(deps.log.outstanding(), []);
    assert_eq!(deps.log.kills(), [KillSignal::Term]);
}

/// Without another caller there is no further request.
#[test]
fn a_stop_without_a_caller_is_never_asked_again() {
    struct Alone;

    #[async_trait::async_trait]
    impl StopDeps for Alone {
        async fn close_stdin(&self) {}

        async fn signal(&self, _: KillSignal) -> Result<(), KillError> {
            Ok(())
        }

        async fn await_exit(&self) -> Result<ChildExit, WatchError> {
            Ok(TERMINATED)
        }

        async fn await_timeout(&self, _: Duration) -> Result<(), WatchError> {
            Ok(())
        }
    }

    Run::new(Alone.asked_again()).stall();
}
