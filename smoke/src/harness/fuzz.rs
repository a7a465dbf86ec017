//! The fuzz harness: mutated state directories and hostile peers, under every verb of the command.
//!
//! A round is one job of a pid namespace. The round's seed decides every choice, so a single round can be repeated
//! alone. `verdict` has the rules after each command, `bystanders` the rules after each round.
//!
//! Checked by `tests/smoke/harness/samples.rs`.

mod bystanders;
mod json;
mod mutation;
mod peer;
mod peers;
mod place;
mod round;
mod states;
mod target;
mod verb;
mod verdict;

pub(super) use peer::serve_if_peer;
pub use target::Target;

use super::job::Job;
use super::pid_ns::PidNamespace;
use super::rng::{Rng, count, seed};
use super::trouble::{Trouble, TroubleKind};
use crate::test_env;
use serde_json::Value;
use std::collections::BTreeMap;
use std::env;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// The number of namespaces at work.
const NAMESPACES: usize = 2;

/// The number of mutated state directories, unless `$N` is set.
const STATES: usize = 3000;

/// The number of hostile peers, unless `$P` is set.
const PEERS: usize = 2000;

/// The results of one verb's runs.
#[derive(Debug, Default, Clone)]
struct Runs {
    count: u64,
    longest_ms: u64,
    /// The count of each exit code.
    codes: BTreeMap<u64, u64>,
}

/// The results of all rounds.
#[derive(Debug, Default)]
pub struct Tally {
    /// The number of passed rounds, by target.
    rounds: BTreeMap<&'static str, usize>,
    /// The count of each kind of hostility.
    met: BTreeMap<String, usize>,
    /// By the verb.
    runs: BTreeMap<String, Runs>,
    /// The broken promises.
    pub troubles: Vec<Trouble>,
}

impl Tally {
    /// The number of passed rounds.
    pub fn passed(&self) -> usize {
        self.rounds.values().sum()
    }

    /// The number of commands.
    pub fn commands(&self) -> u64 {
        self.runs.values().map(|runs| runs.count).sum()
    }

    fn add(&mut self, target: Target, seed: u64, done: Result<Value, Trouble>) {
        let found = match done {
            Ok(found) => found,
            Err(trouble) => {
                println!("FAILED {target} {seed} (LIVE=1 just fuzz {target} {seed}): {trouble}");
                return self.troubles.push(trouble);
            }
        };
        *self.rounds.entry(target.name()).or_default() += 1;
        for met in found["met"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            *self.met.entry(format!("{target}: {met}")).or_default() += 1;
        }
        for run in found["runs"].as_array().into_iter().flatten() {
            let runs = self.runs.entry(run["verb"].as_str().unwrap_or_default().to_owned()).or_default();
            runs.count += 1;
            runs.longest_ms = runs.longest_ms.max(run["ms"].as_u64().unwrap_or_default());
            *runs.codes.entry(run["code"].as_u64().unwrap_or_default()).or_default() += 1;
        }
    }

    /// Prints the results.
    pub fn print(&self) {
        for (met, count) in &self.met {
            println!("{count:5} {met}");
        }
        for (verb, Runs { count, longest_ms, codes }) in &self.runs {
            let codes: Vec<String> = codes.iter().map(|(code, count)| format!("{code}: {count}")).collect();
            println!(
                "{verb:60} {count:5} runs, {longest_ms:5} ms the longest, by exit code {}",
                codes.join(", ")
            );
        }
        for (target, count) in &self.rounds {
            println!("{count:5} rounds with a hostile {target}");
        }
        println!("{} commands", self.commands());
        for kind in TroubleKind::ALL {
            let count = self.troubles.iter().filter(|trouble| trouble.kind == kind).count();
            println!("{count:4} {}", kind.name());
        }
    }
}

/// Plays `states` rounds with mutated state directories, and `peers` rounds with hostile peers.
///
/// # Panics
/// If no pid namespace can be made.
pub fn run(states: usize, peers: usize) -> Tally {
    let seed = seed();
    println!("fuzz: seed {seed} (SEED={seed} repeats the random choices)");
    let mut rng = Rng::new(seed);
    let mut rounds: Vec<(Target, u64)> = (0..states).map(|_| (Target::State, rng.number())).collect();
    rounds.extend((0..peers).map(|_| (Target::Peer, rng.number())));
    play(rounds)
}

/// Plays rounds on all namespaces. The last is taken first.
fn play(rounds: Vec<(Target, u64)>) -> Tally {
    let mut namespaces: Vec<PidNamespace> =
        (0..NAMESPACES.min(rounds.len())).map(|_| PidNamespace::start()).collect();
    let (rounds, tally) = (Mutex::new(rounds), Mutex::new(Tally::default()));
    let next = || rounds.lock().unwrap_or_else(PoisonError::into_inner).pop();
    thread::scope(|scope| {
        for pid_ns in &mut namespaces {
            scope.spawn(|| {
                while let Some((target, seed)) = next() {
                    let done = pid_ns.run(&Job::Fuzz { target, seed });
                    tally.lock().unwrap_or_else(PoisonError::into_inner).add(target, seed, done);
                }
            });
        }
    });
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The single round named by the arguments, if any.
fn named() -> Option<(Target, u64)> {
    let mut args = env::args().skip(1);
    Some((args.next()?.parse().ok()?, args.next()?.parse().ok()?))
}

/// `just fuzz`: the whole harness, or the round named by the arguments, if LIVE=1.
pub fn main() -> ExitCode {
    if env::var_os("LIVE").is_none_or(|live| live != "1") {
        println!("nothing was run: this starts and kills processes. To run it: LIVE=1 just fuzz");
        return ExitCode::SUCCESS;
    }
    let began = Instant::now();
    let tally = match named() {
        Some(round) => play(vec![round]),
        None => run(count("N", STATES), count("P", PEERS)),
    };
    tally.print();
    println!("in {} s", began.elapsed().as_secs());
    let left = test_env::end_all_of_this_run();
    left.iter().for_each(|process| println!("left behind: {process}"));
    let failed = tally.troubles.len() + left.len();
    println!("{} passed, {failed} failed", tally.passed());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
