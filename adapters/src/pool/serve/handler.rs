//! The abilities of a worker.

use async_trait::async_trait;
use rekindle_core::protocol::{Continue, Feed, Greeting, Refusal, Run, StatusReport, StatusRequest, Version};

/// A worker: answers to each request.
///
/// Several clients may ask at the same time, and a request continues after its client has left. A panic in a method
/// costs its client the connection, and has no other effect.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// The worker's version of the protocol.
    fn version(&self) -> Version;

    /// Answers a handshake with the worker's version, for any caller. The caller judges compatibility.
    ///
    /// # Errors
    /// [`Refusal`] if the worker rejects callers with this version; the reason should name both versions.
    ///
    /// # Cancel safety
    /// Dropped only if the worker ends first.
    async fn greet(&self, _theirs: &Version) -> Result<Greeting, Refusal> {
        Ok(Greeting::new(self.version()))
    }

    /// Begins the session.
    ///
    /// # Errors
    /// [`Refusal`] if no session exists afterwards; a failed session is an answer.
    ///
    /// # Cancel safety
    /// As for [`Self::greet`].
    async fn run(&self, run: Run) -> Result<Feed, Refusal>;

    /// Continues the session with an answer to a query.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such session or query; the session is unchanged.
    ///
    /// # Cancel safety
    /// As for [`Self::greet`].
    async fn continue_session(&self, answer: Continue) -> Result<Feed, Refusal>;

    /// Reports the state of the session. Also called before a worker without clients ends: a worker with a session
    /// stays.
    ///
    /// # Errors
    /// [`Refusal`] if the state is unknown.
    ///
    /// # Cancel safety
    /// May be dropped at any await.
    async fn status(&self, request: StatusRequest) -> Result<StatusReport, Refusal>;

    /// Agrees to end. The worker ends once the answer was sent.
    ///
    /// # Errors
    /// [`Refusal`] if the worker wants to stay; then the worker stays.
    ///
    /// # Cancel safety
    /// As for [`Self::greet`].
    async fn shutdown(&self) -> Result<(), Refusal> {
        Ok(())
    }
}
