//! `rekindle unlock`

use crate::args::UnlockArgs;
use crate::command::sessions;
use crate::report::{Exit, Report};
use rekindle::json::end::OfSession;
use rekindle::{Force, SessionId, Unlocked};
use std::path::Path;

pub(crate) fn run(dir: Option<&Path>, args: &UnlockArgs, report: &Report) -> Exit {
    if args.forget {
        forget(dir, &args.session, report)
    } else {
        clear(dir, &args.session, args.force, report)
    }
}

fn forget(dir: Option<&Path>, session: &SessionId, report: &Report) -> Exit {
    match sessions(dir).and_then(|sessions| sessions.forget(session)) {
        Ok(forgotten) => {
            report.answer(&forgotten, &forgotten);
            Exit::Done
        }
        Err(error) => report.error(&error),
    }
}

fn clear(dir: Option<&Path>, session: &SessionId, force: bool, report: &Report) -> Exit {
    let force = if force { Force::Yes } else { Force::No };
    match sessions(dir).and_then(|sessions| sessions.unlock(session, force)) {
        Ok(unlocked) => {
            let text = match unlocked {
                Unlocked::NotLocked => format!("{session} is not locked"),
                Unlocked::Unlocked { .. } => format!("unlocked {session}"),
            };
            report.answer(&text, OfSession { session, answer: &unlocked });
            Exit::Done
        }
        Err(error) => report.error(&error),
    }
}
