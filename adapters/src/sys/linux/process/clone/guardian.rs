//! The child of a clone before exec of the guardian: puts the descriptors in place, then `execveat`.
#![expect(unsafe_code, reason = "a child between clone and exec is beyond what safe Rust can express")]

use super::prepared::CStrings;
use super::vfork::{clone_child, leave_parents_table, reset_signals};
use crate::sys::linux::failure::describe;
use crate::sys::linux::process::pidfd::reap;
use nix::errno::Errno;
use nix::libc;
use nix::libc::{c_char, c_int, c_void};
use rekindle_core::{OsFailure, Pid};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// The number of a guardian's descriptors: 0, 1 and so on.
pub(crate) const PLACES: usize = 5;
/// The descriptor of the guardian's program during exec; closed by exec.
const IMAGE_FD: c_int = PLACES as c_int;
/// The lowest descriptor above all fixed places.
const FIRST_FREE_FD: c_int = IMAGE_FD + 1;

/// Places and descriptors of ours.
pub(crate) type Places = [(c_int, c_int); PLACES];

struct ChildArgs {
    /// Each descriptor with its place.
    places: Places,
    image: c_int,
    argv: *const *const c_char,
    envp: *const *const c_char,
    /// The errno of a failed child; untouched on success.
    errno: *mut i32,
}

/// Creates a guardian and returns once the guardian's program runs.
///
/// # Errors
/// If the guardian could not be created; no process is left then.
pub(crate) fn execute_guardian(
    places: Places,
    image: BorrowedFd<'_>,
    argv: &CStrings,
    envp: &CStrings,
) -> Result<(Pid, OwnedFd), OsFailure> {
    let refused = |errno| OsFailure::new("start a guardian for the child", describe(errno)).errno(errno);
    let mut errno = 0;
    let mut args = ChildArgs {
        places,
        image: image.as_raw_fd(),
        argv: argv.as_ptr(),
        envp: envp.as_ptr(),
        errno: &raw mut errno,
    };
    // SAFETY: `become_guardian` uses only its own stack and `args`; `args`, with everything behind its pointers,
    // outlives the child.
    let (pid, pidfd) = unsafe { clone_child(become_guardian, (&raw mut args).cast()) }.map_err(refused)?;
    if errno != 0 {
        reap(&pidfd);
        return Err(refused(errno));
    }
    Ok((pid, pidfd))
}

/// The child of the clone. Never returns into our code: executes the guardian or exits.
extern "C" fn become_guardian(args: *mut c_void) -> c_int {
    // SAFETY: `execute_guardian` passes a `ChildArgs` that outlives the child, and waits meanwhile.
    let args = unsafe { &*args.cast::<ChildArgs>() };
    reset_signals();
    let errno = arrange(args).err().unwrap_or_else(|| {
        // SAFETY: a descriptor of the child's own, then arrays terminated as the kernel requires. All signals stay
        // blocked: the guardian wants none.
        unsafe {
            let flags = libc::AT_EMPTY_PATH;
            libc::syscall(libc::SYS_execveat, IMAGE_FD, c"".as_ptr(), args.argv, args.envp, flags);
        }
        Errno::last_raw()
    });
    // SAFETY: the errno outlives the child, and only the child touches it now; then this process ends at once.
    unsafe {
        *args.errno = errno;
        libc::_exit(127)
    }
}

/// 0 to 4 are the guardian's descriptors, then its program; nothing else is open.
fn arrange(args: &ChildArgs) -> Result<(), i32> {
    leave_parents_table(args.places.iter().map(|(_, fd)| *fd).chain([args.image]))?;
    let check = |result: c_int| if result < 0 { Err(Errno::last_raw()) } else { Ok(result) };
    // SAFETY: moves and closes descriptors of the child's own table.
    unsafe {
        // First all of them move away: one may occupy the place of another.
        let image = check(libc::fcntl(args.image, libc::F_DUPFD, FIRST_FREE_FD))?;
        let mut moved = args.places;
        for (_, fd) in &mut moved {
            *fd = check(libc::fcntl(*fd, libc::F_DUPFD, FIRST_FREE_FD))?;
        }
        for (place, fd) in moved {
            check(libc::dup2(fd, place))?;
        }
        check(libc::dup3(image, IMAGE_FD, libc::O_CLOEXEC))?;
        check(libc::syscall(libc::SYS_close_range, FIRST_FREE_FD, u32::MAX, 0) as c_int)?;
    }
    Ok(())
}
