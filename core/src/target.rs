//! Whether a socket path can be used at all, by its text alone.
//!
//! What lies at the path is the probe's business; this refuses what could never work, before anything is asked.
//!
//! Checked by `gates/tests/target.rs`.

use crate::harmless::*;

/// The longest path that `bind` takes, in bytes: `sun_path` holds 108 with its closing NUL.
pub const SOCKET_PATH_LEN_MAX: usize = 107;

/// Why a socket path can never be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadTarget {
    /// It is empty.
    #[error("socket path is empty")]
    Empty,
    /// It does not begin at the root, so that two directories would mean two sockets.
    #[error("socket path `{}` is not absolute", path.display())]
    Relative {
        /// What was given.
        path: PathBuf,
    },
    /// No worker could bind it.
    #[error(
        "socket path `{}` is {len} bytes long; a socket address holds at most {SOCKET_PATH_LEN_MAX}: \
         name a shorter one with --socket, or a shorter state directory with --dir",
        path.display()
    )]
    TooLong {
        /// What was given.
        path: PathBuf,
        /// Its length in bytes.
        len: usize,
    },
    /// It has no last component that could be a socket's name.
    #[error("socket path `{}` names a directory", path.display())]
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
    #[error("the directory of socket path `{}` cannot be used: {why}", path.display())]
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
/// [`BadTarget`] says what is wrong with it and, where there is a way out, which option to use.
///
/// ```
/// use rekindle_core::target::check_socket_path;
/// use std::path::Path;
///
/// assert!(check_socket_path(Path::new("/run/user/1000/cache/sock")).is_ok());
/// assert!(check_socket_path(Path::new("sock")).is_err());
/// ```
pub fn check_socket_path(path: &Path) -> Result<(), BadTarget> {
    let bytes = path.as_os_str().as_encoded_bytes();
    let path = || path.to_path_buf();
    if bytes.is_empty() {
        Err(BadTarget::Empty)
    } else if bytes.contains(&0) {
        Err(BadTarget::HoldsNul { path: path() })
    } else if bytes.first() != Some(&b'/') {
        Err(BadTarget::Relative { path: path() })
    } else if bytes.len() > SOCKET_PATH_LEN_MAX {
        Err(BadTarget::TooLong { path: path(), len: bytes.len() })
    } else if bytes.ends_with(b"/") || bytes.ends_with(b"/.") || bytes.ends_with(b"/..") {
        Err(BadTarget::NoFileName { path: path() })
    } else {
        Ok(())
    }
}
