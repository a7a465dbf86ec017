//! The first settings of a program that launches workers.

use crate::sys::linux::failure::{During, describe};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::signal::{SigHandler, Signal, signal};
use rekindle_core::OsFailure;
use std::os::fd::{FromRawFd, OwnedFd};

/// Restores SIGCHLD, in case our parent had SIGCHLD ignored: children's exit statuses would be lost.
///
/// For the start of `main`, with a single thread.
pub fn hear_of_children() {
    #[expect(unsafe_code, reason = "changing a disposition is unsafe, since a handler could do anything")]
    // SAFETY: no handler is installed, only the default restored.
    let restored = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
    // Without the signal an exit is still noticed, but the status is lost.
    if let Err(error) = restored {
        tracing::warn!(%error, "SIGCHLD could not be reset");
    }
}

/// Makes a write beyond the file size limit (`ulimit -f`) fail, like a write to a full disk, instead of killing us: a
/// killed process cannot report its unfinished work. Started programs get the default back.
///
/// For the start of `main`, with a single thread.
pub fn survive_file_size_limit() {
    #[expect(unsafe_code, reason = "changing a disposition is unsafe, since a handler could do anything")]
    // SAFETY: no handler is installed, the signal is only ignored.
    let ignored = unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) };
    if let Err(error) = ignored {
        tracing::warn!(%error, "SIGXFSZ could not be ignored");
    }
}

/// A copy of the descriptor `number`, passed by our parent for writing. No child inherits the copy.
///
/// For the start of `main`: later the number may belong to a descriptor of ours.
///
/// # Errors
/// If there is no such descriptor, or the descriptor is not writable.
pub fn handed_output(number: i32) -> Result<OwnedFd, OsFailure> {
    let operation = format!("write to descriptor {number}");
    #[expect(unsafe_code, reason = "the descriptor came as a number, from whoever started us")]
    // SAFETY: copies a descriptor that may be missing; then the copy is -1, and no `OwnedFd` is made.
    let copy = unsafe {
        let copy = libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 0);
        let copy = Errno::result(copy).doing(&operation)?;
        OwnedFd::from_raw_fd(copy)
    };
    let flags = fcntl(&copy, FcntlArg::F_GETFL).doing(&operation)?;
    if OFlag::from_bits_retain(flags) & OFlag::O_ACCMODE == OFlag::O_RDONLY {
        return Err(OsFailure::new(&operation, describe(libc::EBADF)).errno(libc::EBADF));
    }
    Ok(copy)
}
