//! Accepts clients and serves them side by side, until the end.

use super::bind::ServedSocket;
use super::client::{Client, Shared};
use super::error::{SOCKET_VARIABLE, ServeError};
use super::handler::Handler;
use super::limits::ServeLimits;
use crate::sys::linux::failure::During;
use rekindle_core::protocol::StatusRequest;
use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The pause after a failed `accept`: a descriptor may be free by then.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "it says whether the worker was asked to end"]
pub enum Ended {
    /// A client asked for the end.
    Shutdown,
    /// SIGTERM.
    Terminated,
    /// Neither a client nor a session during the idle timeout.
    Idle,
}

/// Whether the server handles SIGTERM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signals {
    /// The server handles SIGTERM, and ends.
    #[default]
    Heeded,
    /// The caller handles SIGTERM; dropping the future of [`Serve::run`] ends everything at once.
    LeftAlone,
}

/// A worker before serving.
#[derive(Debug, Clone)]
#[must_use = "nothing is served before it runs"]
pub struct Serve {
    socket: PathBuf,
    idle_timeout: Option<Duration>,
    limits: ServeLimits,
    signals: Signals,
}

/// Serves on the socket of `REKINDLE_SOCKET`, until SIGTERM or until a client asks for the end.
///
/// # Errors
/// [`ServeError`] if the socket cannot be served. A client's errors are reported to the client.
///
/// # Cancel safety
/// If dropped, everything ends at once; the socket is removed.
pub async fn serve(handler: impl Handler) -> Result<Ended, ServeError> {
    Serve::from_env()?.run(handler).await
}

impl Serve {
    /// Serves on `socket`.
    pub fn on(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            idle_timeout: None,
            limits: ServeLimits::default(),
            signals: Signals::default(),
        }
    }

    /// Serves on the socket of `REKINDLE_SOCKET`.
    ///
    /// # Errors
    /// [`ServeError::NoSocket`] if the variable is not set.
    pub fn from_env() -> Result<Self, ServeError> {
        env::var_os(SOCKET_VARIABLE).map(Self::on).ok_or(ServeError::NoSocket)
    }

    /// Ends after this time with neither a client nor a session. Default: never.
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        Self { idle_timeout: Some(timeout), ..self }
    }

    /// Sets the limits of the clients.
    pub fn limits(self, limits: ServeLimits) -> Self {
        Self { limits, ..self }
    }

    /// Whether the server handles SIGTERM.
    pub fn signals(self, signals: Signals) -> Self {
        Self { signals, ..self }
    }

    /// Serves until the end; returns the reason for the end.
    ///
    /// # Errors
    /// [`ServeError`] if the socket cannot be served. A client's errors are reported to the client.
    ///
    /// # Cancel safety
    /// If dropped, everything ends at once; the socket is removed.
    pub async fn run(self, handler: impl Handler) -> Result<Ended, ServeError> {
        let mut terminate = match self.signals {
            Signals::Heeded => Some(signal(SignalKind::terminate()).doing("hear of SIGTERM")?),
            Signals::LeftAlone => None,
        };
        let bound = ServedSocket::bind(&self.socket)?;
        let shared = Arc::new(Shared::new(handler, self.limits, bound.path().to_owned()));
        let mut clients = JoinSet::new();
        let ended = self.receive_clients(&bound, &shared, &mut clients, &mut terminate).await;
        // From here on no client is accepted; `bound` removes the file once all answers are finished.
        let bound = bound.close();
        shared.end();
        let finished = async { while clients.join_next().await.is_some() {} };
        if timeout(self.limits.finish, finished).await.is_err() {
            tracing::warn!("an answer was not finished when the worker had to end");
        }
        drop(bound);
        Ok(ended)
    }

    async fn receive_clients<H: Handler>(
        &self,
        bound: &ServedSocket,
        shared: &Arc<Shared<H>>,
        clients: &mut JoinSet<()>,
        terminate: &mut Option<Signal>,
    ) -> Ended {
        let mut waiting: Option<UnixStream> = None;
        loop {
            if clients.len() < self.limits.clients_max
                && let Some(stream) = waiting.take()
            {
                clients.spawn(Client::new(stream, shared.clone()).serve());
            }
            tokio::select! {
                biased;
                () = told_to_end(terminate) => return Ended::Terminated,
                () = shared.asked_to_end() => return Ended::Shutdown,
                Some(left) = clients.join_next() => {
                    if let Err(error) = left {
                        tracing::error!(%error, "a handler panicked; its client was let go");
                    }
                }
                client = bound.accept(), if waiting.is_none() => match client {
                    Ok(stream) => {
                        if clients.len() >= self.limits.clients_max {
                            shared.make_room();
                        }
                        waiting = Some(stream);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a client could not be accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                () = self.been_idle(shared), if clients.is_empty() => return Ended::Idle,
            }
        }
    }

    /// Resolves once there has been no session during the idle timeout.
    async fn been_idle<H: Handler>(&self, shared: &Shared<H>) {
        let Some(idle_timeout) = self.idle_timeout else { return std::future::pending().await };
        loop {
            sleep(idle_timeout).await;
            // A refused status may hide a session.
            let status = shared.handler.status(StatusRequest::default()).await;
            if status.is_ok_and(|report| !report.has_session) {
                return;
            }
        }
    }
}

async fn told_to_end(terminate: &mut Option<Signal>) {
    match terminate {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
