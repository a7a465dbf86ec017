//! The wait for the worker's listener on a TCP port.
//!
//! # Invariants
//! 1. A listener that no process of the worker holds is never taken for the worker's, unless the caller allowed it.
//!
//! Checked by `smoke/tests/smoke/endpoint/*.rs`.

use crate::endpoint::probe::Connection;
use crate::endpoint::tcp::{self, Listener};
use crate::ready::Site;
use crate::sys::backoff::Backoff;
use rekindle_core::plan::ForeignListener;
use rekindle_core::{Endpoint, OsFailure, WatchError};
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// Waits until the worker accepts a connection on the port.
pub(super) async fn await_connection(site: &Site<'_>, at: SocketAddr) -> Result<Connection, WatchError> {
    let mut backoff = Backoff::blind();
    loop {
        if let Some(found) = see_listener(site, at)?
            && let Some(to) = found.endpoint().tcp()
            // A listener of the table may refuse: it was just closed, or serves one family only.
            && let Ok(stream) = TcpStream::connect(to).await
        {
            let stream =
                stream.into_std().map_err(|error| OsFailure::new("use the connection", error.to_string()))?;
            return Ok(Connection::to_port(to, found.owner(), found.peer(), Some(stream)));
        }
        backoff.wait().await;
    }
}

/// Looks for the worker's listener once.
pub(super) fn see_listener(site: &Site<'_>, at: SocketAddr) -> Result<Option<Connection>, WatchError> {
    match (tcp::listener(at, site.worker())?, site.foreign()) {
        (Listener::Nobody, _) => {
            site.start.note_seen("no process listened on the port");
            Ok(None)
        }
        (Listener::Ours { owner, at, pid }, _) => Ok(Some(Connection::to_port(at, Some(owner), pid, None))),
        (Listener::Foreign { at, .. }, ForeignListener::Allowed) => {
            Ok(Some(Connection::to_port(at, None, None, None)))
        }
        (Listener::Foreign { who, .. }, ForeignListener::Refused) => {
            Err(WatchError::Stranger { address: Endpoint::Tcp(at), who })
        }
    }
}

/// The connection to a worker that became ready without any look at its endpoint. On a TCP port the worker's listener is
/// named, if there is one already.
///
/// # Errors
/// [`WatchError::Stranger`] if another process listens on the port.
pub(super) fn without_connect(site: &Site<'_>) -> Result<Connection, WatchError> {
    let found = match site.endpoint {
        Endpoint::Tcp(at) => see_listener(site, *at)?,
        Endpoint::Unix(_) | Endpoint::None => None,
    };
    Ok(found.unwrap_or_else(|| Connection::deferred(site.endpoint.clone())))
}
