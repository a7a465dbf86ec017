//! `rekindle signal`

use crate::args::SignalArgs;
use crate::command::sessions;
use crate::report::{Exit, Report};
use rekindle::Whom;
use rekindle::json::watch::SignalJson;
use std::path::Path;

pub(crate) fn run(dir: Option<&Path>, args: &SignalArgs, report: &Report) -> Exit {
    let whom = if args.group { Whom::Group } else { Whom::Leader };
    match sessions(dir).and_then(|sessions| sessions.signal(&args.session, args.signal, whom)) {
        Ok(signalled) => {
            let answer = SignalJson {
                outcome: "signalled",
                session: &signalled.session,
                generation: signalled.generation,
                signal: signalled.signal.to_string(),
                pids: &signalled.pids,
            };
            report.answer(&signalled, answer);
            Exit::Done
        }
        Err(error) => report.error(&error),
    }
}
