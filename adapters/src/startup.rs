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
