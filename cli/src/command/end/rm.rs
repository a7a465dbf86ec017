//! `rekindle rm`

use crate::args::RmArgs;
use crate::command::sessions;
use crate::report::{Exit, Report};
use rekindle::json::watch::RemoveJson;
use rekindle::{Collected, Collection, FailedRuns, Kept, KeptBecause, SessionId, Sessions};
use std::path::Path;

pub(crate) fn run(dir: Option<&Path>, args: &RmArgs, report: &Report) -> Exit {
    let sessions = match sessions(dir) {
        Ok(sessions) => sessions,
        Err(error) => return report.error(&error),
    };
    let failed_runs = if args.force { FailedRuns::Remove } else { FailedRuns::Keep };
    let removed = args.sessions.iter().map(|session| remove(&sessions, session, failed_runs, report));
    removed.fold(Exit::Done, Exit::or_worse)
}

fn remove(sessions: &Sessions, session: &SessionId, failed_runs: FailedRuns, report: &Report) -> Exit {
    let only = vec![session.clone()];
    match sessions.gc(&Collection { failed_runs, only, ..Collection::default() }) {
        Ok(Collected { kept, .. }) => match kept.first() {
            Some(kept) => refuse(kept, report),
            None => {
                let answer =
                    RemoveJson { outcome: "removed", session, because: None::<KeptBecause>, why: None };
                report.answer(&format!("removed {session}"), answer);
                Exit::Done
            }
        },
        Err(error) => report.error(&error),
    }
}

fn refuse(kept: &Kept, report: &Report) -> Exit {
    let Kept { session, why, because } = kept;
    let answer = RemoveJson { outcome: "kept", session, because: Some(*because), why: Some(why) };
    let exit = if *because == KeptBecause::Error { Exit::Failed } else { Exit::Refused };
    report.failed(&format!("kept {kept}"), &kept.advice(), answer, exit)
}
