//! Readiness by listening: the kernel's socket table shows a listener at the worker's socket, without a connection.
//!
//! If the table shows the listener under another spelling of the path, a connection is made, and passed on.
//!
//! Checked by `smoke/tests/smoke/ready/listen.rs`.

use crate::endpoint::probe::{Connection, Look, Lookout, Probed};
use crate::ready::{Site, port};
use crate::sys::backoff::Backoff;
use crate::sys::linux::fs::watch::Happening;
use rekindle_core::{Endpoint, WatchError};
use std::net::SocketAddr;
use std::path::Path;

/// Waits for a listener.
pub(super) async fn await_listener(site: &Site<'_>) -> Result<Connection, WatchError> {
    let (mut backoff, mut lookout) = (pauses(site.endpoint), ListenerLookout::at(site));
    loop {
        if let Some(connection) = lookout.look()? {
            return Ok(connection);
        }
        backoff.wait().await;
    }
}

/// The pauses between two looks for a listener.
pub(super) fn pauses(endpoint: &Endpoint) -> Backoff {
    match endpoint {
        Endpoint::Unix(socket) => Backoff::at(socket.parent().unwrap_or(socket), Happening::NameAppears),
        Endpoint::Tcp(_) | Endpoint::None => Backoff::blind(),
    }
}

/// Looks for a listener at an endpoint, repeatedly.
pub(super) enum ListenerLookout<'s> {
    Socket(&'s Path, Lookout<'s>),
    Port(&'s Site<'s>, SocketAddr),
    /// Without an endpoint there is no listener to wait for.
    Nowhere,
}

impl<'s> ListenerLookout<'s> {
    pub(super) fn at(site: &'s Site<'s>) -> Self {
        match site.endpoint {
            Endpoint::Unix(socket) => Self::Socket(socket, Lookout::at(socket)),
            Endpoint::Tcp(at) => Self::Port(site, *at),
            Endpoint::None => Self::Nowhere,
        }
    }

    /// Looks once; `None` if another look is needed.
    pub(super) fn look(&mut self) -> Result<Option<Connection>, WatchError> {
        match self {
            Self::Socket(socket, lookout) => see_listener(lookout, socket),
            Self::Port(site, at) => port::see_listener(site, *at),
            Self::Nowhere => Ok(Some(Connection::deferred(Endpoint::None))),
        }
    }
}

fn see_listener(lookout: &mut Lookout<'_>, socket: &Path) -> Result<Option<Connection>, WatchError> {
    match lookout.look_gently() {
        Look::Found(Probed::Live(connection)) => Ok(Some(connection)),
        Look::Found(Probed::Forged { why } | Probed::Foreign { who: why }) => {
            Err(WatchError::Forged { path: socket.to_owned(), why })
        }
        // Missing, not listening yet, or busy: none of these is a decision.
        Look::Found(Probed::Dormant { .. } | Probed::Indeterminate { .. }) | Look::Absent | Look::Busy => {
            Ok(None)
        }
    }
}
