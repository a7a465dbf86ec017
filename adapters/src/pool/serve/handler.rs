//! What a worker has to be able to do.

use async_trait::async_trait;
use rekindle_core::protocol::{Continue, Feed, Greeting, Refusal, Run, StatusReport, StatusRequest, Version};

/// A worker: what it answers to each request.
///
/// Several clients may ask at the same time, and one that has left meanwhile does not end what it asked for. A method
/// that panics costs its client the connection, and nobody else anything.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// The version of the protocol that it speaks.
    fn version(&self) -> Version;

    /// Answers a handshake: its version, to whoever asks. The caller judges whether they go together.
    ///
    /// # Errors
    /// [`Refusal`] if it will not speak with a caller of that version; the reason should name both.
    ///
    /// # Cancel safety
    /// It is dropped only if the worker ends before it is done.
    async fn greet(&self, _theirs: &Version) -> Result<Greeting, Refusal> {
        Ok(Greeting::new(self.version()))
    }

    /// Begins the session.
    ///
    /// # Errors
    /// [`Refusal`] if there is no session after this; a session that failed is an answer.
    ///
    /// # Cancel safety
    /// As for [`Self::greet`].
    async fn run(&self, run: Run) -> Result<Feed, Refusal>;

    /// Goes on with an answer to one of the session's queries.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such session or query; the session stands as before.
    ///
    /// # Cancel safety
    /// As for [`Self::greet`].
    async fn continue_session(&self, answer: Continue) -> Result<Feed, Refusal>;

    /// Says how the session stands. Also asked before a worker ends for want of clients: one that has a session stays.
    ///
    /// # Errors
    /// [`Refusal`] if that cannot be told.
    ///
    /// # Cancel safety
    /// It may be dropped at any await.
    async fn status(&self, request: StatusRequest) -> Result<StatusReport, Refusal>;

    /// Agrees to end. The worker does so once this has been answered.
    ///
    /// # Errors
    /// [`Refusal`] if it will not; it then stays.
    ///
    /// # Cancel safety
    /// As for [`Self::greet`].
    async fn shutdown(&self) -> Result<(), Refusal> {
        Ok(())
    }
}
