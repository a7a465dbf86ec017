//! `just bench`: the cost of rekindle, beside the physical limit and common alternatives.
//!
//! [`harness`] measures, [`rows`] holds the subjects, [`floor`] is the physical limit. `README.md` explains the table.

mod floor;
mod harness;
mod home;
mod plot;
mod report;
mod rows;

use clap::Parser;
use harness::Effort;
use home::Bench;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures rekindle beside the physical limit and common alternatives.
#[derive(Debug, Parser)]
struct Args {
    /// Subjects to measure, by a part of the name; default: all of readiness, spawn, exit, lock, registry, end-to-end,
    /// start-up, thousand
    subjects: Vec<String>,

    /// The command `rekindle`, built by `just dist`
    #[arg(long, env = "REKINDLE_BIN", value_name = "FILE")]
    rekindle: PathBuf,

    /// One short round: checks that every row runs; the figures mean nothing
    #[arg(long)]
    quick: bool,

    /// Also write all tables as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Also draw the plots
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rekindle-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    // A thousand workers need more descriptors than the usual soft limit.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let rekindle = args.rekindle.canonicalize().map_err(|error| {
        format!("`{}` is missing ({error}); build the command first: just dist", args.rekindle.display())
    })?;
    let effort = if args.quick {
        Effort { repetitions: 1, percent: 15 }
    } else {
        Effort { repetitions: 5, percent: 100 }
    };
    let (dir, memory) = (tempfile::tempdir()?, tempfile::tempdir_in("/dev/shm")?);
    let bench = Bench { effort, rekindle, dir: dir.path().to_owned(), memory: memory.path().to_owned() };
    let is_selected = |name: &str| {
        args.subjects.is_empty() || args.subjects.iter().any(|part| name.contains(part.as_str()))
    };
    let mut tables = Vec::new();
    print!("{}", report::heading());
    for subject in rows::SUBJECTS.iter().filter(|subject| is_selected(subject.name)) {
        let measured = (subject.run)(&bench);
        print!("{}", report::markdown(&measured));
        tables.extend(measured);
    }
    if let Some(file) = &args.json {
        std::fs::write(file, report::json(&tables)?)?;
    }
    if let Some(dir) = &args.plots {
        plot::draw(dir, &tables)?;
    }
    Ok(())
}
