//! When a worker is ready, by the kind of its readiness, each in a file of its own; and how long it may take.
//!
//! The table of kinds is [`rekindle_core::readiness`]. `handshake` has a watcher of its own.
//!
//! # Invariants
//! 1. A `READY=1` whose socket is dormant is not yet ready: it is waited for, until the time is up.
//! 2. A worker that asks for more time gets it while it is watched, and never while it is being ended.
//!
//! Checked by `smoke/tests/smoke/ready/notify.rs` and `ready/listen.rs`.

use crate::endpoint::probe::Connection;
use crate::ready::connect::PollingSocketWatcher;
use crate::ready::listen::await_listener;
use crate::ready::notify::await_notified;
use crate::start::progress::Start;
use async_trait::async_trait;
use rekindle_core::seams::{SocketWatcher, Timer};
use rekindle_core::target::SOCKET_PATH_LEN_MAX;
use rekindle_core::{ProcessIdentity, ReadyKind, WatchError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// Watches for readiness of the kind that the start is of, and notes who answered.
pub(crate) struct ReadinessWatcher(pub(crate) Start);

#[async_trait]
impl SocketWatcher<Connection> for ReadinessWatcher {
    async fn await_socket_alive(&self, socket: &Path) -> Result<Connection, WatchError> {
        let start = &self.0;
        let connection = match (start.readiness(), start.notify_listener()) {
            (ReadyKind::Notify, Some(listener)) => await_notified(&listener, socket).await?,
            (ReadyKind::Notify, None) | (ReadyKind::Listen, _) => await_listener(socket).await?,
            (ReadyKind::Connect | ReadyKind::Handshake, _) => {
                PollingSocketWatcher.await_socket_alive(socket).await?
            }
        };
        match start.readiness() {
            ReadyKind::Notify if !connection.is_open() => {
                start.note_ready(start.notify_listener().and_then(|listener| listener.main_process()));
            }
            ReadyKind::Listen => start.note_ready(listener_of(start, socket)),
            // Where a connection had to be made, the kernel has named the listener.
            ReadyKind::Notify | ReadyKind::Connect | ReadyKind::Handshake => {
                start.note_alive(&connection);
            }
        }
        Ok(connection)
    }
}

/// The process that was started listens from birth. Its death counts as the listener's only where the kernel's table
/// would show who listens after it, which it does not for a path that no address can hold.
fn listener_of(start: &Start, socket: &Path) -> Option<ProcessIdentity> {
    start.leader().filter(|_| socket.as_os_str().len() <= SOCKET_PATH_LEN_MAX)
}

/// Waits on tokio's clock; the first wait of a start, in which its worker is watched, for as long as that asks for.
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
        Ok(())
    }
}
