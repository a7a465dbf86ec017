//! `just bench`: what rekindle costs, next to the physical limit and to what people would use instead.
//!
//! Read [`harness`] for how is measured, [`rows`] for what, [`floor`] for the physical limit, `README.md` for how to
//! read what comes out.

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

/// Measures rekindle against the physical limit and against what people would use instead.
#[derive(Debug, Parser)]
struct Args {
    /// Only the subjects whose names hold one of these: readiness, spawn, exit, lock, registry, end-to-end, start-up,
    /// thousand
    subjects: Vec<String>,

    /// The command, as `just dist` builds it
    #[arg(long, env = "REKINDLE_BIN", value_name = "FILE")]
    rekindle: PathBuf,

    /// Measure once and shortly: to see that all of it runs, not to learn anything
    #[arg(long)]
    quick: bool,

    /// Also write everything as JSON
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
    // A thousand workers need more descriptors than most shells give.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let rekindle = args.rekindle.canonicalize().map_err(|error| {
        format!("`{}` is not there ({error}); build it first: just dist", args.rekindle.display())
    })?;
    let effort = if args.quick {
        Effort { repetitions: 1, percent: 15 }
    } else {
        Effort { repetitions: 5, percent: 100 }
    };
    let (dir, memory) = (tempfile::tempdir()?, tempfile::tempdir_in("/dev/shm")?);
    let bench = Bench { effort, rekindle, dir: dir.path().to_owned(), memory: memory.path().to_owned() };
    let is_meant =
        |name: &str| args.subjects.is_empty() || args.subjects.iter().any(|it| name.contains(it.as_str()));
    let mut tables = Vec::new();
    print!("{}", report::heading());
    for subject in rows::SUBJECTS.iter().filter(|subject| is_meant(subject.name)) {
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
