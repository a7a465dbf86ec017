//! Turns refused system calls into [`OsFailure`]: the operation, the path and the errno, always.

use nix::errno::Errno;
use rekindle_core::OsFailure;
use rustix::fs::{FlockOperation, flock};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Names what was being done when a system call failed.
pub(crate) trait During<T> {
    /// Names the operation and the file.
    fn during(self, operation: &str, path: &Path) -> Result<T, OsFailure>;

    /// Names the operation.
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

/// A failure of `operation` as the kernel put it.
pub(crate) fn failure(operation: &str, error: &io::Error) -> OsFailure {
    match error.raw_os_error() {
        Some(errno) => OsFailure::new(operation, describe(errno)).errno(errno),
        None => OsFailure::new(operation, error.to_string()),
    }
}

/// What an errno means, in the project's style: lowercase, no full stop.
pub(crate) fn describe(errno: i32) -> String {
    let text = Errno::from_raw(errno).desc();
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// Where descriptors begin that are kept for as long as a worker runs. A child is born with a copy of all descriptors up to
/// the highest one that it needs, so those that are opened for its birth had better be low ones.
const KEPT_FROM: i32 = 512;

/// The same descriptor under a number out of the way; as it is where there is none to be had.
pub(crate) fn keep_high(fd: OwnedFd) -> OwnedFd {
    rustix::io::fcntl_dupfd_cloexec(&fd, KEPT_FROM).unwrap_or(fd)
}

/// Locks a file without waiting, whatever interrupts us; `false` if somebody else has it.
pub(crate) fn try_flock(file: impl AsFd, how: FlockOperation) -> Result<bool, Errno> {
    match rustix::io::retry_on_intr(|| flock(file.as_fd(), how)) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(Errno::from_raw(error.raw_os_error())),
    }
}
