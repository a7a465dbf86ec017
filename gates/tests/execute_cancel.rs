//! A start dropped at any poll releases nothing (T13, A1, design 3.4 rule 9).
//!
//! Recipe R5: run the whole start, count the polls, then run again for every smaller number of polls and drop the start
//! there.

use rekindle_core::{ChildExit, execute_spawn_bg_resume};
use rekindle_gates::builders::{self, KILL, OBSERVE, TERM, claim, plan, watch_error};
use rekindle_gates::fakes::{Call, Entry, FakeStart, Run};

type Step = fn(&FakeStart);

const SPAWNS: Step = |deps| deps.spawn.answer(Ok(builders::child()));
const SPAWN_FAILS: Step = |deps| deps.spawn.answer(Err(builders::spawn_error()));
const SOCKET: Step = FakeStart::socket_alive;
const EXITS: Step = |deps| deps.child_exits(ChildExit::Code(0));
const EXIT_FAILS: Step = |deps| deps.exit.answer(Err(watch_error("watch the exit")));
const OBSERVE_ELAPSES: Step = |deps| deps.elapse(OBSERVE);
const TERM_SENT: Step = |deps| deps.term.answer(Ok(()));
const TERM_ELAPSES: Step = |deps| deps.elapse(TERM);
const KILL_SENT: Step = |deps| deps.kill.answer(Ok(()));
const KILL_ELAPSES: Step = |deps| deps.elapse(KILL);
const RELEASED: Step = |deps| deps.release.answer(Ok(()));

/// One full run for every possible end of a start.
const SCRIPTS: [&[Step]; 7] = [
    &[SPAWN_FAILS, RELEASED],
    &[SPAWNS, SOCKET, RELEASED],
    &[SPAWNS, EXITS, RELEASED],
    &[SPAWNS, OBSERVE_ELAPSES, TERM_SENT, SOCKET, RELEASED],
    &[SPAWNS, OBSERVE_ELAPSES, TERM_SENT, TERM_ELAPSES, KILL_SENT, EXITS, RELEASED],
    &[SPAWNS, OBSERVE_ELAPSES, TERM_SENT, TERM_ELAPSES, KILL_SENT, KILL_ELAPSES],
    &[SPAWNS, EXIT_FAILS, EXIT_FAILS, TERM_SENT, TERM_ELAPSES, KILL_SENT, KILL_ELAPSES],
];

/// Runs `script` and drops the start after `polls` polls; returns whether the start was over by then.
fn run_and_drop(deps: &FakeStart, script: &[Step], polls: usize) -> bool {
    let (plan, claim) = (plan(), claim());
    let mut run = Run::new(execute_spawn_bg_resume(&plan, Some(&claim), deps)).at_most(polls);
    let mut over = run.settle().is_some();
    for step in script {
        if run.is_spent() {
            break;
        }
        assert!(!over, "the script goes on after the start is over");
        step(deps);
        over = run.settle().is_some();
    }
    over
}

#[test]
fn dropped_after_any_number_of_polls_it_releases_nothing() {
    let mut drops = 0;
    for (index, script) in SCRIPTS.into_iter().enumerate() {
        let whole = FakeStart::silent();
        assert!(run_and_drop(&whole, script, usize::MAX), "script {index} is a full run");
        for polls in 0.. {
            let deps = FakeStart::silent();
            let over = run_and_drop(&deps, script, polls);
            assert_eq!(
                deps.log.outstanding(),
                [],
                "script {index}, {polls} polls: something outlives its future"
            );
            if over {
                assert_eq!(deps.log.entries(), whole.log.entries());
                break;
            }
            drops += 1;
            nothing_more_happens(&deps, index, polls);
        }
    }
    println!("{drops} drops over {} runs", SCRIPTS.len());
    assert!(drops > 30, "the sweep covers the runs poll by poll, not only {drops} of them");
}

/// The claim was not released, and no later answer releases the claim.
fn nothing_more_happens(deps: &FakeStart, script: usize, polls: usize) {
    let at = format!("script {script} dropped after {polls} polls");
    assert_eq!(deps.log.count(Entry::Answered(Call::Release)), 0, "{at}");
    assert!(deps.log.asked(Call::Release) <= 1, "{at}");
    let observed = [Entry::Answered(Call::Socket), Entry::Answered(Call::Exit), Entry::Failed(Call::Spawn)];
    let was_observed = observed.into_iter().any(|entry| deps.log.count(entry) > 0);
    assert!(deps.log.asked(Call::Release) == 0 || was_observed, "{at}");
    let before = deps.log.entries();
    [EXITS, OBSERVE_ELAPSES, TERM_ELAPSES, KILL_ELAPSES, RELEASED].into_iter().for_each(|step| step(deps));
    assert_eq!(deps.log.entries(), before, "{at}");
}

/// A drop sends no signal: the worker runs on, and the next launcher adopts the worker.
#[test]
fn a_dropped_start_signals_nobody() {
    let deps = FakeStart::silent();
    assert!(!run_and_drop(&deps, &[SPAWNS], usize::MAX));
    assert_eq!(deps.log.kills(), []);
    let watched = [Call::Exit, Call::Socket, Call::Timer(OBSERVE)];
    assert_eq!(watched.map(|call| deps.log.count(Entry::Dropped(call))), [1; 3], "the watches stop with it");
}

/// A start dropped during its release closes the connection.
#[test]
fn a_connection_is_closed_with_the_start_that_held_it() {
    let deps = FakeStart::silent();
    assert!(!run_and_drop(&deps, &[SPAWNS, SOCKET], usize::MAX));
    assert_eq!(deps.log.count(Entry::ConnectionClosed), 1);
    assert_eq!(deps.log.count(Entry::Dropped(Call::Release)), 1);
}
