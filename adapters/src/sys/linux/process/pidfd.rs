//! Processes by descriptor: a descriptor means the same process for as long as it is open, which a pid does not.
//!
//! By rustix, since nix has no call for it; what waits is by nix.

use crate::sys::linux::failure::{Errno, from_rustix, retried};
use crate::sys::linux::poll::{is_readable, is_readable_within_ms};
use crate::sys::linux::process::signals::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use rekindle_core::{ChildExit, Pid};
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
use std::os::fd::{AsFd, OwnedFd};

/// A descriptor of a process; ESRCH if there is none of this pid.
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

/// Whether the process ends within so many milliseconds; a signal to us ends the wait early.
pub(crate) fn exits_within_ms(pidfd: &OwnedFd, ms: u8) -> bool {
    is_readable_within_ms(pidfd, ms).unwrap_or(false)
}

/// Reaps a child that has ended or is about to; waits for that.
pub(crate) fn reap(pidfd: &OwnedFd) -> ChildExit {
    exit_of(retried(|| waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED)))
}

/// How a child ended, leaving it unreaped. Only for one that has ended.
pub(crate) fn peek(pidfd: &OwnedFd) -> ChildExit {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    exit_of(waitid(Id::PIDFd(pidfd.as_fd()), flags))
}

/// Somebody else may have taken the status, or the kernel threw it away because SIGCHLD is ignored: it is gone, and
/// that is all that can be said.
fn exit_of(status: nix::Result<WaitStatus>) -> ChildExit {
    match status {
        Ok(WaitStatus::Exited(_, code)) => ChildExit::Code(code),
        Ok(WaitStatus::Signaled(_, signal, _)) => ChildExit::Signal(signal as i32),
        Ok(_) | Err(_) => ChildExit::Unknown,
    }
}
