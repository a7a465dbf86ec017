//! What a program that launches workers sets right before anything else.

use nix::sys::signal::{SigHandler, Signal, signal};

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
