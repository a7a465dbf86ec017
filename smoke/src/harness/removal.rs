//! The removal harness: files go while launchers, stops, collections and unlocks are at work; then a collection beside
//! starts and stops.

use super::job::Job;
use super::pid_ns::PidNamespace;
use super::rng::{Rng, count, seed};
use super::run::rekindle;
use super::trouble::{Trouble, TroubleKind};
use super::vandal::{Found, Vandalism};
use crate::{Account, TestEnv, test_env};
use std::collections::BTreeMap;
use std::env;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

/// The number of rounds for each user, unless `$R` is set.
const ROUNDS: usize = 500;

/// The number of starts beside a collection, unless `$S` is set.
const STARTS: usize = 3000;

/// The results of the rounds of one kind, by one user.
#[derive(Debug, Default, Clone)]
pub struct Kind {
    /// The number of passed rounds.
    pub passed: usize,
    /// The states after the rounds.
    pub found: Found,
    /// The broken promises.
    pub troubles: Vec<Trouble>,
}

/// The results of all rounds.
#[derive(Debug, Default)]
pub struct Tally {
    /// The results by kind of vandalism and by user.
    pub kinds: BTreeMap<String, Kind>,
}

impl Tally {
    /// The number of passed rounds.
    pub fn passed(&self) -> usize {
        self.kinds.values().map(|kind| kind.passed).sum()
    }

    /// The broken promises.
    pub fn troubles(&self) -> impl Iterator<Item = &Trouble> {
        self.kinds.values().flat_map(|kind| &kind.troubles)
    }

    /// Prints the results.
    pub fn print(&self) {
        for (name, kind) in &self.kinds {
            let Kind { passed, found: Found { alive, refused, ended }, troubles } = kind;
            let rounds = passed + troubles.len();
            println!(
                "{name:26} {rounds:4} rounds, {alive:4} with a worker left: {refused:4} out of reach, {ended:3} never seen ready"
            );
        }
        for kind in TroubleKind::ALL {
            let count = self.troubles().filter(|trouble| trouble.kind == kind).count();
            println!("{count:4} {}", kind.name());
        }
    }
}

/// Plays `rounds` rounds as each of `accounts`, every kind of vandalism in turn.
///
/// # Panics
/// If no pid namespace can be made.
pub fn run(rounds: usize, accounts: &[Account]) -> Tally {
    let seed = seed();
    println!("removal: seed {seed} (SEED={seed} repeats the random choices)");
    let mut rng = Rng::new(seed);
    let mut pid_ns = PidNamespace::start();
    let mut tally = Tally::default();
    for number in 0..rounds {
        for account in accounts {
            let what = number % Vandalism::ALL.len();
            let job = Job::Removal { seed: rng.number(), what, account: *account };
            let kind =
                tally.kinds.entry(format!("{} ({account:?})", Vandalism::ALL[what].name())).or_default();
            match pid_ns.run(&job) {
                Ok(found) => {
                    kind.passed += 1;
                    kind.found.alive += usize::from(found["alive"] == true);
                    kind.found.refused += usize::from(found["refused"] == true);
                    kind.found.ended += usize::from(found["ended"] == true);
                }
                Err(trouble) => {
                    println!("FAILED {job}: {}: {trouble}", Vandalism::ALL[what].name());
                    kind.troubles.push(trouble);
                }
            }
        }
    }
    tally
}

/// Repeats a collection beside two loops of starts and stops, one session each; returns the failures among `starts`
/// starts.
///
/// # Panics
/// If a command hangs.
pub fn beside_a_collection(starts: usize) -> Vec<String> {
    let env = TestEnv::new();
    let is_over = AtomicBool::new(false);
    let failed = |args: &[String], outcome: &str| {
        let reply = rekindle(&env, args).unwrap_or_else(|trouble| panic!("{trouble}"));
        let is_well = reply.code == Some(0) && (outcome.is_empty() || reply.text("outcome") == outcome);
        (!is_well).then(|| format!("{args:?}: {reply}"))
    };
    let owned = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let start_and_stop = |session: &str| {
        let up = owned(&["up", session, "--", &env.binary_arg(), "worker"]);
        let stop = owned(&["stop", session]);
        let turn = |_| [failed(&up, "started"), failed(&stop, "stopped")];
        (0..starts / 2).flat_map(turn).flatten().collect::<Vec<_>>()
    };
    let collect = || {
        let mut all = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            all.extend(failed(&owned(&["gc"]), ""));
        }
        all
    };
    thread::scope(|scope| {
        let collection = scope.spawn(collect);
        let loops = ["a", "b"].map(|session| scope.spawn(move || start_and_stop(session)));
        let joined = loops.map(|it| it.join().expect("a loop does not panic"));
        is_over.store(true, Ordering::Relaxed);
        let mut all = collection.join().expect("a collection does not panic");
        all.extend(joined.into_iter().flatten());
        all
    })
}

/// `just removal`: the whole harness, if LIVE=1.
pub fn main() -> ExitCode {
    if env::var_os("LIVE").is_none_or(|live| live != "1") {
        println!("nothing was run: this starts and kills processes. To run it: LIVE=1 just removal");
        return ExitCode::SUCCESS;
    }
    let began = Instant::now();
    let tally = run(count("R", ROUNDS), &Account::all());
    tally.print();
    let seconds = began.elapsed().as_secs_f64();
    println!("in {seconds:.0} s, {:.1} rounds a second", tally.passed() as f64 / seconds);
    let starts = count("S", STARTS);
    let beside = beside_a_collection(starts);
    beside.iter().for_each(|failed| println!("FAILED beside a collection: {failed}"));
    println!("beside a collection: {starts} starts, {} calls failed", beside.len());
    let left = test_env::end_all_of_this_run();
    left.iter().for_each(|process| println!("left behind: {process}"));
    let failed = tally.troubles().count() + beside.len() + left.len();
    println!("{} passed, {failed} failed", tally.passed() + usize::from(beside.is_empty()));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
