//! The verbs: a folder for each group, a file for each verb.

pub(crate) mod end;
pub(crate) mod look;
pub(crate) mod programs;
pub(crate) mod setup;
pub(crate) mod start;

use rekindle::{Error, Sessions};
use std::path::Path;

/// The sessions of `--dir`, or of this user.
fn sessions(dir: Option<&Path>) -> Result<Sessions, Error> {
    let sessions = match dir {
        Some(dir) => Sessions::open(std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned())),
        None => Sessions::open_default(),
    };
    sessions.map(Sessions::spawn_on_calling_thread)
}

/// A pid for people.
fn pid_text(pid: Option<rekindle::Pid>) -> String {
    pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string())
}

/// Rows under each other, column by column.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
