//! Descriptors: pipes, copies, and writes.

use crate::sys::linux::failure::Errno;
use crate::sys::linux::fs::{FileKind, fstat};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::pipe2;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// The lowest number for descriptors kept as long as a worker runs. A child gets a copy of all descriptors up to the
/// highest that it needs, so the descriptors for a birth had better be low.
const KEPT_FROM: i32 = 512;

/// Moves a descriptor to a high number; unchanged if no high number is free.
///
/// By rustix, since nix returns a bare number.
pub(crate) fn keep_high(fd: OwnedFd) -> OwnedFd {
    rustix::io::fcntl_dupfd_cloexec(&fd, KEPT_FROM).unwrap_or(fd)
}

/// Makes a pipe: the end to read from, and the end to write to.
pub(crate) fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    pipe2(OFlag::O_CLOEXEC)
}

/// An end of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PipeEnd {
    Read,
    Write,
}

/// Opens a pipe once more, non-blocking. `None` for any other kind of file, and if not allowed.
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

/// Writes once, and returns the number of accepted bytes.
pub(crate) fn write_once(to: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    nix::unistd::write(to, bytes)
}
