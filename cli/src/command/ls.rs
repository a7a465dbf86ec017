//! `rekindle ls`

use super::{pid_text, sessions};
use crate::report::{Exit, Report};
use rekindle::SessionSummary;
use serde_json::json;
use std::path::Path;

pub(crate) fn run(dir: Option<&Path>, report: &Report) -> Exit {
    match sessions(dir).and_then(|sessions| sessions.list()) {
        Ok(list) => {
            report.result(&table(&list), &json!(list));
            Exit::Done
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
        let state = json!(it.state).as_str().unwrap_or_default().to_owned();
        let pid = if it.pid.is_some() { pid_text(it.pid) } else { "-".to_owned() };
        let socket = it.socket.as_ref().map(|socket| socket.display().to_string()).unwrap_or_default();
        let started = it.started_at.clone().unwrap_or_default();
        [it.session.to_string(), state, pid, it.generation.to_string(), started, socket]
    });
    let rows: Vec<[String; 6]> = std::iter::once(header).chain(rows).collect();
    let widths: Vec<usize> =
        (0..6).map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0)).collect();
    let line = |row: &[String; 6]| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
