//! The only place where a process is created: `clone(VM | VFORK | PIDFD)`.
//!
//! The child shares the launcher's memory and runs on a separate stack, while the calling thread waits in the kernel.
#![expect(unsafe_code, reason = "a child between clone and exec is beyond what safe Rust can express")]

use super::stack::Stack;
use nix::errno::Errno;
use nix::libc;
use nix::libc::{c_int, c_uint, c_void};
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use rekindle_core::Pid;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

/// Creates a child that runs `main` in our memory with our descriptors; returns once the child has executed a program
/// or ended.
///
/// # Errors
/// The errno of a failed `clone` or `mmap`; no child exists then.
///
/// # Safety
/// `main` makes system calls and touches only its own stack and the target of `args`: no allocation, no lock, no panic.
/// `main` leaves our table of descriptors before opening or closing any descriptor. `main` does not return.
pub(super) unsafe fn clone_child(
    main: extern "C" fn(*mut c_void) -> c_int,
    args: *mut c_void,
) -> Result<(Pid, OwnedFd), i32> {
    let stack = Stack::take().map_err(|errno| errno as i32)?;
    let mut pidfd: c_int = -1;
    let flags = libc::CLONE_VM | libc::CLONE_FILES | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;

    // No handler of ours may run in the child, which shares our memory; the child unblocks signals after setting
    // default dispositions.
    let mut before = SigSet::empty();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))
        .map_err(|e| e as i32)?;
    // SAFETY: the child's stack is not shared and outlives the child, since VFORK keeps us here until the child has
    // executed a program or ended; the caller vouches for the rest.
    let pid = unsafe { libc::clone(main, stack.top(), flags, args, &raw mut pidfd) };
    let errno = Errno::last_raw();
    // The mask was valid a moment ago, so it is accepted.
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);

    let Some(pid) = Pid::new(pid) else { return Err(errno) };
    // SAFETY: the kernel has just opened this descriptor for us, and no other owner exists.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok((pid, pidfd))
}

/// Gives a child its own table of descriptors: a copy of the parent's, up to the highest needed descriptor. Copying and
/// closing the descriptors of a thousand other workers would take longer than the rest of a birth.
pub(super) fn leave_parents_table(needed: impl Iterator<Item = c_int>) -> Result<(), i32> {
    let first_left = needed.max().unwrap_or(-1) + 1;
    close_range(first_left.unsigned_abs(), u32::MAX, libc::CLOSE_RANGE_UNSHARE)
}

pub(super) fn close_range(first: u32, last: u32, flags: c_uint) -> Result<(), i32> {
    // SAFETY: closes descriptors of the child's own table; the flag may unshare the table from the parent's.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if result == 0 { Ok(()) } else { Err(Errno::last_raw()) }
}

/// Default dispositions for all signals, and no pending signal: a Ctrl-C to the launcher's group is not meant for the
/// worker.
///
/// Only in a new process session: from then on no terminal sends a signal.
pub(super) fn reset_signals() {
    const LAST: c_int = 64;
    for signal in 1..=LAST {
        dispose(signal, Disposition::Default);
    }
    let mut pending: u64 = 0;
    // SAFETY: fills in a set of the length given to the kernel.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, SIGNAL_SET_LEN) };
    for signal in (1..=LAST).filter(|signal| pending & (1 << (signal - 1)) != 0) {
        // Ignoring a pending signal drops the signal.
        dispose(signal, Disposition::Ignore);
        dispose(signal, Disposition::Default);
    }
}

/// The length of a signal set in the kernel.
const SIGNAL_SET_LEN: usize = 8;

/// `SIG_DFL` and `SIG_IGN`, as the kernel spells them.
#[derive(Clone, Copy)]
enum Disposition {
    Default = 0,
    Ignore = 1,
}

/// For SIGKILL and SIGSTOP the kernel refuses, which is fine.
fn dispose(signal: c_int, how: Disposition) {
    // The kernel's structure begins with the handler; flags, restorer and mask are all zero.
    let action: [u64; 4] = [how as u64, 0, 0, 0];
    let nothing = ptr::null_mut::<c_void>();
    // SAFETY: reads a structure that is large enough. The table of dispositions is the child's own, since CLONE_SIGHAND
    // is not set. Called directly, since libc keeps two signals to itself that a parent may have had ignored.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), nothing, SIGNAL_SET_LEN) };
}
