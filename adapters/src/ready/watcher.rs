//! The readiness of a worker, by kind, with one file for each kind; and the time limit.
//!
//! The table of kinds is [`rekindle_core::readiness`]. `handshake` has a watcher of its own.
//!
//! # Invariants
//! 1. After `READY=1` with a dormant socket the worker is not ready yet: the watch waits for the socket, until the
//!    deadline.
//! 2. A worker's request for more time is granted during the watch, and never while the worker is being ended.
//!
//! Checked by `smoke/tests/smoke/ready/notify.rs` and `ready/listen.rs`.

use crate::endpoint::probe::Connection;
use crate::ready::connect::PollingSocketWatcher;
use crate::ready::listen::await_listener;
use crate::ready::notified::await_notified;
use crate::ready::{Site, exec, http, line, port, running};
use crate::start::progress::Start;
use async_trait::async_trait;
use rekindle_core::seams::{SocketWatcher, Timer};
use rekindle_core::target::SOCKET_PATH_LEN_MAX;
use rekindle_core::{Endpoint, ProcessIdentity, Readiness, WatchError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// Watches for readiness of the start's kind, and notes the answering process.
pub(crate) struct ReadinessWatcher(pub(crate) Start);

#[async_trait]
impl SocketWatcher<Connection> for ReadinessWatcher {
    async fn await_socket_alive(&self, endpoint: &Endpoint) -> Result<Connection, WatchError> {
        let start = &self.0;
        let (site, ready) = (Site::of(start, endpoint), start.readiness());
        let connection = match (&ready, start.notify_listener()) {
            (Readiness::Notify, Some(listener)) => await_notified(&listener, &site).await?,
            (Readiness::Notify, None) | (Readiness::Listen, _) => await_listener(&site).await?,
            (Readiness::Connect | Readiness::Handshake, _) => await_connection(&site).await?,
            (Readiness::Http(path), _) => http::await_answer(&site, path).await?,
            (Readiness::Line(pattern), _) => line::await_line(&site, pattern).await?,
            (Readiness::Exec(command), _) => exec::await_success(&site, command).await?,
            (Readiness::Running, _) => running::await_settled(&site).await?,
        };
        match (ready, endpoint) {
            (Readiness::Notify, _) if !connection.is_open() && connection.peer().is_none() => {
                start.note_ready(start.notify_listener().and_then(|listener| listener.main_process()));
            }
            (Readiness::Listen, Endpoint::Unix(socket)) => start.note_ready(listener_of(start, socket)),
            // The kernel has named the listener, if there is one.
            (
                Readiness::Notify
                | Readiness::Listen
                | Readiness::Connect
                | Readiness::Handshake
                | Readiness::Http(_)
                | Readiness::Line(_)
                | Readiness::Exec(_)
                | Readiness::Running,
                _,
            ) => start.note_alive(&connection),
        }
        Ok(connection)
    }
}

/// Waits until the worker accepts a connection.
async fn await_connection(site: &Site<'_>) -> Result<Connection, WatchError> {
    match site.endpoint {
        Endpoint::Tcp(at) => port::await_connection(site, *at).await,
        endpoint @ (Endpoint::Unix(_) | Endpoint::None) => {
            PollingSocketWatcher.await_socket_alive(endpoint).await
        }
    }
}

/// The started process listens from birth. The listener's death is recorded only if the kernel's table would show a
/// later listener; for a path too long for an address, the table would not.
fn listener_of(start: &Start, socket: &Path) -> Option<ProcessIdentity> {
    start.leader().filter(|_| socket.as_os_str().len() <= SOCKET_PATH_LEN_MAX)
}

/// A timer on tokio's clock. The first wait of a start, the watch for readiness, is as long as the worker asks for.
pub(crate) struct ExtendingTimer {
    start: Start,
    watched: AtomicBool,
}

impl ExtendingTimer {
    pub(crate) fn new(start: &Start) -> Self {
        Self { start: start.clone(), watched: AtomicBool::new(false) }
    }
}

#[async_trait]
impl Timer for ExtendingTimer {
    async fn await_timeout(&self, after: Duration) -> Result<(), WatchError> {
        // All later waits are graces.
        let is_watch = !self.watched.swap(true, Ordering::Relaxed);
        sleep(after).await;
        while is_watch
            && let Some(listener) = self.start.notify_listener()
            && listener.deadline() > Instant::now()
        {
            sleep_until(listener.deadline()).await;
        }
        if is_watch {
            self.start.note_time_up();
        }
        Ok(())
    }
}
