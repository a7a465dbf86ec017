//! The verbs, one file each.

pub(crate) mod call;
pub(crate) mod demo;
pub(crate) mod ls;
pub(crate) mod probe;
pub(crate) mod show;
pub(crate) mod stop;
pub(crate) mod up;
pub(crate) mod worker;

use rekindle::{Error, Sessions};
use std::path::Path;

/// The sessions of `--dir`, or of this user.
fn sessions(dir: Option<&Path>) -> Result<Sessions, Error> {
    match dir {
        Some(dir) => Sessions::open(std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned())),
        None => Sessions::open_default(),
    }
}

/// A pid for people.
fn pid_text(pid: Option<rekindle::core::Pid>) -> String {
    pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string())
}
