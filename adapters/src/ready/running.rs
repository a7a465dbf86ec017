//! Readiness by running: a worker is ready when the program still runs after a while.
//!
//! # Invariants
//! 1. The exit watch runs beside this watch, and an exit beats readiness: a program that ends within the time is never
//!    ready. A worker whose leader has ended runs as long as a process holds the lifeline.
//! 2. For an adopted worker the time begins with the adoption.
//!
//! Checked by `smoke/tests/smoke/ready/running.rs`.

use super::Site;
use crate::endpoint::probe::Connection;
use crate::ready::port;
use rekindle_core::WatchError;
use tokio::time::sleep;

/// Waits until the program has run long enough.
pub(super) async fn await_settled(site: &Site<'_>) -> Result<Connection, WatchError> {
    let settle = site.start.settle_time();
    site.start.note_seen(format!("the program ran, and `--settle` asks for {} ms", settle.as_millis()));
    sleep(settle).await;
    port::without_connect(site)
}
