//! Readiness by a command: a worker is ready when `/bin/sh -c COMMAND` exits with 0.
//!
//! Checked by `smoke/tests/smoke/ready/exec.rs`.

use super::Site;
use crate::endpoint::probe::Connection;
use rekindle_core::WatchError;

/// Runs the command until it succeeds.
pub(super) async fn await_success(_site: &Site<'_>, command: &str) -> Result<Connection, WatchError> {
    Err(WatchError::Unwatchable { ready: format!("exec={command}"), why: "not built yet".to_owned() })
}
