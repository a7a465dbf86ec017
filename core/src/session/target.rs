//! Decides by the text alone whether a socket path is usable.
//!
//! The probe examines the file at the path; this module refuses unusable paths before any question to the system.
//!
//! Checked by `gates/tests/target.rs`.

use crate::prelude::*;
use crate::session::endpoint::EndpointKind;
use crate::text::shown::Shown;

/// The longest path for `bind`, in bytes: `sun_path` holds 108 with the closing NUL.
pub const SOCKET_PATH_LEN_MAX: usize = 107;

/// The longest name of a socket that the launcher binds, in bytes. The launcher binds `/proc/self/fd/N/name`, so the
/// directory's path may have any length.
pub const SOCKET_NAME_LEN_MAX: usize = 80;

/// The reason why a socket path is never usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// The path is empty.
    #[error("socket path is empty")]
    Empty,
    /// The path does not begin at the root, so the same path would mean another socket in another directory.
    #[error("socket path `{}` is not absolute", Shown(path))]
    Relative {
        /// The given path.
        path: PathBuf,
    },
    /// No worker could bind the path.
    #[error(
        "socket path `{}` is {len} bytes long; a socket address holds at most {SOCKET_PATH_LEN_MAX}",
        Shown(path)
    )]
    TooLong {
        /// The given path.
        path: PathBuf,
        /// The length in bytes.
        len: usize,
    },
    /// Not even the launcher could bind the path.
    #[error(
        "the last name in socket path `{}` is {len} bytes long; at most {SOCKET_NAME_LEN_MAX} are allowed",
        Shown(path)
    )]
    NameTooLong {
        /// The given path.
        path: PathBuf,
        /// The length of the last name in bytes.
        len: usize,
    },
    /// The worker could not reach the socket for its notifications.
    #[error(
        "the notify socket would be `{}`, which is {len} bytes long; a socket address holds at most \
         {SOCKET_PATH_LEN_MAX}",
        Shown(path)
    )]
    NotifyTooLong {
        /// The path of the notify socket.
        path: PathBuf,
        /// The length in bytes.
        len: usize,
    },
    /// The path has no last component for the socket's name.
    #[error("socket path `{}` names a directory", Shown(path))]
    NoFileName {
        /// The given path.
        path: PathBuf,
    },
    /// The path has a NUL byte; for the kernel a NUL byte ends a path.
    #[error("socket path {path:?} holds a NUL byte")]
    HoldsNul {
        /// The given path.
        path: PathBuf,
    },
    /// The condition for ready cannot be used for the endpoint.
    #[error("`--ready {ready}` cannot be used with {}", in_words(*endpoint))]
    Unsuited {
        /// The condition.
        ready: String,
        /// The kind of the endpoint.
        endpoint: EndpointKind,
    },
    /// The condition for ready has a pattern that is no regular expression.
    #[error("`{}` is no regular expression: {why}", Shown(pattern))]
    Pattern {
        /// The pattern.
        pattern: String,
        /// The fault.
        why: String,
    },
    /// The directory of the path is unusable.
    #[error("the directory of socket path `{}` cannot be used: {why}", Shown(path))]
    Directory {
        /// The socket path.
        path: PathBuf,
        /// The directory's fault.
        why: String,
    },
}

fn in_words(endpoint: EndpointKind) -> &'static str {
    match endpoint {
        EndpointKind::Unix => "a Unix socket",
        EndpointKind::Tcp => "a TCP port",
        EndpointKind::None => "no endpoint",
    }
}

/// Accepts a socket path that a worker can bind and a client can connect to.
///
/// # Errors
/// [`BadTarget`] names the fault.
///
/// ```
/// use rekindle_core::target::check_socket_path;
/// use std::path::Path;
///
/// assert!(check_socket_path(Path::new("/run/user/1000/cache/sock")).is_ok());
/// assert!(check_socket_path(Path::new("sock")).is_err());
/// ```
pub fn check_socket_path(path: &Path) -> Result<(), BadTarget> {
    check_shape(path)?;
    match path.as_os_str().len() {
        len if len > SOCKET_PATH_LEN_MAX => Err(BadTarget::TooLong { path: path.to_path_buf(), len }),
        _ => Ok(()),
    }
}

/// Accepts a socket path that a launcher can bind for its worker; the path may be longer than a socket address.
///
/// # Errors
/// As for [`check_socket_path`], except that only the last name has a limit.
pub fn check_inherited_socket_path(path: &Path) -> Result<(), BadTarget> {
    check_shape(path)?;
    match path.file_name().unwrap_or_default().len() {
        len if len > SOCKET_NAME_LEN_MAX => Err(BadTarget::NameTooLong { path: path.to_path_buf(), len }),
        _ => Ok(()),
    }
}

/// Accepts a path for a worker's notifications.
///
/// # Errors
/// If the path is longer than a socket address. A path made by us has no other fault.
pub fn check_notify_path(path: &Path) -> Result<(), BadTarget> {
    match path.as_os_str().len() {
        len if len > SOCKET_PATH_LEN_MAX => Err(BadTarget::NotifyTooLong { path: path.to_path_buf(), len }),
        _ => Ok(()),
    }
}

fn check_shape(path: &Path) -> Result<(), BadTarget> {
    let bytes = path.as_os_str().as_encoded_bytes();
    let path = || path.to_path_buf();
    if bytes.is_empty() {
        Err(BadTarget::Empty)
    } else if bytes.contains(&0) {
        Err(BadTarget::HoldsNul { path: path() })
    } else if bytes.first() != Some(&b'/') {
        Err(BadTarget::Relative { path: path() })
    } else if bytes.ends_with(b"/") || bytes.ends_with(b"/.") || bytes.ends_with(b"/..") {
        Err(BadTarget::NoFileName { path: path() })
    } else {
        Ok(())
    }
}
