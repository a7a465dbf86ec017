//! `rekindle up` without a session: all sessions of the project file.

pub(crate) mod progress;

use super::up::{self, interrupted};
use crate::args::UpArgs;
use crate::place::Place;
use crate::report::{Exit, Report};
use progress::Progress;
use rekindle::frontend::Shown;
use rekindle::json::project::{SkippedJson, SummaryJson};
use rekindle::project::{Happening, Project, ProjectError};
use rekindle::{Advice, Error, SessionId, Sessions, Step};

/// An option that describes one session, if the command line has one.
fn of_one_session(args: &UpArgs) -> Option<&'static str> {
    let given = [
        ("a program", !args.command.is_empty()),
        ("--address", args.address.is_some()),
        ("--socket", args.socket.is_some()),
        ("--allow-foreign-listener", args.allow_foreign_listener),
        ("--ready", args.ready.is_some()),
        ("--settle", args.settle.is_some()),
        ("--env-file", !args.env_file.is_empty()),
        ("--env-only", !args.env_only.is_empty()),
        ("--speak", args.speak.is_some()),
        ("--cwd", args.cwd.is_some()),
        ("--env", !args.env.is_empty()),
        ("--clear-env", args.clear_env),
        ("--prompt", args.prompt.is_some()),
    ];
    given.into_iter().find(|(_, is_given)| *is_given).map(|(name, _)| name)
}

/// Refuses a command line that describes a session and names none.
pub(crate) fn misuse(args: &UpArgs, report: &Report) -> Option<Exit> {
    let option = of_one_session(args)?;
    let message = format!("no session was named, and {option} is for one session");
    let advice = Advice::from(Step::Help(Some("up")))
        .knowing("name the session; without a name, all sessions of rekindle.toml are started");
    Some(report.failure("usage", &message, &advice, Exit::Usage))
}

pub(crate) async fn run(place: &Place, args: &UpArgs, report: &Report) -> Exit {
    let project = match place.required_project() {
        Ok(project) => project.map_launches(|launch| up::with_options(launch, args)),
        Err(error @ ProjectError::NotFound { .. }) => {
            let error = Error::from(error);
            return report.failure(error.reason(), &error.to_string(), &error.advice(), Exit::Usage);
        }
        Err(error) => return report.error(&Error::from(error)),
    };
    let opened = if args.dry_run { crate::command::sessions(place.dir()) } else { place.sessions_to_start() };
    let sessions = match opened {
        Ok(sessions) => sessions,
        Err(error) => return report.error(&error),
    };
    if args.dry_run {
        return dry_run(&project, &sessions, report).await;
    }
    let progress = Progress::new(report, "starting");
    tokio::select! {
        exit = start(&project, &sessions, &progress, report) => exit,
        () = progress.ticks() => unreachable!("the spinners turn for as long as it takes"),
        () = interrupted() => {
            progress.clear();
            let advice = Advice::from(Step::Again).knowing("the workers go on, and the same command waits for them");
            report.failure("interrupted", "interrupted", &advice, Exit::Interrupted)
        }
    }
}

async fn start(project: &Project, sessions: &Sessions, progress: &Progress<'_>, report: &Report) -> Exit {
    let mut summary = SummaryJson::new(project.file(), sessions.dir());
    let mut worst = Exit::Done;
    let counted = project.up(sessions, |happening| match happening {
        Happening::Begun(session) => progress.begun(session),
        Happening::Ended { session, outcome, elapsed } => progress.ended(session, || {
            let exit = match outcome {
                Ok(ensured) => up::show(session, ensured, elapsed, report),
                Err(error) => up::failed(session, error, report),
            };
            if exit == Exit::Done {
                summary.done.push(session.clone());
            } else {
                let log = sessions.stderr_log(session);
                if let (Some(log), false) = (&log, report.is_json()) {
                    report.progress(&format!("the log of {session}: {}", Shown(log)));
                }
                summary.fail(session, log);
            }
            worst = worst.or_worse(exit);
        }),
        Happening::Skipped { session, because } => progress.ended(session, || {
            worst = worst.or_worse(skipped(session, because, report));
            summary.skip(session, because);
        }),
    });
    let counted = counted.await;
    if report.is_json() {
        report.answer(&"", summary);
    } else if worst != Exit::Done {
        let (done, failed, skipped) = (counted.done, counted.failed, counted.skipped);
        report.progress(&format!("{done} of the sessions run, {failed} failed, {skipped} were not started"));
    }
    worst
}

fn skipped(session: &SessionId, because: &SessionId, report: &Report) -> Exit {
    let message = format!("{session} was not started: it starts after {because}, which failed");
    report.failed(&message, &Advice::nothing(), SkippedJson::new(session, because), Exit::Failed)
}

async fn dry_run(project: &Project, sessions: &Sessions, report: &Report) -> Exit {
    let mut worst = Exit::Done;
    for session in project.sequence() {
        if let Some(launch) = project.launch(&session) {
            worst = worst.or_worse(up::dry_run(sessions, &session, launch, report).await);
        }
    }
    worst
}
