//! The `rekindle` command: a front end over the library, and nothing else.
//!
//! Read [`args`] for what can be said, [`command`] for what each verb does, [`report`] for how outcomes are shown and
//! what exit codes they have.

mod args;
mod command;
mod report;

use args::{Args, Verb};
use clap::Parser;
use report::{Exit, Report};
use std::process::ExitCode;
use tracing_subscriber::filter::LevelFilter;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return report::usage(&error).into(),
    };
    rekindle::adapters::startup::hear_of_children();
    log_to_stderr(args.verbose);
    let report = Report::new(args.json);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let exit = match runtime {
        Ok(runtime) => runtime.block_on(run(args, &report)),
        Err(error) => {
            report.failure("system", &format!("failed to start the runtime: {error}"), "", Exit::Failed)
        }
    };
    exit.into()
}

async fn run(args: Args, report: &Report) -> Exit {
    let dir = args.dir.as_deref();
    match args.verb {
        Verb::Up(up) => command::up::run(dir, up, report).await,
        Verb::Ls => command::ls::run(dir, report),
        Verb::Show { session } => command::show::run(dir, &session, report),
        Verb::Stop(stop) => command::stop::run(dir, &stop, report).await,
        Verb::Call(call) => command::call::run(dir, &call, report).await,
        Verb::Probe { path } => command::probe::run(&path, report).await,
        Verb::Worker(worker) => command::worker::run(&worker, report).await,
        Verb::Demo => command::demo::run(report).await,
    }
}

fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false).init();
}
