//! Readiness by HTTP: a worker is ready when it answers `GET PATH` with a status from 200 to 399.
//!
//! Checked by `smoke/tests/smoke/ready/http.rs`.

use super::Site;
use crate::endpoint::probe::Connection;
use rekindle_core::WatchError;
use rekindle_core::readiness::RequestPath;

/// Asks until the worker answers well.
pub(super) async fn await_answer(_site: &Site<'_>, path: &RequestPath) -> Result<Connection, WatchError> {
    Err(WatchError::Unwatchable { ready: format!("http={path}"), why: "not built yet".to_owned() })
}
