//! `rekindle status`

use crate::args::StatusArgs;
use crate::command::sessions;
use crate::report::{Exit, Report};
use rekindle::json::watch::StatusJson;
use rekindle::{SessionStatus, Standing};
use std::path::Path;

/// The codes are those of the Linux Standard Base for `status`.
const UNKNOWN: Exit = Exit::Program(4);

pub(crate) fn run(dir: Option<&Path>, args: &StatusArgs, report: &Report) -> Exit {
    let statuses = match sessions(dir).and_then(|sessions| sessions.status(&args.sessions)) {
        Ok(statuses) => statuses,
        Err(error) => {
            report.error(&error);
            return UNKNOWN;
        }
    };
    let lines: Vec<String> = statuses.iter().map(SessionStatus::to_string).collect();
    let text = if lines.is_empty() { "no sessions".to_owned() } else { lines.join("\n") };
    report.answer(&text, StatusJson { sessions: &statuses });
    match statuses.iter().map(|status| status.standing).max() {
        None | Some(Standing::Live) => Exit::Done,
        Some(Standing::NotRunning) => Exit::Refused,
        Some(Standing::Unknown) => UNKNOWN,
    }
}
