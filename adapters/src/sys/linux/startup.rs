//! What a program that launches workers sets right before anything else.

use crate::sys::linux::failure::{During, describe};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::signal::{SigHandler, Signal, signal};
use rekindle_core::OsFailure;
use std::os::fd::{FromRawFd, OwnedFd};

/// Hears of children again, should our parent have had SIGCHLD ignored: their exit statuses would be lost.
///
/// For the start of `main`, while there is one thread.
pub fn hear_of_children() {
    #[expect(unsafe_code, reason = "changing a disposition is unsafe, since a handler could do anything")]
    // SAFETY: no handler is installed, only the default restored.
    let restored = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
    // Without it exits are still noticed, only not how.
    if let Err(error) = restored {
        tracing::warn!(%error, "SIGCHLD could not be reset");
    }
}

/// Has a write beyond the limit on the size of files (`ulimit -f`) fail, like one to a full disk, instead of ending us: whoever
/// is ended says nothing of what it began. Programs that we start get the default back.
///
/// For the start of `main`, while there is one thread.
pub fn survive_file_size_limit() {
    #[expect(unsafe_code, reason = "changing a disposition is unsafe, since a handler could do anything")]
    // SAFETY: no handler is installed, the signal is only ignored.
    let ignored = unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) };
    if let Err(error) = ignored {
        tracing::warn!(%error, "SIGXFSZ could not be ignored");
    }
}

/// A copy of a descriptor that our parent handed to us under `number`, to be written to. No child inherits the copy.
///
/// For the start of `main`: later the number may be that of a descriptor of our own.
///
/// # Errors
/// If there is no such descriptor, or nothing can be written to it.
pub fn handed_output(number: i32) -> Result<OwnedFd, OsFailure> {
    let operation = format!("write to descriptor {number}");
    #[expect(unsafe_code, reason = "the descriptor came as a number, from whoever started us")]
    // SAFETY: copies a descriptor that may not be there; then the copy is -1 and nothing is made of it.
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
