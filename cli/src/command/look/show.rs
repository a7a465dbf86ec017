//! `rekindle show`

use crate::command::sessions;
use crate::report::{Exit, Report, laid_out};
use rekindle::SessionId;
use std::path::Path;

pub(crate) fn run(dir: Option<&Path>, session: &SessionId, report: &Report) -> Exit {
    match sessions(dir).and_then(|sessions| sessions.show(session)) {
        Ok(view) => {
            // People get the same JSON as programs, laid out on several lines.
            report.answer(&laid_out(&view), &view);
            Exit::Done
        }
        Err(error) => report.error(&error),
    }
}
