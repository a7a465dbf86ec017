//! A program killed by the kernel at our end, with an inherited lock.

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

/// Starts a program that receives the signals blocked by us, dies with the calling thread, and inherits `lock`.
pub(crate) fn spawn(
    command: &mut Command,
    lock: BorrowedFd<'_>,
    signals: &BlockedSignals,
) -> io::Result<Child> {
    let (parent, lock, mask_before) = (getpid(), lock.as_raw_fd(), signals.before());
    #[expect(unsafe_code, reason = "what runs between fork and exec is restricted")]
    // SAFETY: `under_lock` makes a few system calls and allocates nothing; `lock` is borrowed and open.
    unsafe {
        command.pre_exec(move || under_lock(parent, lock, &mask_before));
    }
    command.spawn()
}

/// In the child, before exec: unblocks signals, dies with its parent, and keeps a copy of the lock.
fn under_lock(parent: Pid, lock: i32, mask: &SigSet) -> io::Result<()> {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(mask), None)?;
    set_pdeathsig(Signal::SIGKILL)?;
    #[expect(unsafe_code, reason = "changing a disposition is unsafe, since a handler could do anything")]
    // SAFETY: no handler is installed, only the default restored, since we may have changed the disposition.
    unsafe {
        signal(Signal::SIGXFSZ, SigHandler::SigDfl)?;
    }
    if getppid() != parent {
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
