//! The verbs: a folder for each group, a file for each verb.

pub(crate) mod end;
pub(crate) mod look;
pub(crate) mod programs;
pub(crate) mod setup;
pub(crate) mod start;

use rekindle::{Error, Liveness, Sessions};
use std::path::Path;

/// The sessions of `--dir`, or of this user.
pub(crate) fn sessions(dir: Option<&Path>) -> Result<Sessions, Error> {
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

/// The verdict on an address, as `probe` prints it.
fn verdict(liveness: Liveness) -> &'static str {
    match liveness {
        Liveness::Live => "alive",
        Liveness::Dormant => "dead",
        Liveness::Indeterminate => "indeterminate",
        Liveness::Forged => "forged",
    }
}
