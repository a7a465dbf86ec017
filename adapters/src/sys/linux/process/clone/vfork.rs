//! The one place where a process is created: `clone(VM | VFORK | PIDFD)`.
//!
//! The child shares the launcher's memory and runs on a stack of its own, while the thread that called waits in the
//! kernel.
#![expect(unsafe_code, reason = "a child between clone and exec is beyond what safe Rust can express")]

use super::stack::Stack;
use nix::errno::Errno;
use nix::libc;
use nix::libc::{c_int, c_uint, c_void};
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use rekindle_core::Pid;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

/// Creates a child that runs `main` in our memory and shares our descriptors, and returns once that has executed a program
/// or ended.
///
/// # Errors
/// The errno of a `clone` or `mmap` that failed; no child exists then.
///
/// # Safety
/// `main` makes system calls and touches what `args` points to and its own stack, and nothing else: no allocation, no
/// lock, no panic. It leaves our table of descriptors before it opens or closes any. It does not return.
pub(super) unsafe fn clone_child(
    main: extern "C" fn(*mut c_void) -> c_int,
    args: *mut c_void,
) -> Result<(Pid, OwnedFd), i32> {
    let stack = Stack::take().map_err(|errno| errno as i32)?;
    let mut pidfd: c_int = -1;
    let flags = libc::CLONE_VM | libc::CLONE_FILES | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;

    // No handler of ours may run in the child, which shares our memory; it unblocks once it has default dispositions.
    let mut before = SigSet::empty();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))
        .map_err(|e| e as i32)?;
    // SAFETY: the child runs on a stack that is its own and outlives it, since VFORK keeps us here until it has executed
    // a program or ended; the rest is the caller's.
    let pid = unsafe { libc::clone(main, stack.top(), flags, args, &raw mut pidfd) };
    let errno = Errno::last_raw();
    // The mask was valid a moment ago; it cannot be refused.
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);

    let Some(pid) = Pid::new(pid) else { return Err(errno) };
    // SAFETY: the kernel has just opened this descriptor for us, and nobody else knows it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok((pid, pidfd))
}

/// Gives a child its own table of descriptors, in place of its parent's: a copy of that, as far as the highest one that it
/// needs. To copy and to close those of a thousand other workers would take longer than the rest of a birth.
pub(super) fn leave_parents_table(needed: impl Iterator<Item = c_int>) -> Result<(), i32> {
    let first_left = needed.max().unwrap_or(-1) + 1;
    close_range(first_left.unsigned_abs(), u32::MAX, libc::CLOSE_RANGE_UNSHARE)
}

pub(super) fn close_range(first: u32, last: u32, flags: c_uint) -> Result<(), i32> {
    // SAFETY: closes descriptors of the child's own table, which it leaves its parent's for if it is told to.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if result == 0 { Ok(()) } else { Err(Errno::last_raw()) }
}

/// Default dispositions for all, and nothing pending: a Ctrl-C that reached the launcher's group is not the worker's.
///
/// Only once the session is its own: from then on no terminal sends it anything.
pub(super) fn reset_signals() {
    const LAST: c_int = 64;
    for signal in 1..=LAST {
        dispose(signal, Disposition::Default);
    }
    let mut pending: u64 = 0;
    // SAFETY: fills in a set that is as long as the kernel is told.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, SIGNAL_SET_LEN) };
    for signal in (1..=LAST).filter(|signal| pending & (1 << (signal - 1)) != 0) {
        // To ignore a signal drops it if it is pending.
        dispose(signal, Disposition::Ignore);
        dispose(signal, Disposition::Default);
    }
}

/// The length of a set of signals, as the kernel has it.
const SIGNAL_SET_LEN: usize = 8;

/// `SIG_DFL` and `SIG_IGN`, as the kernel spells them.
#[derive(Clone, Copy)]
enum Disposition {
    Default = 0,
    Ignore = 1,
}

/// SIGKILL and SIGSTOP are refused, which is as well.
fn dispose(signal: c_int, how: Disposition) {
    // The kernel's structure begins with the handler; flags, restorer and mask are all zero.
    let action: [u64; 4] = [how as u64, 0, 0, 0];
    let nothing = ptr::null_mut::<c_void>();
    // SAFETY: reads a structure that is large enough. The table of dispositions is the child's own, since CLONE_SIGHAND
    // is not set. Called directly, since libc keeps two signals to itself that a parent may have had ignored.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), nothing, SIGNAL_SET_LEN) };
}
