//! Readiness by connect: a worker is ready when its endpoint accepts a connection. The connection is passed on.
//!
//! Checked by `smoke/tests/smoke/probe/watch.rs`.

use crate::endpoint::probe::{Connection, Look, Lookout, Probed};
use crate::sys::backoff::Backoff;
use crate::sys::linux::fs::watch::Happening;
use async_trait::async_trait;
use rekindle_core::seams::SocketWatcher;
use rekindle_core::{Endpoint, ReadyKind, WatchError};

/// Watches a Unix socket by polling, with growing pauses.
#[derive(Debug, Default, Clone, Copy)]
pub struct PollingSocketWatcher;

#[async_trait]
impl SocketWatcher<Connection> for PollingSocketWatcher {
    /// Watches no TCP port: without a start, no one can tell whose listener it is.
    async fn await_socket_alive(&self, endpoint: &Endpoint) -> Result<Connection, WatchError> {
        let Some(socket) = endpoint.socket() else {
            let why = format!("`{endpoint}` is no Unix socket");
            return Err(WatchError::Unwatchable { ready: ReadyKind::Connect.to_string(), why });
        };
        let mut backoff = Backoff::at(socket.parent().unwrap_or(socket), Happening::NameAppears);
        let mut lookout = Lookout::at(socket);
        loop {
            match lookout.look() {
                Look::Found(Probed::Live(connection)) => {
                    backoff.end_later();
                    return Ok(connection);
                }
                Look::Found(Probed::Forged { why } | Probed::Foreign { who: why }) => {
                    return Err(WatchError::Forged { path: socket.to_owned(), why });
                }
                // Missing, not listening yet, or busy: none of these is a decision.
                Look::Absent => backoff.wait_until_told().await,
                // No event reports a `listen` or an `accept`.
                Look::Found(Probed::Dormant { .. } | Probed::Indeterminate { .. }) | Look::Busy => {
                    backoff.wait().await;
                }
            }
        }
    }
}
