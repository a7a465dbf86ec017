//! Why a worker does not serve.

use crate::store::trust::Untrusted;
use rekindle_core::OsFailure;
use rekindle_core::shown::Shown;
use rekindle_core::target::BadTarget;
use std::path::PathBuf;

/// The variable by which a worker is told where to answer.
pub(super) const SOCKET_VARIABLE: &str = "REKINDLE_SOCKET";

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
