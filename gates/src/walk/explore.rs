//! The walk, breadth first, and the shortest history to a broken promise.

use super::promises::Promise;
use super::scenario::{Act, Scenario, State, told};
use rekindle_core::testing::actor::Next;
use rekindle_core::testing::kernel::Broken as BrokenByStep;
use rekindle_core::testing::perform::Choice;
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// The limit of states; a walk beyond the limit has lost a bound.
const STATES_MAX: usize = 20_000_000;

/// The result of a walk.
#[derive(Debug)]
pub struct Report {
    /// The number of reached states.
    pub states: usize,
    /// The number of steps between states.
    pub transitions: usize,
    /// The number of final states: all actors are done.
    pub ends: usize,
    /// The first broken promise, with its history.
    pub broken: Option<Broken>,
    /// The choices taken by actors.
    pub did: HashSet<(Next, Choice)>,
}

/// A broken promise.
#[derive(Debug)]
pub struct Broken {
    /// The promise.
    pub promise: Promise,
    /// The shortest history to the broken promise.
    pub history: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?} is broken by {} steps:", self.promise, self.history.len())?;
        self.history.iter().enumerate().try_for_each(|(at, line)| writeln!(f, "{:>4}  {line}", at + 1))
    }
}

/// Visits every state of `scenario`, until a state breaks one of `promises`.
///
/// # Panics
/// If the walk has no end.
pub fn explore(scenario: &Scenario, promises: &[Promise]) -> Report {
    let root = scenario.begin();
    let mut walk = Walk { reached: vec![(0, Act::SocketVanishes)], seen: HashSet::default() };
    walk.seen.insert(fingerprint(&root));
    let mut report = Report { states: 1, transitions: 0, ends: 0, broken: None, did: HashSet::new() };
    let mut ahead = VecDeque::from([(0_u32, root)]);
    let mut acts = vec![];
    while let Some((from, state)) = ahead.pop_front() {
        if scenario.is_over(&state) {
            report.ends += 1;
            if let Some(promise) = scenario.broken_at_end(&state, promises) {
                report.broken = Some(Broken { promise, history: walk.history(scenario, from, None) });
                return report;
            }
        }
        scenario.acts(&state, &mut acts);
        for act in &acts {
            report.note(&state, *act);
            let mut next = state;
            scenario.apply(&mut next, *act);
            if let Some(promise) = scenario.broken(&next, promises) {
                report.broken = Some(Broken { promise, history: walk.history(scenario, from, Some(*act)) });
                return report;
            }
            next.kernel.broken = BrokenByStep::default();
            if walk.seen.insert(fingerprint(&next)) {
                assert!(walk.reached.len() < STATES_MAX, "the walk has no end");
                ahead.push_back((walk.reached.len() as u32, next));
                walk.reached.push((from, *act));
                report.states += 1;
            }
        }
    }
    report
}

impl Report {
    fn note(&mut self, state: &State, act: Act) {
        self.transitions += 1;
        if let Act::Actor(id, choice) = act {
            self.did.insert((state.kernel.actors[usize::from(id)].next(), choice));
        }
    }
}

/// The first way to each state. The states are not kept: a history is played again.
struct Walk {
    reached: Vec<(u32, Act)>,
    seen: HashSet<u128, BuildHasherDefault<Printed>>,
}

impl Walk {
    fn history(&self, scenario: &Scenario, mut at: u32, last: Option<Act>) -> Vec<String> {
        let mut acts: Vec<Act> = last.into_iter().collect();
        while at != 0 {
            let (from, act) = self.reached[at as usize];
            acts.push(act);
            at = from;
        }
        let mut state = scenario.begin();
        let mut lines = vec![];
        for act in acts.into_iter().rev() {
            lines.push(told(&state, act));
            scenario.apply(&mut state, act);
        }
        lines
    }
}

/// A state's fingerprint of 128 bits: among ten million states, two coincide with a probability of 10^-25.
fn fingerprint(state: &State) -> u128 {
    let mut printer = Printer { lanes: [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344] };
    state.hash(&mut printer);
    let [low, high] = printer.lanes.map(finish);
    u128::from(high) << 64 | u128::from(low)
}

struct Printer {
    lanes: [u64; 2],
}

impl Printer {
    fn mix(&mut self, value: u64) {
        self.lanes[0] = (self.lanes[0].rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
        self.lanes[1] = (self.lanes[1].rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

fn finish(lane: u64) -> u64 {
    let lane = (lane ^ (lane >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    lane ^ (lane >> 33)
}

impl Hasher for Printer {
    fn finish(&self) -> u64 {
        self.lanes[0]
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.mix(u64::from(*byte)));
    }

    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value));
    }

    fn write_isize(&mut self, value: isize) {
        self.mix(value as u64);
    }

    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }
}

/// A fingerprint is already evenly distributed.
#[derive(Default)]
struct Printed(u64);

impl Hasher for Printed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {}

    fn write_u128(&mut self, value: u128) {
        self.0 = value as u64;
    }
}
