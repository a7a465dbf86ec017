//! The wait for the worker's listener on a TCP port.
//!
//! # Invariants
//! 1. A listener that is not the worker's is never taken for the worker's, unless the caller allowed it.
//! 2. A connection counts only if the listener was the worker's before and after the connect.
//!
//! Checked by `smoke/tests/smoke/endpoint/*.rs`.

use crate::endpoint::probe::Connection;
use crate::endpoint::tcp::{Asked, Found, Listener};
use crate::ready::Site;
use crate::sys::backoff::Backoff;
use rekindle_core::ownership::Network;
use rekindle_core::{Endpoint, OsFailure, WatchError};
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// Waits until the worker accepts a connection on the port.
pub(super) async fn await_connection(site: &Site<'_>, at: SocketAddr) -> Result<Connection, WatchError> {
    let mut backoff = Backoff::blind();
    loop {
        if let Some(found) = find(site, at)?
            && let Some(connection) = connect(site, at, &found).await?
        {
            return Ok(connection);
        }
        backoff.wait().await;
    }
}

/// Looks for the worker's listener once.
pub(super) fn see_listener(site: &Site<'_>, at: SocketAddr) -> Result<Option<Connection>, WatchError> {
    Ok(find(site, at)?.map(|found| found.connection(None)))
}

/// Connects to the worker's listener; `None` if another look is needed.
async fn connect(site: &Site<'_>, at: SocketAddr, found: &Found) -> Result<Option<Connection>, WatchError> {
    match found.network {
        // No connection from here arrives there; the kernel accepts for a listener.
        Network::Elsewhere => return Ok(Some(found.connection(None))),
        Network::Here => {}
    }
    let stream = match TcpStream::connect(found.at).await {
        Ok(stream) => stream,
        // The listener may have been closed just now, or serve another family.
        Err(error) => {
            site.start.note_seen(format!("a process listened on the port, and {error}"));
            return Ok(None);
        }
    };
    if !found.is_confirmed(&asked(site, at)) {
        return Ok(None);
    }
    let stream =
        stream.into_std().map_err(|error| OsFailure::new("use the connection", error.to_string()))?;
    Ok(Some(found.connection(Some(stream))))
}

fn find(site: &Site<'_>, at: SocketAddr) -> Result<Option<Found>, WatchError> {
    match asked(site, at).listener()? {
        Listener::Nobody | Listener::RelayToNobody => {
            site.start.note_seen("no process listened on the port");
            Ok(None)
        }
        Listener::Found(found) => Ok(Some(found)),
        Listener::Foreign(who) => {
            Err(WatchError::Stranger { address: Endpoint::Tcp(at), who: who.to_string() })
        }
    }
}

fn asked<'s>(site: &'s Site<'_>, at: SocketAddr) -> Asked<'s> {
    Asked { at, worker: site.worker(), foreign: site.foreign() }
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
