//! A program with an inherited lock, which the kernel kills at our end if asked to.

use crate::sys::linux::process::signals::BlockedSignals;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::unistd::{Pid, getpid, getppid};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// The lowest descriptor for the lock in the program: above those of socket activation.
const LOCK_FD_MIN: i32 = 10;

/// The fate of the program at our end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtOurEnd {
    /// The kernel kills the program.
    Dies,
    /// The program goes on, under the lock.
    GoesOn,
}

/// Starts a program that receives the signals blocked by us, and inherits `lock`.
pub(crate) fn spawn(
    command: &mut Command,
    lock: BorrowedFd<'_>,
    signals: &BlockedSignals,
    at_our_end: AtOurEnd,
) -> io::Result<Child> {
    let (parent, lock, mask_before) = (getpid(), lock.as_raw_fd(), signals.before());
    #[expect(unsafe_code, reason = "what runs between fork and exec is restricted")]
    // SAFETY: `under_lock` makes a few system calls and allocates nothing; `lock` is borrowed and open.
    unsafe {
        command.pre_exec(move || under_lock(parent, lock, &mask_before, at_our_end));
    }
    command.spawn()
}

/// In the child, before exec: unblocks signals, ties its life to its parent's if asked to, and keeps a copy of the lock.
fn under_lock(parent: Pid, lock: i32, mask: &SigSet, at_our_end: AtOurEnd) -> io::Result<()> {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(mask), None)?;
    if at_our_end == AtOurEnd::Dies {
        set_pdeathsig(Signal::SIGKILL)?;
    }
    #[expect(unsafe_code, reason = "changing a disposition is unsafe, since a handler could do anything")]
    // SAFETY: no handler is installed, only the default restored, since we may have changed the disposition.
    unsafe {
        signal(Signal::SIGXFSZ, SigHandler::SigDfl)?;
    }
    if at_our_end == AtOurEnd::Dies && getppid() != parent {
        // The parent died before the request, so no signal will come.
        return Err(Errno::ESRCH.into());
    }
    #[expect(
        unsafe_code,
        reason = "the descriptor came here as a number, through a closure that must be 'static"
    )]
    // SAFETY: the caller borrows the descriptor until after the fork.
    let lock = unsafe { BorrowedFd::borrow_raw(lock) };
    // Without close-on-exec: the copy is the program's.
    let _its_number = fcntl(lock, FcntlArg::F_DUPFD(LOCK_FD_MIN))?.into_raw_fd();
    Ok(())
}
