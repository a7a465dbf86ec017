//! The `rekindle` command: a front end over the library, and nothing else.
//!
//! [`args`] is the grammar of the command line, [`command`] carries out the verbs, [`report`] shows outcomes and makes
//! the exit codes.

#![warn(clippy::print_stdout)]

mod args;
mod caller;
mod command;
mod given;
mod place;
mod report;
mod text;

use args::{Args, Verb, pages};
use caller::Caller;
use clap::{CommandFactory, FromArgMatches};
use command::{end, look, programs, setup, start};
use place::Place;
use rekindle::OsFailure;
use rekindle::Step;
use rekindle::frontend::startup;
use report::{Exit, Log, Report};
use std::any::Any;
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use tracing_subscriber::filter::LevelFilter;

/// musl's own allocator maps and unmaps nearly every block.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let mut args = match parse() {
        Ok(args) => args,
        Err(error) => {
            let report = Report::new(report::asks_for_json(), Caller::of_this_process(None, None));
            let exit = report.usage(&error);
            return report.finish(exit);
        }
    };
    startup::hear_of_children();
    startup::survive_file_size_limit();
    log_to_stderr(args.common.verbose);
    let report = Report::new(
        args.common.json,
        Caller::of_this_process(args.common.dir.clone(), args.common.file.clone()),
    );
    let runs_program = args.verb.runs_program();
    // A panic is reported like any other failure; the full message is in the debug log.
    panic::set_hook(Box::new(|info| tracing::debug!("{info}")));
    let done = panic::catch_unwind(AssertUnwindSafe(|| {
        if let Verb::Up(up) = &mut args.verb
            && let Err(exit) = start::up::read_prompt(up, &report)
        {
            return Ok(exit);
        }
        let place = match Place::of(&args) {
            Ok(place) => place,
            Err(error) => return Ok(report.error(&error)),
        };
        match at_once(&args, &place, &report) {
            Some(exit) => Ok(exit),
            None => on_one_thread(run(args, &place, &report)),
        }
    }));
    let exit = match done {
        Ok(Ok(exit)) => return report.finish(exit),
        Ok(Err(error)) => {
            let failure = OsFailure::new("start the runtime", error.to_string());
            let failure = error.raw_os_error().into_iter().fold(failure, OsFailure::errno);
            report.error(&failure.into())
        }
        Err(panic) => {
            report.failure("internal", &panic_text(panic.as_ref()), &Step::DoctorAll.into(), Exit::Failed)
        }
    };
    report.finish(if runs_program { Exit::WrapperFailed } else { exit })
}

/// Parses the command line. The `Command` is never dropped: dropping takes as long as parsing, and the process either
/// ends soon or has work to do.
fn parse() -> Result<Args, clap::Error> {
    let line: Vec<OsString> = env::args_os().collect();
    if let Some(args) = Args::of_up(&line) {
        return Ok(args);
    }
    let grammar = if pages::are_wanted(&line) { pages::command() } else { Args::command() };
    let mut command = ManuallyDrop::new(grammar);
    let matches = command.try_get_matches_from_mut(line);
    matches
        .and_then(|mut matches| Args::from_arg_matches_mut(&mut matches))
        .map_err(|error| error.format(&mut command))
}

/// A runtime's descriptors, and some more. tokio panics if too few descriptors are free.
const RUNTIME_DESCRIPTORS: usize = 8;

fn on_one_thread(work: impl Future<Output = Exit>) -> io::Result<Exit> {
    let spare = File::open("/dev/null")?;
    drop((0..RUNTIME_DESCRIPTORS).map(|_| spare.try_clone()).collect::<io::Result<Vec<_>>>()?);
    drop(spare);
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("an internal error: {}", text.unwrap_or("without a message"))
}

/// Carries out a verb without a runtime; `None` if the verb needs a runtime.
fn at_once(args: &Args, place: &Place, report: &Report) -> Option<Exit> {
    let dir = place.dir();
    match &args.verb {
        Verb::Up(up) => match &up.session {
            Some(session) => start::up::at_once(place, session, up, report),
            None => start::project::misuse(up, report),
        },
        Verb::Init => Some(start::init::run(args.common.file.as_deref(), report)),
        Verb::Ls(ls) if ls.all => Some(look::roots::run(report)),
        Verb::Ls(ls) => Some(look::ls::run(dir, ls, report)),
        Verb::Show { session } => Some(look::show::run(dir, session, report)),
        Verb::Status(status) => Some(look::status::run(dir, status, report)),
        Verb::Signal(signal) => Some(end::signal::run(dir, signal, report)),
        Verb::Rm(rm) => Some(end::rm::run(dir, rm, report)),
        Verb::Logs(logs) if !logs.follow => Some(look::logs::run(dir, logs, report)),
        Verb::Unlock(unlock) => Some(end::unlock::run(dir, unlock, report)),
        Verb::Gc(gc) => Some(end::gc::run(dir, gc, report)),
        Verb::Doctor { session } => Some(look::doctor::run(dir, session.as_ref(), report)),
        Verb::Completions(completions) => Some(setup::completions::run(completions, report)),
        Verb::Man(man) => Some(setup::man::run(dir, man, report)),
        Verb::Schema { name } => Some(look::schema::run(name.as_deref(), report)),
        Verb::Logs(_)
        | Verb::Restart(_)
        | Verb::Stop(_)
        | Verb::Wait(_)
        | Verb::Events(_)
        | Verb::Call(_)
        | Verb::Probe { .. }
        | Verb::Pool(_)
        | Verb::Lifecycle(_)
        | Verb::Claim(_)
        | Verb::Supervise(_)
        | Verb::Worker(_)
        | Verb::Demo => None,
    }
}

async fn run(args: Args, place: &Place, report: &Report) -> Exit {
    let dir = place.dir();
    match args.verb {
        Verb::Up(up) => match &up.session {
            Some(session) => start::up::run(place, session, &up, report).await,
            None => start::project::run(place, &up, report).await,
        },
        Verb::Init => start::init::run(args.common.file.as_deref(), report),
        Verb::Ls(ls) if ls.all => look::roots::run(report),
        Verb::Ls(ls) => look::ls::run(dir, &ls, report),
        Verb::Show { session } => look::show::run(dir, &session, report),
        Verb::Restart(restart) => start::restart::run(dir, &restart, report).await,
        Verb::Status(status) => look::status::run(dir, &status, report),
        Verb::Wait(wait) => look::wait::run(dir, &wait, report).await,
        Verb::Events(events) => look::events::run(dir, &events, report).await,
        Verb::Signal(signal) => end::signal::run(dir, &signal, report),
        Verb::Rm(rm) => end::rm::run(dir, &rm, report),
        Verb::Logs(logs) => look::logs::follow(dir, &logs, report).await,
        Verb::Stop(stop) => end::down::run(place, &stop, report).await,
        Verb::Call(call) => start::call::run(dir, &call, report).await,
        Verb::Probe { target } => look::probe::run(&target, report).await,
        Verb::Unlock(unlock) => end::unlock::run(dir, &unlock, report),
        Verb::Gc(gc) => end::gc::run(dir, &gc, report),
        Verb::Doctor { session } => look::doctor::run(dir, session.as_ref(), report),
        Verb::Schema { name } => look::schema::run(name.as_deref(), report),
        Verb::Pool(verb) => programs::pool::run(dir, verb, report).await,
        Verb::Lifecycle(verb) => programs::lifecycle::run(dir, verb, report).await,
        Verb::Claim(claim) => programs::claim::run(dir, &claim, report).await,
        Verb::Supervise(supervise) => programs::supervise::run(supervise, report).await,
        Verb::Worker(worker) => programs::worker::run(&worker, report).await,
        Verb::Demo => programs::demo::run(report).await,
        Verb::Completions(completions) => setup::completions::run(&completions, report),
        Verb::Man(man) => setup::man::run(dir, &man, report),
    }
}

fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt().with_max_level(level).with_writer(|| Log).with_target(false).init();
}
