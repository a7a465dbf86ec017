//! Descriptors as such: pipes, copies, and what is written to them.

use crate::sys::linux::failure::Errno;
use crate::sys::linux::fs::{FileKind, fstat};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::pipe2;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// Where descriptors begin that are kept for as long as a worker runs. A child is born with a copy of all descriptors up to
/// the highest one that it needs, so those that are opened for its birth had better be low ones.
const KEPT_FROM: i32 = 512;

/// The same descriptor under a number out of the way; as it is where there is none to be had.
///
/// By rustix, since nix gives a bare number back.
pub(crate) fn keep_high(fd: OwnedFd) -> OwnedFd {
    rustix::io::fcntl_dupfd_cloexec(&fd, KEPT_FROM).unwrap_or(fd)
}

/// A pipe: the end to read from, and the end to write to.
pub(crate) fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    pipe2(OFlag::O_CLOEXEC)
}

/// Which end of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PipeEnd {
    Read,
    Write,
}

/// A pipe, opened once more and non-blocking. `None` for anything else, and where that is not allowed.
pub(crate) fn reopen_pipe(fd: impl AsFd, end: PipeEnd) -> Option<File> {
    if fstat(fd.as_fd()).ok()?.kind != FileKind::Fifo {
        return None;
    }
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    let access = match end {
        PipeEnd::Read => OFlag::O_RDONLY,
        PipeEnd::Write => OFlag::O_WRONLY,
    };
    let flags = access | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    open(Path::new(&path), flags, Mode::empty()).ok().map(File::from)
}

/// Writes what the descriptor takes in one call, and says how much that was.
pub(crate) fn write_once(to: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    nix::unistd::write(to, bytes)
}
