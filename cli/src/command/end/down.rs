//! `rekindle stop` and `rekindle down`: named sessions side by side; all sessions of a project in reverse order of `after`.

use super::stop;
use crate::args::StopArgs;
use crate::command::start::project::progress::Progress;
use crate::place::Place;
use crate::report::{Exit, Report};
use rekindle::json::project::SummaryJson;
use rekindle::project::{Happening, Project};
use rekindle::{Advice, Error, Listing, SessionState, Step};

pub(crate) async fn run(place: &Place, args: &StopArgs, report: &Report) -> Exit {
    if !args.sessions.is_empty() {
        return stop::run(place.dir(), args, report).await;
    }
    match place.project() {
        Ok(Some(project)) => return all_of(place, &project, args, report).await,
        Ok(None) if args.all => {}
        Ok(None) => {
            let message = "no session was named, and there is no rekindle.toml here or above";
            let advice = Advice::from(Step::Help(Some("stop"))).knowing("name the sessions, or add --all");
            return report.failure("usage", message, &advice, Exit::Usage);
        }
        // Workers can be ended whatever a file says.
        Err(error) if args.all => report.progress(&format!("{error}; so the sessions end in no order")),
        Err(error) => return report.error(&Error::from(error)),
    }
    stop::run(place.dir(), args, report).await
}

async fn all_of(place: &Place, project: &Project, args: &StopArgs, report: &Report) -> Exit {
    let sessions = match crate::command::sessions(place.dir()) {
        Ok(sessions) => sessions,
        Err(error) => return report.error(&error),
    };
    let Listing { sessions: listed, left_out } = match sessions.list() {
        Ok(listing) => listing,
        Err(error) => return report.error(&error),
    };
    let running = listed.into_iter().filter(|it| it.state != SessionState::Exited).map(|it| it.session);
    let change = args.ending.change();
    let mut worst = report.left_out(&left_out);
    let mut summary = SummaryJson::new(project.file(), sessions.dir());
    let progress = Progress::new(report, "stopping");
    let down = project.down(&sessions, running, &change, |happening| match happening {
        Happening::Begun(session) => progress.begun(session),
        Happening::Ended { session, outcome, .. } => progress.ended(session, || {
            let exit = match outcome {
                Ok(stopped) => stop::show(stopped, report),
                // The session never ran here.
                Err(Error::UnknownSession { .. }) => return,
                Err(error) => report.error(error),
            };
            if exit == Exit::Done {
                summary.done.push(session.clone());
            } else {
                summary.fail(session, sessions.stderr_log(session));
            }
            worst = worst.or_worse(exit);
        }),
        Happening::Skipped { .. } => unreachable!("on the way down no session is skipped"),
    });
    tokio::select! {
        _ = down => {}
        () = progress.ticks() => unreachable!("the spinners turn for as long as it takes"),
    }
    if report.is_json() {
        report.answer(&"", summary);
    }
    worst
}
