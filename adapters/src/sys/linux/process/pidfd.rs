//! Processes by descriptor: unlike a pid, an open pidfd always means the same process.
//!
//! By rustix, since nix has no such call; the waits are by nix.

use crate::sys::linux::failure::{Errno, from_rustix, retried};
use crate::sys::linux::poll::{is_readable, is_readable_within_ms};
use crate::sys::linux::process::signals::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use rekindle_core::{ChildExit, Pid};
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
use std::os::fd::{AsFd, OwnedFd};

/// A pidfd of a process; ESRCH if the pid is unused.
pub(crate) fn open(pid: Pid) -> Result<OwnedFd, Errno> {
    let raw = rustix::process::Pid::from_raw(pid.as_raw()).ok_or(Errno::ESRCH)?;
    pidfd_open(raw, PidfdFlags::NONBLOCK).map_err(from_rustix)
}

/// A descriptor of this process.
pub(crate) fn open_own() -> Result<OwnedFd, Errno> {
    pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).map_err(from_rustix)
}

/// Sends a signal; ESRCH if the process has ended.
pub(crate) fn send(pidfd: &OwnedFd, signal: Signal) -> Result<(), Errno> {
    let signal = rustix::process::Signal::from_named_raw(signal as i32).ok_or(Errno::EINVAL)?;
    pidfd_send_signal(pidfd, signal).map_err(from_rustix)
}

/// Whether the process has ended.
pub(crate) fn has_exited(pidfd: &OwnedFd) -> bool {
    is_readable(pidfd).unwrap_or(false)
}

/// Whether the process ends within this number of milliseconds; a signal to us ends the wait early.
pub(crate) fn exits_within_ms(pidfd: &OwnedFd, ms: u8) -> bool {
    is_readable_within_ms(pidfd, ms).unwrap_or(false)
}

/// Reaps a child that has ended or is about to; waits for the end.
pub(crate) fn reap(pidfd: &OwnedFd) -> ChildExit {
    exit_of(retried(|| waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED)))
}

/// The exit of an ended child, left unreaped.
pub(crate) fn peek(pidfd: &OwnedFd) -> ChildExit {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    exit_of(waitid(Id::PIDFd(pidfd.as_fd()), flags))
}

/// Another process may have taken the status, or the kernel dropped the status because SIGCHLD is ignored: the child is
/// gone, and nothing more is known.
fn exit_of(status: nix::Result<WaitStatus>) -> ChildExit {
    match status {
        Ok(WaitStatus::Exited(_, code)) => ChildExit::Code(code),
        Ok(WaitStatus::Signaled(_, signal, _)) => ChildExit::Signal(signal as i32),
        Ok(_) | Err(_) => ChildExit::Unknown,
    }
}
