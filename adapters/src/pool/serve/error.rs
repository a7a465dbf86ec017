//! Why a worker cannot serve.

use crate::store::trust::Untrusted;
use rekindle_core::OsFailure;
use rekindle_core::shown::Shown;
use rekindle_core::target::BadTarget;
use std::path::PathBuf;

/// The variable with the path of the worker's socket.
pub(super) const SOCKET_VARIABLE: &str = "REKINDLE_SOCKET";

/// Why a worker cannot serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// No socket was given.
    #[error("{SOCKET_VARIABLE} is not set; name the socket, or start the worker with `rekindle up`")]
    NoSocket,
    /// No socket can be bound at the path.
    #[error(transparent)]
    BadSocket(#[from] BadTarget),
    /// The socket's directory, or one above, is not trusted; or the lock file is not ours.
    #[error("`{}` cannot be served on: {fault}", Shown(socket))]
    Untrusted {
        /// The socket.
        socket: PathBuf,
        /// The untrusted file or directory, with the reason.
        fault: Untrusted,
    },
    /// Another living worker serves there.
    #[error("another worker serves on the socket of `{}`: it holds the lock on that file", Shown(lock))]
    Locked {
        /// The file of the other worker's lock.
        lock: PathBuf,
    },
    /// A file at the path is not ours to remove.
    #[error("`{}` is taken: {why}", Shown(socket))]
    Taken {
        /// The socket.
        socket: PathBuf,
        /// The kind of file, or the owner.
        why: String,
    },
    /// No process listens, but the socket's owner may still be alive.
    #[error(
        "`{}` was left by a worker that may still live; if it does not, remove the socket by hand",
        Shown(socket)
    )]
    NotProvenDead {
        /// The socket.
        socket: PathBuf,
    },
    /// A system call failed.
    #[error(transparent)]
    Os(#[from] OsFailure),
}
