//! Waits until all of a worker is gone.

use super::pin::Pin;
use super::reaper::{has_exited, peek};
use super::{Parentage, Process, Worker};
use crate::endpoint::socket_file::{self, Tenancy};
use crate::store::lifeline::LifelineProbe;
use crate::sys::backoff::Backoff;
use crate::sys::linux::failure::During;
use crate::sys::linux::fs_watch::Happening;
use rekindle_core::warrant::Warrant;
use rekindle_core::{ChildExit, Host, Lifeline, OsFailure, ProcessIdentity, WatchError};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Resolves once all of a worker is gone, also if that was before anybody asked.
///
/// # Errors
/// If its exit cannot be watched.
///
/// # Cancel safety
/// Safe; the exit is not lost.
///
/// # Panics
/// Outside a tokio runtime with I/O enabled.
pub async fn await_exit(worker: &Worker) -> Result<ChildExit, WatchError> {
    for process in worker.processes() {
        process.exited().await?;
    }
    // The leader may have daemonised: what it left behind holds the lifeline, and nothing says when it lets go.
    let lifeline = worker.lifeline.as_ref().map(LifelineProbe::magic_path).unwrap_or_default();
    let mut backoff = Backoff::at(&lifeline, Happening::FileCloses);
    loop {
        match worker.ask_lifeline() {
            // There is none, and no process was found to keep one: the processes are all that there was.
            Lifeline::Free | Lifeline::Missing => break,
            Lifeline::Held => backoff.wait().await,
            Lifeline::Unreadable => {
                return Err(OsFailure::new(
                    "ask the lifeline",
                    "the kernel does not say whether it is held",
                ))?;
            }
        }
    }
    if let Some(socket) = &worker.listener {
        let mut backoff = Backoff::at(socket, Happening::FileCloses);
        while socket_file::tenancy(socket) != Tenancy::Vacant {
            backoff.wait().await;
        }
    }
    Ok(worker.leader.as_ref().map_or(ChildExit::Unknown, Process::exit))
}

/// Who proves that a process is the one that was written down.
pub(super) type Prover = fn(&ProcessIdentity, &Host) -> Option<Warrant>;

impl Process {
    /// Pins a process that was written down earlier. One that is gone, or is not proved in every field to be the one that
    /// was written down, is pinned by nothing: its pid may be a stranger's.
    pub(super) fn pin(identity: ProcessIdentity, here: &Host, prove: Prover) -> Result<Self, OsFailure> {
        // Asked before it is pinned as well: a stranger is not even pinned.
        let pin = match prove(&identity, here) {
            Some(_) => Pin::of(identity.pid, || prove(&identity, here))?,
            None => None,
        };
        Ok(Self { identity, pin, parentage: Parentage::Others })
    }

    pub(super) fn has_exited(&self) -> bool {
        self.pin.as_ref().is_none_or(|pin| has_exited(pin.pidfd()))
    }

    pub(super) fn is_ours(&self) -> bool {
        self.parentage == Parentage::Ours
    }

    pub(super) fn identity(&self) -> &ProcessIdentity {
        &self.identity
    }

    pub(super) fn pin_held(&self) -> Option<&Pin> {
        self.pin.as_ref()
    }

    fn exit(&self) -> ChildExit {
        match (&self.pin, self.parentage) {
            (Some(pin), Parentage::Ours) => peek(pin.pidfd()),
            (Some(_) | None, Parentage::Others) | (None, Parentage::Ours) => ChildExit::Unknown,
        }
    }

    async fn exited(&self) -> Result<(), OsFailure> {
        let Some(pidfd) = self.pin.as_ref().map(Pin::pidfd) else { return Ok(()) };
        // A descriptor of its own, so that any number of watches can wait at once.
        let pidfd = pidfd.try_clone().doing("copy a descriptor of the worker's process")?;
        #[expect(unsafe_code, reason = "tokio marks registering a descriptor unsafe")]
        // SAFETY: an `OwnedFd` names the same open descriptor until it is dropped, and the `AsyncFd` owns it.
        let watched = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) };
        let watched = watched.map_err(std::io::Error::from).doing("watch the worker's process")?;
        watched.readable().await.doing("watch the worker's process")?.retain_ready();
        Ok(())
    }
}
