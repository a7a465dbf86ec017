//! Processes by descriptor: whether they have ended, and how.

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use rekindle_core::ChildExit;
use rustix::event::{PollFd, PollFlags, poll};
use std::os::fd::{AsFd, OwnedFd};

/// Reaps a child that has ended or is about to; waits for that.
pub(crate) fn reap(pidfd: &OwnedFd) -> ChildExit {
    loop {
        match waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED) {
            Err(Errno::EINTR) => {}
            other => return exit_of(other),
        }
    }
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

/// Whether the process behind a pidfd has ended.
pub(crate) fn has_exited(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    loop {
        match poll(&mut fds, Some(&now)) {
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}
