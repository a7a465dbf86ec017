//! `rekindle stop`

use crate::args::StopArgs;
use crate::command::sessions;
use crate::report::{Exit, Report};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rekindle::frontend::Shown;
use rekindle::{
    Error, LeftOut, Listing, SessionId, SessionState, Sessions, Step, StopOutcome, Stopped, Tidied,
};
use std::path::Path;

pub(crate) async fn run(dir: Option<&Path>, args: &StopArgs, report: &Report) -> Exit {
    let (sessions, (targets, left_out)) =
        match sessions(dir).and_then(|it| targets(&it, args).map(|targets| (it, targets))) {
            Ok(found) => found,
            Err(error) => return report.error(&error),
        };
    let change = args.ending.change();
    // The stops run side by side, so a slow worker delays no other. Each result is shown at once.
    let mut stops: FuturesUnordered<_> =
        targets.iter().map(|it| sessions.stop_as_recorded(it, &change)).collect();
    let mut worst = report.left_out(&left_out);
    while let Some(ended) = stops.next().await {
        worst = worst.or_worse(match ended {
            Ok(stopped) => show(&stopped, report),
            Err(error) => report.error(&error),
        });
    }
    worst
}

/// The sessions to stop, and the sessions that could not be read.
fn targets(sessions: &Sessions, args: &StopArgs) -> Result<(Vec<SessionId>, Vec<LeftOut>), Error> {
    if !args.all {
        return Ok((args.sessions.clone(), Vec::new()));
    }
    let Listing { sessions, left_out } = sessions.list()?;
    let running = sessions.into_iter().filter(|it| it.state != SessionState::Exited);
    Ok((running.map(|it| it.session).collect(), left_out))
}

pub(crate) fn show(stopped: &Stopped, report: &Report) -> Exit {
    let text = stopped.to_string();
    if stopped.outcome == StopOutcome::GaveUp {
        let look = Step::Doctor(stopped.session.clone()).into();
        return report.failed(&text, &look, stopped, Exit::Failed);
    }
    for trouble in &stopped.trouble {
        report.progress(&format!("{}: {}", stopped.session, Shown(trouble)));
    }
    match &stopped.tidied {
        Tidied::Yes => {
            report.answer(&text, stopped);
            Exit::Done
        }
        // The worker is gone in any case.
        Tidied::No(advice) => {
            let why = stopped.trouble.last().map(|trouble| format!("; {trouble}")).unwrap_or_default();
            report.failed(&format!("{text}{why}"), advice, stopped, Exit::Failed)
        }
    }
}
