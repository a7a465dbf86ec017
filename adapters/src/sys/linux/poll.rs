//! Waiting for descriptors: for a single one, for many, or by the runtime.

use crate::sys::linux::failure::{Errno, retried};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The awaited state of a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Data can be read, or the end.
    Readable,
    /// Data can be written.
    Writable,
    /// No writer is left, though unread data may remain.
    HungUp,
    /// No reader is left: the kernel always tells this.
    Unread,
}

impl Readiness {
    fn flags(self) -> PollFlags {
        match self {
            Self::Readable => PollFlags::POLLIN,
            Self::Writable => PollFlags::POLLOUT,
            Self::HungUp => PollFlags::from_bits_retain(libc::POLLRDHUP),
            Self::Unread => PollFlags::empty(),
        }
    }
}

/// Waits until a descriptor is ready, or the other side is gone.
pub(crate) fn wait_until(fd: impl AsFd, readiness: Readiness) -> Result<(), Errno> {
    let mut fds = [PollFd::new(fd.as_fd(), readiness.flags())];
    retried(|| nix::poll::poll(&mut fds, PollTimeout::NONE)).map(drop)
}

/// Whether a descriptor can be read now.
pub(crate) fn is_readable(fd: impl AsFd) -> Result<bool, Errno> {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    retried(|| nix::poll::poll(&mut fds, PollTimeout::ZERO)).map(|ready| ready > 0)
}

/// Whether a descriptor can be read within this number of milliseconds; a signal ends the wait early.
pub(crate) fn is_readable_within_ms(fd: impl AsFd, ms: u8) -> Result<bool, Errno> {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    nix::poll::poll(&mut fds, PollTimeout::from(ms)).map(|ready| ready > 0)
}

/// Whether the other end of a pipe is closed in every process.
pub(crate) fn is_hung_up(fd: impl AsFd) -> Result<bool, Errno> {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::empty())];
    nix::poll::poll(&mut fds, PollTimeout::ZERO)?;
    Ok(fds[0].revents().is_some_and(|seen| seen.contains(PollFlags::POLLHUP)))
}

/// The number of unread bytes in a pipe.
///
/// By rustix, since nix offers ioctl only as a macro for unsafe functions.
pub(crate) fn unread(fd: impl AsFd) -> Option<u64> {
    rustix::io::ioctl_fionread(fd).ok()
}

/// A descriptor watched by the runtime for being readable.
///
/// # Panics
/// Outside a tokio runtime with I/O enabled.
pub(crate) fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(unsafe_code, reason = "tokio marks registering a descriptor unsafe")]
    // SAFETY: an `OwnedFd` names the same open descriptor until it is dropped, and the `AsyncFd` owns it.
    let watched = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    watched.map_err(io::Error::from)
}

/// The number of events in one wait.
const EVENTS_MAX: usize = 64;

/// Any number of descriptors, awaited by one thread. The kernel watches them: the cost of adding a descriptor and of an
/// event does not depend on the number of descriptors.
#[derive(Debug)]
pub(crate) struct ManyReadable(Epoll);

impl ManyReadable {
    pub(crate) fn new() -> Result<Self, Errno> {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Self)
    }

    /// Watches another descriptor.
    pub(crate) fn add(&self, fd: impl AsFd) -> Result<(), Errno> {
        let key = u64::from(fd.as_fd().as_raw_fd().unsigned_abs());
        self.0.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, key))
    }

    /// Stops watching a descriptor.
    pub(crate) fn remove(&self, fd: impl AsFd) -> Result<(), Errno> {
        self.0.delete(fd)
    }

    /// Waits, and calls `with` for each readable descriptor.
    pub(crate) fn wait(&self, mut with: impl FnMut(RawFd)) {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        // An interrupted wait has no events.
        let told = self.0.wait(&mut events, EpollTimeout::NONE).unwrap_or(0);
        events.iter().take(told).filter_map(|event| RawFd::try_from(event.data()).ok()).for_each(&mut with);
    }
}
