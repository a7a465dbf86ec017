//! One conversation with the worker of one session.

use super::error::PoolError;
use rekindle_adapters::client::{PoolCallError, PoolClient};
use rekindle_core::protocol::{Continue, Feed, Run, StatusReport, StatusRequest, WorkerName};
use rekindle_core::{Generation, SessionId};

/// A worker that answered a handshake, and the session that it serves.
#[derive(Debug)]
pub(super) struct Dialogue {
    pub(super) session: SessionId,
    /// The start that the connection leads to.
    pub(super) generation: Generation,
    pub(super) client: PoolClient,
    /// The worker's name for the session, as far as it was written down.
    pub(super) name: Option<WorkerName>,
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

    /// The name of the worker's session, where nobody lived to write it down.
    pub(super) async fn ask_for_the_name(&mut self) -> Result<WorkerName, PoolError> {
        let report = self.status(StatusRequest::default()).await?;
        if !report.has_session {
            return Err(PoolError::NoSession { session: self.session.clone() });
        }
        Ok(report.session_id.unwrap_or_else(|| WorkerName::from(&self.session)))
    }

    fn failed(&self, source: PoolCallError) -> PoolError {
        PoolError::Call { session: self.session.clone(), source: Box::new(source) }
    }
}
