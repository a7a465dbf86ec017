//! Readiness by handshake: a worker is ready when it answers our handshake.
//!
//! # Invariants
//! 1. If an incompatible worker was started by us, the start has failed; if another launcher started the worker, the
//!    worker is left alone.
//! 2. The connection of the handshake is passed on, without lost bytes.
//!
//! Checked by `smoke/tests/smoke/ready/handshake.rs`.

use crate::endpoint::probe::Connection;
use crate::pool::client::{Limits, PoolCallError, PoolClient};
use crate::pool::lines::LineError;
use crate::ready::connect::PollingSocketWatcher;
use crate::ready::listen::pauses;
use crate::start::progress::Start;
use async_trait::async_trait;
use rekindle_core::protocol::Speaking;
use rekindle_core::seams::SocketWatcher;
use rekindle_core::{Endpoint, WatchError};
use std::sync::{Mutex, PoisonError};

/// The reaction to a worker with an incompatible version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnVersionMismatch {
    /// Fail the start: this host started the worker.
    Fail,
    /// Pass the connection on, without a greeting: another host started the worker, and may be compatible.
    PassOn,
}

/// Watches a socket until a worker answers a handshake, and notes the worker.
///
/// The watch waits on one connection as long as the connection is open: a worker may end when its first client leaves.
#[derive(Debug)]
pub struct HandshakeSocketWatcher {
    start: Start,
    speaking: Speaking,
    on_mismatch: OnVersionMismatch,
    found: Mutex<Option<Connection>>,
}

impl HandshakeSocketWatcher {
    /// A watch for workers compatible with `speaking`.
    pub fn new(start: &Start, speaking: Speaking, on_mismatch: OnVersionMismatch) -> Self {
        Self { start: start.clone(), speaking, on_mismatch, found: Mutex::new(None) }
    }

    /// The same watch, beginning with an existing connection.
    #[must_use]
    pub fn beginning_with(self, connection: Connection) -> Self {
        Self { found: Mutex::new(Some(connection)), ..self }
    }

    async fn connection(&self, endpoint: &Endpoint) -> Result<Connection, WatchError> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner).take();
        match found {
            Some(connection) => Ok(connection),
            None => PollingSocketWatcher.await_socket_alive(endpoint).await,
        }
    }
}

#[async_trait]
impl SocketWatcher<Connection> for HandshakeSocketWatcher {
    async fn await_socket_alive(&self, endpoint: &Endpoint) -> Result<Connection, WatchError> {
        let mut backoff = pauses(endpoint);
        let connection = loop {
            let connection = self.connection(endpoint).await?;
            // The start limits the time, by dropping this future.
            let greeted = PoolClient::open(connection, &self.speaking, Limits::without_deadlines()).await;
            match greeted.and_then(PoolClient::into_connection) {
                Ok(connection) => break connection,
                // The worker was not yet ready for conversation.
                Err(PoolCallError::Line(LineError::ClosedEarly { .. } | LineError::Hung { .. })) => {
                    backoff.wait().await;
                }
                Err(PoolCallError::Line(LineError::Os(error))) => return Err(error.into()),
                Err(error) => match self.on_mismatch {
                    OnVersionMismatch::Fail => {
                        return Err(WatchError::Handshake {
                            path: endpoint.socket().map(ToOwned::to_owned).unwrap_or_default(),
                            why: error.to_string(),
                        });
                    }
                    OnVersionMismatch::PassOn => break self.connection(endpoint).await?,
                },
            }
        };
        self.start.note_alive(&connection);
        Ok(connection)
    }
}
