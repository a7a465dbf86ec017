//! `rekindle show`

use crate::command::sessions;
use crate::report::{Exit, Report, laid_out};
use rekindle::SessionId;
use serde_json::json;
use std::path::Path;

pub(crate) fn run(dir: Option<&Path>, session: &SessionId, report: &Report) -> Exit {
    match sessions(dir).and_then(|sessions| sessions.show(session)) {
        Ok(view) => {
            let json = json!(view);
            // People get the same JSON as programs, laid out on several lines.
            report.result(&laid_out(&json), || json);
            Exit::Done
        }
        Err(error) => report.error(&error),
    }
}
