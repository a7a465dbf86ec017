//! Readiness by handshake: a worker is ready when it answers, to us.
//!
//! # Invariants
//! 1. A worker that we started and that is not for us has failed its start; one that somebody else started is left alone.
//! 2. The connection on which hands were shaken is handed on, with nothing of it lost.
//!
//! Checked by `smoke/tests/smoke/ready/handshake.rs`.

use crate::endpoint::probe::Connection;
use crate::pool::client::{Limits, PoolCallError, PoolClient};
use crate::pool::lines::LineError;
use crate::ready::connect::PollingSocketWatcher;
use crate::start::progress::Start;
use crate::sys::backoff::Backoff;
use crate::sys::linux::fs::watch::Happening;
use async_trait::async_trait;
use rekindle_core::WatchError;
use rekindle_core::protocol::Speaking;
use rekindle_core::seams::SocketWatcher;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// What to do about a worker that answers and does not go together with this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnVersionMismatch {
    /// Fail the start: this host started the worker.
    Fail,
    /// Hand its connection on, without a greeting: another host started the worker, and may go together with it.
    PassOn,
}

/// Watches a socket until a worker answers a handshake on it, and notes who did.
///
/// It waits on one connection for as long as that is open: a worker may end when its first client leaves.
#[derive(Debug)]
pub struct HandshakeSocketWatcher {
    start: Start,
    speaking: Speaking,
    on_mismatch: OnVersionMismatch,
    found: Mutex<Option<Connection>>,
}

impl HandshakeSocketWatcher {
    /// A watch for workers that go together with `speaking`.
    pub fn new(start: &Start, speaking: Speaking, on_mismatch: OnVersionMismatch) -> Self {
        Self { start: start.clone(), speaking, on_mismatch, found: Mutex::new(None) }
    }

    /// The same watch, beginning with a connection that has been made already.
    #[must_use]
    pub fn beginning_with(self, connection: Connection) -> Self {
        Self { found: Mutex::new(Some(connection)), ..self }
    }

    async fn connection(&self, socket: &Path) -> Result<Connection, WatchError> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner).take();
        match found {
            Some(connection) => Ok(connection),
            None => PollingSocketWatcher.await_socket_alive(socket).await,
        }
    }
}

#[async_trait]
impl SocketWatcher<Connection> for HandshakeSocketWatcher {
    async fn await_socket_alive(&self, socket: &Path) -> Result<Connection, WatchError> {
        let mut backoff = Backoff::at(socket.parent().unwrap_or(socket), Happening::NameAppears);
        let connection = loop {
            let connection = self.connection(socket).await?;
            // How long it may take is for the start to say, which drops us then.
            let greeted = PoolClient::open(connection, &self.speaking, Limits::without_deadlines()).await;
            match greeted.and_then(PoolClient::into_connection) {
                Ok(connection) => break connection,
                // It was not ready to speak to anybody yet.
                Err(PoolCallError::Line(LineError::ClosedEarly { .. } | LineError::Hung { .. })) => {
                    backoff.wait().await;
                }
                Err(PoolCallError::Line(LineError::Os(error))) => return Err(error.into()),
                Err(error) => match self.on_mismatch {
                    OnVersionMismatch::Fail => {
                        return Err(WatchError::Handshake {
                            path: socket.to_owned(),
                            why: error.to_string(),
                        });
                    }
                    OnVersionMismatch::PassOn => break self.connection(socket).await?,
                },
            }
        };
        self.start.note_alive(&connection);
        Ok(connection)
    }
}
