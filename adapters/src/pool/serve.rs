//! The worker's side of the pool protocol: a socket, its clients, and an end.
//!
//! | module | what it does |
//! |---|---|
//! | `bind` | a socket that is ours alone, in the place of none but a dead one's |
//! | `client` | one client: its lines, one answer to each |
//! | `handler` | what a worker has to be able to do |
//!
//! # Invariants
//! 1. Clients are served side by side, so that none has to wait for another that is slow or silent; there are at most
//!    so many, and who has been silent the longest makes room.
//! 2. A client that leaves takes nothing with it: what it asked for is done to its end, and the session stays.
//! 3. Whoever ends it lets the answers that are under way be finished, for a bounded time.
//! 4. The socket is removed at the end, if it still is the one that was bound.
//!
//! Checked by `smoke/tests/smoke/protocol/server.rs`.

use crate::store::way::Untrusted;
use crate::sys::linux::failure::During;
use bind::ServedSocket;
use client::{Client, House};
use rekindle_core::OsFailure;
use rekindle_core::protocol::{LINE_LEN_MAX, StatusRequest};
use rekindle_core::shown::Shown;
use rekindle_core::target::BadTarget;
use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

mod bind;
mod client;
mod handler;

pub use handler::Handler;

/// The variable by which a worker is told where to answer.
const SOCKET_VARIABLE: &str = "REKINDLE_SOCKET";

/// The pause after a client could not be accepted: there may be a descriptor by then.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why a worker does not serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Nobody said where to answer.
    #[error("{SOCKET_VARIABLE} is not set; name the socket, or start the worker with `rekindle up`")]
    NoSocket,
    /// No socket can be there.
    #[error(transparent)]
    BadSocket(#[from] BadTarget),
    /// Its directory, or one that leads to it, is not to be trusted; or the file of its lock is not ours.
    #[error("`{}` cannot be served on: {fault}", Shown(socket))]
    Untrusted {
        /// The socket.
        socket: PathBuf,
        /// What is not trusted, and why.
        fault: Untrusted,
    },
    /// Another worker that serves there lives.
    #[error("another worker serves on the socket of `{}`: it holds the lock on that file", Shown(lock))]
    Locked {
        /// The file whose lock it holds.
        lock: PathBuf,
    },
    /// Something is there that is not ours to remove.
    #[error("`{}` is taken: {why}", Shown(socket))]
    Taken {
        /// The socket.
        socket: PathBuf,
        /// Who or what is there.
        why: String,
    },
    /// Nobody listens there, and whoever put it there is not known to be dead.
    #[error(
        "`{}` was left by a worker that may still live; if it does not, remove the socket by hand",
        Shown(socket)
    )]
    NotProvenDead {
        /// The socket.
        socket: PathBuf,
    },
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsFailure),
}

/// Why serving came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "it says whether the worker was asked to end"]
pub enum Ended {
    /// A client asked for it.
    Shutdown,
    /// SIGTERM.
    Terminated,
    /// There was neither a client nor a session for as long as was agreed.
    Idle,
}

/// What bounds the clients of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeLimits {
    /// How long a client may take to shake hands: 30 s.
    pub handshake: Duration,
    /// From the first byte of a request to its last: 30 s.
    pub line: Duration,
    /// Until a client has taken its answer: 30 s.
    pub write: Duration,
    /// How long the answers that are under way may take once the end has come: 4 s, since a launcher kills after 5 s.
    pub finish: Duration,
    /// The longest line that is sent or taken, in bytes without its newline: 16 MiB.
    pub line_len_max: usize,
    /// How many clients there may be at a time: 64.
    pub clients_max: usize,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(30),
            line: Duration::from_secs(30),
            write: Duration::from_secs(30),
            finish: Duration::from_secs(4),
            line_len_max: LINE_LEN_MAX,
            clients_max: 64,
        }
    }
}

/// Who hears SIGTERM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signals {
    /// We do, and end.
    #[default]
    Heeded,
    /// The caller does; dropping the future of [`Serve::run`] ends everything at once.
    LeftAlone,
}

/// A worker that is about to serve.
#[derive(Debug, Clone)]
#[must_use = "nothing is served before it runs"]
pub struct Serve {
    socket: PathBuf,
    idle_timeout: Option<Duration>,
    limits: ServeLimits,
    signals: Signals,
}

/// Serves on the socket that rekindle names in `REKINDLE_SOCKET`, until SIGTERM or until a client asks for the end.
///
/// # Errors
/// [`ServeError`] if it cannot serve there. What a client does wrong is told to that client.
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

    /// Serves on the socket that rekindle names in `REKINDLE_SOCKET`.
    ///
    /// # Errors
    /// [`ServeError::NoSocket`] if it names none.
    pub fn from_env() -> Result<Self, ServeError> {
        env::var_os(SOCKET_VARIABLE).map(Self::on).ok_or(ServeError::NoSocket)
    }

    /// Ends once there has been neither a client nor a session for this long; never, unless this is said.
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        Self { idle_timeout: Some(timeout), ..self }
    }

    /// Bounds the clients in another way.
    pub fn limits(self, limits: ServeLimits) -> Self {
        Self { limits, ..self }
    }

    /// Who hears SIGTERM.
    pub fn signals(self, signals: Signals) -> Self {
        Self { signals, ..self }
    }

    /// Serves until the end, and says what brought it about.
    ///
    /// # Errors
    /// [`ServeError`] if it cannot serve there. What a client does wrong is told to that client.
    ///
    /// # Cancel safety
    /// If dropped, everything ends at once; the socket is removed.
    pub async fn run(self, handler: impl Handler) -> Result<Ended, ServeError> {
        let mut terminate = match self.signals {
            Signals::Heeded => Some(signal(SignalKind::terminate()).doing("hear of SIGTERM")?),
            Signals::LeftAlone => None,
        };
        let bound = ServedSocket::bind(&self.socket)?;
        let house = Arc::new(House::new(handler, self.limits, bound.path().to_owned()));
        let mut clients = JoinSet::new();
        let ended = self.receive_clients(&bound, &house, &mut clients, &mut terminate).await;
        // From here on nobody is let in; the socket itself goes with `bound`, when no answer is under way any more.
        let bound = bound.close();
        house.end();
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
        house: &Arc<House<H>>,
        clients: &mut JoinSet<()>,
        terminate: &mut Option<Signal>,
    ) -> Ended {
        let mut waiting: Option<UnixStream> = None;
        loop {
            if clients.len() < self.limits.clients_max
                && let Some(stream) = waiting.take()
            {
                clients.spawn(Client::new(stream, house.clone()).serve());
            }
            tokio::select! {
                biased;
                () = told_to_end(terminate) => return Ended::Terminated,
                () = house.asked_to_end() => return Ended::Shutdown,
                Some(left) = clients.join_next() => {
                    if let Err(error) = left {
                        tracing::error!(%error, "a handler panicked; its client was let go");
                    }
                }
                client = bound.accept(), if waiting.is_none() => match client {
                    Ok(stream) => {
                        if clients.len() >= self.limits.clients_max {
                            house.make_room();
                        }
                        waiting = Some(stream);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a client could not be accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                () = self.been_idle(house), if clients.is_empty() => return Ended::Idle,
            }
        }
    }

    /// Resolves once there has been no session for as long as was agreed.
    async fn been_idle<H: Handler>(&self, house: &House<H>) {
        let Some(idle_timeout) = self.idle_timeout else { return std::future::pending().await };
        loop {
            sleep(idle_timeout).await;
            // A handler that does not say has a session, for all we know.
            let status = house.handler.status(StatusRequest::default()).await;
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
