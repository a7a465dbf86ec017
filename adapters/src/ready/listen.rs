//! Readiness by listening: somebody listens at the worker's socket, as the kernel's table of sockets tells without a
//! connection.
//!
//! A listener that the table knows by another spelling is connected to after all, and that connection is handed on.
//!
//! Checked by `smoke/tests/smoke/ready/listen.rs`.

use crate::endpoint::probe::{Connection, Look, Lookout, Probed};
use crate::sys::backoff::Backoff;
use crate::sys::linux::fs::watch::Happening;
use rekindle_core::WatchError;
use std::path::Path;

/// Waits until somebody listens.
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

/// A look for a listener; `None` if it has to be looked for again.
pub(super) fn see_listener(
    lookout: &mut Lookout<'_>,
    socket: &Path,
) -> Result<Option<Connection>, WatchError> {
    match lookout.look_gently() {
        Look::Found(Probed::Live(connection)) => Ok(Some(connection)),
        Look::Found(Probed::Forged { why }) => Err(WatchError::Forged { path: socket.to_owned(), why }),
        // Not there yet, not listening yet, or too busy: none of it is an answer.
        Look::Found(Probed::Dormant { .. } | Probed::Indeterminate { .. }) | Look::Absent | Look::Busy => {
            Ok(None)
        }
    }
}
