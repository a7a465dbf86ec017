//! Readiness by running: a worker is ready when the program still runs after a while.
//!
//! Checked by `smoke/tests/smoke/ready/running.rs`.

use super::Site;
use crate::endpoint::probe::Connection;
use rekindle_core::WatchError;

/// Waits until the program has run long enough.
pub(super) async fn await_settled(_site: &Site<'_>) -> Result<Connection, WatchError> {
    Err(WatchError::Unwatchable { ready: "running".to_owned(), why: "not built yet".to_owned() })
}
