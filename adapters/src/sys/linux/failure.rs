//! Turns refused system calls into [`OsFailure`]: the operation, the path and the errno, always.

pub(crate) use nix::errno::Errno;
use rekindle_core::OsFailure;
use std::io;
use std::path::Path;

/// Adds the operation to a failed system call.
pub(crate) trait During<T> {
    /// Adds the operation and the file.
    fn during(self, operation: &str, path: &Path) -> Result<T, OsFailure>;

    /// Adds the operation.
    fn doing(self, operation: &str) -> Result<T, OsFailure>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, operation: &str, path: &Path) -> Result<T, OsFailure> {
        self.map_err(|error| failure(operation, &error.into()).on(path))
    }

    fn doing(self, operation: &str) -> Result<T, OsFailure> {
        self.map_err(|error| failure(operation, &error.into()))
    }
}

/// A failure of `operation`, in the kernel's words.
pub(crate) fn failure(operation: &str, error: &io::Error) -> OsFailure {
    match error.raw_os_error() {
        Some(errno) => OsFailure::new(operation, describe(errno)).errno(errno),
        None => OsFailure::new(operation, error.to_string()),
    }
}

/// A failure of `operation` with this errno.
pub(crate) fn refused(operation: impl Into<String>, errno: i32) -> OsFailure {
    OsFailure::new(operation, describe(errno)).errno(errno)
}

/// The text of an errno in the project's style: lowercase, no full stop.
pub(crate) fn describe(errno: i32) -> String {
    let text = Errno::from_raw(errno).desc();
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// Repeats a call as long as signals interrupt the call.
pub(crate) fn retried<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// A rustix errno as a nix errno.
pub(super) fn from_rustix(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}
