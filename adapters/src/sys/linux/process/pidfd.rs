//! Processes by descriptor: unlike a pid, an open pidfd always means the same process.
//!
//! By rustix, since nix has no such call; the waits are by nix.

use crate::sys::linux::failure::{Errno, from_rustix, retried};
use crate::sys::linux::poll::{is_readable, is_readable_within_ms};
use crate::sys::linux::process::signals::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use rekindle_core::{ChildExit, Pid};
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
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

/// What `PIDFD_GET_INFO` fills in: the first version of the kernel's structure, which every later kernel accepts.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    /// The wanted facts on the way in, the known facts on the way out.
    mask: u64,
    cgroup: u64,
    pid: u32,
    group: u32,
    parent: u32,
    /// Real, effective, saved and file system ids of user and group.
    ids: [u32; 8],
    /// The wait status of an ended process.
    exit_status: i32,
}

/// The bit of the wait status.
const INFO_EXIT: u64 = 1 << 3;

/// `_IOWR(0xFF, 11, struct pidfd_info)`
const PIDFD_GET_INFO: Opcode = opcode::read_write::<PidfdInfo>(0xFF, 11);

/// The exit of an ended and reaped process, whoever reaped it: the kernel keeps the status as long as a descriptor of
/// the process is open. `None` if the process is not reaped yet, or the kernel is older than Linux 6.15.
pub(crate) fn reaped_exit(pidfd: &OwnedFd) -> Option<ChildExit> {
    let mut info = PidfdInfo { mask: INFO_EXIT, ..PidfdInfo::default() };
    #[expect(unsafe_code, reason = "rustix has no call for this request")]
    // SAFETY: the request reads and writes one `PidfdInfo`, whose layout is the kernel's; the size is in the request.
    unsafe {
        ioctl(pidfd, Updater::<PIDFD_GET_INFO, PidfdInfo>::new(&mut info)).ok()?;
    }
    (info.mask & INFO_EXIT != 0).then(|| exit_of_status(info.exit_status))
}

/// The exit in a wait status, as wait(2) encodes it.
pub(crate) fn exit_of_status(status: i32) -> ChildExit {
    let signal = status & 0x7f;
    match (signal, status & 0x80) {
        (0, _) => ChildExit::Code((status >> 8) & 0xff),
        (_, 0) => ChildExit::Signal(signal),
        (_, _) => ChildExit::CoreDumped(signal),
    }
}

/// Another process may have taken the status, or the kernel dropped the status because SIGCHLD is ignored: the child is
/// gone, and nothing more is known.
fn exit_of(status: nix::Result<WaitStatus>) -> ChildExit {
    match status {
        Ok(WaitStatus::Exited(_, code)) => ChildExit::Code(code),
        Ok(WaitStatus::Signaled(_, signal, true)) => ChildExit::CoreDumped(signal as i32),
        Ok(WaitStatus::Signaled(_, signal, false)) => ChildExit::Signal(signal as i32),
        Ok(_) | Err(_) => ChildExit::Unknown,
    }
}
