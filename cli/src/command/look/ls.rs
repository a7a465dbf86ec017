//! `rekindle ls`

use crate::command::{aligned, sessions};
use crate::report::{Exit, Report};
use rekindle::{Endpoint, SessionSummary};
use std::path::Path;

pub(crate) fn run(dir: Option<&Path>, report: &Report) -> Exit {
    match sessions(dir).and_then(|sessions| sessions.list()) {
        Ok(listing) => {
            report.answer(&table(&listing.sessions), &listing);
            report.left_out(&listing.left_out)
        }
        Err(error) => report.error(&error),
    }
}

pub(super) fn table(list: &[SessionSummary]) -> String {
    if list.is_empty() {
        return "no sessions".to_owned();
    }
    let header = ["SESSION", "STATE", "PID", "GENERATION", "STARTED", "ADDRESS"].map(str::to_owned);
    let rows = list.iter().map(|it| {
        let pid = it.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let address = it.address.as_ref().map(Endpoint::in_words).unwrap_or_default();
        let started = it.started_at.clone().unwrap_or_default();
        [it.session.to_string(), it.state.to_string(), pid, it.generation.to_string(), started, address]
    });
    aligned(&std::iter::once(header).chain(rows).collect::<Vec<_>>())
}
