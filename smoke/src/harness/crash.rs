//! The crash harness: every system call of a launcher, and random moments.

use super::job::Job;
use super::pid_ns::PidNamespace;
use super::point::{Case, Fault, Point};
use super::rng::{Rng, seed};
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

/// The number of launchers killed at random moments.
const MOMENTS: usize = 200;

/// The number of failures printed in full.
const TOLD_MAX: usize = 40;

/// The cases with failed calls in addition to kills.
const FAILED_TOO: [Case; 5] = [Case::Up, Case::Stop, Case::Unlock, Case::UpPort, Case::UpNone];

/// The size of a run.
#[derive(Debug, Clone)]
pub struct Size {
    /// A launcher is killed at every n-th point; 1 means all points.
    pub kill_stride: usize,
    /// A call fails at every n-th point.
    pub error_stride: usize,
    /// The number of launchers killed at random moments.
    pub moments: usize,
    /// Only points that contain this text, if not empty.
    pub filter: String,
}

/// The results of all points.
#[derive(Debug, Default)]
pub struct Tally {
    /// Planned points and performed injections, by case.
    pub points: BTreeMap<String, (usize, usize)>,
    /// The count of each outcome, by case.
    pub outcomes: BTreeMap<String, BTreeMap<String, usize>>,
    /// The broken promises, by job.
    pub troubles: Vec<(String, Trouble)>,
}

impl Tally {
    /// The number of points.
    pub fn total(&self) -> usize {
        self.points.values().map(|(planned, _)| planned).sum()
    }

    /// The number of failures of a kind.
    pub fn count(&self, kind: TroubleKind) -> usize {
        self.troubles.iter().filter(|(_, trouble)| trouble.kind == kind).count()
    }

    fn add(&mut self, job: &Job, done: Result<Value, Trouble>) {
        let label = label(job);
        let (planned, hit) = self.points.entry(label.clone()).or_default();
        *planned += 1;
        match done {
            Ok(found) => {
                *hit += usize::from(found["hit"] == true);
                let outcome = found["outcome"].as_str().unwrap_or_default().to_owned();
                *self.outcomes.entry(label).or_default().entry(outcome).or_default() += 1;
            }
            Err(trouble) => {
                *hit += 1;
                if self.troubles.len() < TOLD_MAX {
                    println!("FAILED {job}: {trouble}");
                }
                self.troubles.push((job.to_string(), trouble));
            }
        }
    }

    /// Prints the results.
    pub fn print(&self) {
        for (label, (planned, hit)) in &self.points {
            println!("{label:24} {planned:5} points, {hit:5} hit: {}", self.outcomes_of(label));
        }
        let hit: usize = self.points.values().map(|(_, hit)| hit).sum();
        println!("{} points covered, {hit} injections took place", self.total());
        for kind in TroubleKind::ALL {
            println!("{:4} {}", self.count(kind), kind.name());
        }
    }

    fn outcomes_of(&self, label: &str) -> String {
        let outcomes = self.outcomes.get(label).into_iter().flatten();
        outcomes.map(|(outcome, count)| format!("{count} {outcome}")).collect::<Vec<_>>().join(", ")
    }
}

fn label(job: &Job) -> String {
    match job {
        Job::Plan(case) => format!("{} plan", case.name()),
        Job::Point(point) => format!("{} {}", point.case.name(), point.fault.name()),
        Job::Moment { .. } => "random moments".to_owned(),
        Job::Cycle { .. } | Job::Removal { .. } | Job::Fuzz { .. } => "rounds".to_owned(),
    }
}

/// Runs the crash harness.
///
/// # Panics
/// If no pid namespace can be made.
pub fn run(size: &Size) -> Tally {
    let seed = seed();
    println!("seed {seed} (SEED={seed} repeats the random moments)");
    let mut namespaces: Vec<PidNamespace> = (0..NAMESPACES).map(|_| PidNamespace::start()).collect();
    let mut tally = Tally::default();
    let mut jobs = planned(&mut namespaces[0], size, &mut tally);
    let mut rng = Rng::new(seed);
    jobs.extend((0..size.moments).map(|_| Job::Moment { seed: rng.number() }));
    // The last job is taken first.
    jobs.reverse();
    let (jobs, tally) = (Mutex::new(jobs), Mutex::new(tally));
    thread::scope(|scope| {
        for pid_ns in &mut namespaces {
            scope.spawn(|| {
                while let Some(job) = next(&jobs) {
                    let done = pid_ns.run(&job);
                    tally.lock().unwrap_or_else(PoisonError::into_inner).add(&job, done);
                }
            });
        }
    });
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn next(jobs: &Mutex<Vec<Job>>) -> Option<Job> {
    jobs.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

/// The points to try; a case without a plan is a failure.
fn planned(pid_ns: &mut PidNamespace, size: &Size, tally: &mut Tally) -> Vec<Job> {
    let mut jobs = Vec::new();
    for case in Case::ALL {
        let job = Job::Plan(case);
        match pid_ns.run(&job) {
            Ok(points) => jobs.extend(chosen(&points, size).into_iter().map(Job::Point)),
            Err(trouble) => tally.add(&job, Err(trouble)),
        }
    }
    jobs
}

fn chosen(points: &Value, size: &Size) -> Vec<Point> {
    let texts = points.as_array().into_iter().flatten().filter_map(Value::as_str);
    let texts = texts.filter(|text| format!("{text} ").contains(&size.filter));
    let points: Vec<Point> = texts.filter_map(|text| text.parse().ok()).collect();
    let (kills, errors): (Vec<Point>, Vec<Point>) =
        points.into_iter().partition(|it| it.fault == Fault::Kill);
    let errors = errors.into_iter().filter(|it| FAILED_TOO.contains(&it.case));
    kills.into_iter().step_by(size.kill_stride).chain(errors.step_by(size.error_stride)).collect()
}

/// `just crash`: the whole harness, if LIVE=1. The first argument restricts the run to points containing the argument.
pub fn main() -> ExitCode {
    if env::var_os("LIVE").is_none_or(|live| live != "1") {
        println!("nothing was run: this starts and kills processes. To run it: LIVE=1 just crash");
        return ExitCode::SUCCESS;
    }
    let filter = env::args().nth(1).unwrap_or_default();
    let began = Instant::now();
    let moments = if filter.is_empty() { MOMENTS } else { 0 };
    let tally = run(&Size { kill_stride: 1, error_stride: 1, moments, filter });
    tally.print();
    println!("in {} s", began.elapsed().as_secs());
    let left = test_env::end_all_of_this_run();
    left.iter().for_each(|process| println!("left behind: {process}"));
    let failed = tally.troubles.len();
    println!("{} passed, {} failed", tally.total() - failed, failed + left.len());
    if failed + left.len() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
