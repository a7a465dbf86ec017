//! Readiness by a line of output: a worker is ready when a line of this start matches a pattern.
//!
//! Checked by `smoke/tests/smoke/ready/line.rs`.

use super::Site;
use crate::endpoint::probe::Connection;
use rekindle_core::WatchError;

/// Reads the logs until a line matches.
pub(super) async fn await_line(_site: &Site<'_>, pattern: &str) -> Result<Connection, WatchError> {
    Err(WatchError::Unwatchable { ready: format!("line={pattern}"), why: "not built yet".to_owned() })
}
