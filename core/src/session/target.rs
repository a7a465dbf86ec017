//! Whether a socket path can be used at all, by its text alone.
//!
//! What lies at the path is the probe's business; this refuses what could never work, before anything is asked.
//!
//! Checked by `gates/tests/target.rs`.

use crate::prelude::*;
use crate::text::shown::Shown;

/// The longest path that `bind` takes, in bytes: `sun_path` holds 108 with its closing NUL.
pub const SOCKET_PATH_LEN_MAX: usize = 107;

/// The longest name that a socket may have which the launcher binds, in bytes: it binds it as
/// `/proc/self/fd/N/name`, so that the directory may be as deep as it likes.
pub const SOCKET_NAME_LEN_MAX: usize = 80;

/// Why a socket path can never be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// It is empty.
    #[error("socket path is empty")]
    Empty,
    /// It does not begin at the root, so that two directories would mean two sockets.
    #[error("socket path `{}` is not absolute", Shown(path))]
    Relative {
        /// What was given.
        path: PathBuf,
    },
    /// No worker could bind it.
    #[error(
        "socket path `{}` is {len} bytes long; a socket address holds at most {SOCKET_PATH_LEN_MAX}",
        Shown(path)
    )]
    TooLong {
        /// What was given.
        path: PathBuf,
        /// Its length in bytes.
        len: usize,
    },
    /// Not even its launcher could bind it.
    #[error(
        "the last name in socket path `{}` is {len} bytes long, and may have {SOCKET_NAME_LEN_MAX}",
        Shown(path)
    )]
    NameTooLong {
        /// What was given.
        path: PathBuf,
        /// The length of its last name in bytes.
        len: usize,
    },
    /// The worker could not reach the socket to which it is to say that it is ready.
    #[error(
        "the notify socket would be `{}`, which is {len} bytes long; a socket address holds at most \
         {SOCKET_PATH_LEN_MAX}",
        Shown(path)
    )]
    NotifyTooLong {
        /// Where it would be.
        path: PathBuf,
        /// Its length in bytes.
        len: usize,
    },
    /// It has no last component that could be a socket's name.
    #[error("socket path `{}` names a directory", Shown(path))]
    NoFileName {
        /// What was given.
        path: PathBuf,
    },
    /// It holds a NUL byte, which ends a path for the kernel.
    #[error("socket path {path:?} holds a NUL byte")]
    HoldsNul {
        /// What was given.
        path: PathBuf,
    },
    /// The directory that would hold it cannot be used.
    #[error("the directory of socket path `{}` cannot be used: {why}", Shown(path))]
    Directory {
        /// The socket path.
        path: PathBuf,
        /// What is wrong with its directory.
        why: String,
    },
}

/// Accepts a socket path that a worker can bind and a client can connect to.
///
/// # Errors
/// [`BadTarget`] says what is wrong with it.
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

/// Accepts a socket path that a launcher can bind for its worker; it may be longer than a socket address.
///
/// # Errors
/// As for [`check_socket_path`], except that only its last name has a limit.
pub fn check_inherited_socket_path(path: &Path) -> Result<(), BadTarget> {
    check_shape(path)?;
    match path.file_name().unwrap_or_default().len() {
        len if len > SOCKET_NAME_LEN_MAX => Err(BadTarget::NameTooLong { path: path.to_path_buf(), len }),
        _ => Ok(()),
    }
}

/// Accepts a path to which a worker can say that it is ready.
///
/// # Errors
/// If it is longer than a socket address, which is all that can be wrong with a path of our own making.
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
