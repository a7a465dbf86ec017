//! The contention harness: many launchers at once, round after round; then many daemons for one lifecycle lock.

use super::cycle::KINDS;
pub use super::cycle::Site;
use super::job::Job;
use super::markers;
use super::pid_ns::PidNamespace;
use super::rng::{Rng, count, seed};
use super::trouble::{Trouble, TroubleKind};
use crate::test_env;
use serde_json::Value;
use std::collections::BTreeMap;
use std::env;
use std::process::ExitCode;
use std::time::Instant;

/// The number of rounds, unless `$R` is set.
const ROUNDS: usize = 1000;

/// The number of contending launchers, unless `$P` is set.
const LAUNCHERS: usize = 16;

/// The number of rounds on a session with a port, unless `$T` is set.
const PORT_ROUNDS: usize = 200;

/// The number of daemons contending for one lifecycle lock, unless `$D` is set.
const DAEMONS: usize = 8;

/// The results of the rounds on one kind of session.
#[derive(Debug, Default, Clone, Copy)]
pub struct Kind {
    /// The number of rounds.
    pub rounds: usize,
    /// The number of launchers that started or adopted a worker.
    pub winners: usize,
    /// The number of workers after the rounds.
    pub workers: usize,
    /// The number of rounds in which a launcher was killed before its end.
    pub killed: usize,
}

/// The results of all rounds.
#[derive(Debug, Default)]
pub struct Tally {
    /// The number of cycles that a `stop` and a `gc` ended without remains.
    pub cycles: usize,
    /// By the kind of session.
    pub kinds: BTreeMap<String, Kind>,
    /// The broken promises.
    pub troubles: Vec<Trouble>,
}

impl Tally {
    /// The number of passed rounds.
    pub fn passed(&self) -> usize {
        self.kinds.values().map(|kind| kind.rounds).sum()
    }

    fn add(&mut self, job: &Job, done: Result<Value, Trouble>) {
        let rounds = match done {
            Ok(rounds) => rounds,
            Err(trouble) => {
                println!("FAILED {job}: {trouble}");
                return self.troubles.push(trouble);
            }
        };
        self.cycles += 1;
        for round in rounds.as_array().into_iter().flatten() {
            let kind = self.kinds.entry(round["kind"].as_str().unwrap_or_default().to_owned()).or_default();
            kind.rounds += 1;
            kind.winners += round["winners"].as_u64().unwrap_or_default() as usize;
            kind.workers += round["workers"].as_u64().unwrap_or_default() as usize;
            kind.killed += usize::from(round["killed"] == true);
        }
    }

    /// Prints the results.
    pub fn print(&self) {
        for (name, kind) in &self.kinds {
            let Kind { rounds, winners, workers, killed } = kind;
            println!(
                "{name:12} {rounds:5} rounds, {winners:5} winners, {workers:5} workers; a launcher was killed in {killed}"
            );
        }
        println!("{} times stopped and collected, each time 0 leftovers", self.cycles);
        for kind in TroubleKind::ALL {
            let count = self.troubles.iter().filter(|trouble| trouble.kind == kind).count();
            println!("{count:4} {}", kind.name());
        }
    }
}

/// Runs the contention harness on sessions with this kind of endpoint.
///
/// # Panics
/// If no pid namespace can be made.
pub fn run(rounds: usize, launchers: usize, site: Site) -> Tally {
    let seed = seed();
    println!("{launchers} launchers, seed {seed} (SEED={seed} repeats the random choices)");
    let mut rng = Rng::new(seed);
    let mut pid_ns = PidNamespace::start();
    let mut tally = Tally::default();
    for number in 0..rounds.div_ceil(KINDS.len()) {
        let job = Job::Cycle { seed: rng.number(), launchers, kill_in: number % KINDS.len(), site };
        let done = pid_ns.run(&job);
        tally.add(&job, done);
    }
    tally
}

/// `just contend`: the whole harness, if LIVE=1.
pub fn main() -> ExitCode {
    if env::var_os("LIVE").is_none_or(|live| live != "1") {
        println!("nothing was run: this starts and kills processes. To run it: LIVE=1 just contend");
        return ExitCode::SUCCESS;
    }
    let began = Instant::now();
    let rounds = [(Site::Socket, count("R", ROUNDS)), (Site::Port, count("T", PORT_ROUNDS))];
    let tallies = rounds.map(|(site, rounds)| run(rounds, count("P", LAUNCHERS), site));
    tallies.iter().for_each(Tally::print);
    let passed: usize = tallies.iter().map(Tally::passed).sum();
    let troubles: usize = tallies.iter().map(|tally| tally.troubles.len()).sum();
    let markers = markers::run(count("R", ROUNDS), count("D", DAEMONS));
    for kind in &markers {
        let markers::Rounds { left, rounds, winners, wrong } = kind;
        println!("marker {left:?}: {rounds} rounds, {winners} winners, {wrong} wrong");
    }
    let wrong: usize = markers.iter().map(|kind| kind.wrong).sum();
    let won: usize = markers.iter().map(|kind| kind.rounds - kind.wrong).sum();
    let seconds = began.elapsed().as_secs_f64();
    println!("in {seconds:.0} s, {:.1} rounds a second", passed as f64 / seconds);
    let left = test_env::end_all_of_this_run();
    left.iter().for_each(|process| println!("left behind: {process}"));
    let failed = troubles + left.len() + wrong;
    println!("{} passed, {failed} failed", passed + won);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
