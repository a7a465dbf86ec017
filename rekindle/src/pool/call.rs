//! A conversation with the worker of a session.

use super::error::PoolError;
use rekindle_adapters::client::{PoolCallError, PoolClient};
use rekindle_core::protocol::{Continue, Feed, Run, StatusReport, StatusRequest};
use rekindle_core::{Generation, SessionId};

/// A worker that answered a handshake, and its session.
#[derive(Debug)]
pub(super) struct Dialogue {
    pub(super) session: SessionId,
    /// The generation of the connected worker.
    pub(super) generation: Generation,
    pub(super) client: PoolClient,
}

impl Dialogue {
    pub(super) async fn run(&mut self, run: Run) -> Result<Feed, PoolError> {
        let fed = self.client.run(run).await;
        fed.map_err(|source| self.failed(source))
    }

    pub(super) async fn continue_session(&mut self, answer: Continue) -> Result<Feed, PoolError> {
        let fed = self.client.continue_session(answer).await;
        fed.map_err(|source| self.failed(source))
    }

    pub(super) async fn status(&mut self, request: StatusRequest) -> Result<StatusReport, PoolError> {
        let report = self.client.status(request).await;
        report.map_err(|source| self.failed(source))
    }

    pub(super) async fn shutdown(&mut self) -> Result<(), PoolError> {
        let done = self.client.shutdown().await;
        done.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: PoolCallError) -> PoolError {
        PoolError::Call { session: self.session.clone(), source: Box::new(source) }
    }
}
