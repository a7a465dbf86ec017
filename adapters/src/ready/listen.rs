//! Readiness by listening: the kernel's socket table shows a listener at the worker's socket, without a connection.
//!
//! If the table shows the listener under another spelling of the path, a connection is made, and passed on.
//!
//! Checked by `smoke/tests/smoke/ready/listen.rs`.

use crate::endpoint::probe::{Connection, Look, Lookout, Probed};
use crate::sys::backoff::Backoff;
use crate::sys::linux::fs::watch::Happening;
use rekindle_core::WatchError;
use std::path::Path;

/// Waits for a listener.
pub(super) async fn await_listener(socket: &Path) -> Result<Connection, WatchError> {
    let (mut backoff, mut lookout) = (pauses(socket), Lookout::at(socket));
    loop {
        if let Some(connection) = see_listener(&mut lookout, socket)? {
            return Ok(connection);
        }
        backoff.wait().await;
    }
}

/// The pauses between two looks for a listener.
pub(super) fn pauses(socket: &Path) -> Backoff {
    Backoff::at(socket.parent().unwrap_or(socket), Happening::NameAppears)
}

/// Looks for a listener once; `None` if another look is needed.
pub(super) fn see_listener(
    lookout: &mut Lookout<'_>,
    socket: &Path,
) -> Result<Option<Connection>, WatchError> {
    match lookout.look_gently() {
        Look::Found(Probed::Live(connection)) => Ok(Some(connection)),
        Look::Found(Probed::Forged { why }) => Err(WatchError::Forged { path: socket.to_owned(), why }),
        // Missing, not listening yet, or busy: none of these is a decision.
        Look::Found(Probed::Dormant { .. } | Probed::Indeterminate { .. }) | Look::Absent | Look::Busy => {
            Ok(None)
        }
    }
}
