//! `rekindle show`

use crate::command::sessions;
use crate::report::{Exit, Report, terminal_width};
use crate::text::show::{Portrait, page};
use rekindle::frontend::now;
use rekindle::{SessionId, SessionState, Step};
use std::path::Path;

pub(crate) fn run(dir: Option<&Path>, session: &SessionId, report: &Report) -> Exit {
    let found = sessions(dir).and_then(|sessions| sessions.show(session).map(|view| (sessions, view)));
    match found {
        Ok((sessions, view)) => {
            let text = || {
                let tails = sessions.log_tails(session);
                let next: Vec<String> =
                    next(session, view.status).iter().map(|step| report.type_out(step)).collect();
                page(&Portrait { session, view: &view, tails: &tails, next: &next }, now(), terminal_width())
            };
            report.page(text, &view);
            Exit::Done
        }
        Err(error) => report.error(&error),
    }
}

/// What people mostly type next.
fn next(session: &SessionId, state: SessionState) -> Vec<Step> {
    let session = || session.clone();
    let logs = Step::Logs(session());
    match state {
        SessionState::Live => vec![logs, Step::Stop(session())],
        SessionState::Exited => vec![logs, Step::Restart(session())],
        SessionState::Starting
        | SessionState::Unresponsive
        | SessionState::Retained
        | SessionState::Corrupt => vec![logs, Step::Doctor(session())],
    }
}
