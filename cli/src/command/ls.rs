//! `rekindle ls`

use super::{aligned, sessions};
use crate::report::{Exit, Report};
use rekindle::frontend::Shown;
use rekindle::{Listing, SessionSummary};
use serde_json::json;
use std::path::Path;

pub(crate) fn run(dir: Option<&Path>, report: &Report) -> Exit {
    match sessions(dir).and_then(|sessions| sessions.list()) {
        Ok(Listing { sessions, left_out }) => {
            report.result(&table(&sessions), || json!(sessions));
            report.left_out(&left_out)
        }
        Err(error) => report.error(&error),
    }
}

fn table(list: &[SessionSummary]) -> String {
    if list.is_empty() {
        return "no sessions".to_owned();
    }
    let header = ["SESSION", "STATE", "PID", "GENERATION", "STARTED", "SOCKET"].map(str::to_owned);
    let rows = list.iter().map(|it| {
        let pid = it.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let socket = it.socket.as_ref().map(|socket| Shown(socket).to_string()).unwrap_or_default();
        let started = it.started_at.clone().unwrap_or_default();
        [it.session.to_string(), it.state.to_string(), pid, it.generation.to_string(), started, socket]
    });
    aligned(&std::iter::once(header).chain(rows).collect::<Vec<_>>())
}
