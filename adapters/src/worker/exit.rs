//! Waits until all of a worker is gone.

use super::reaper::{has_exited, peek};
use super::{Parentage, Process, Worker};
use crate::backoff::Backoff;
use crate::hints::Happening;
use crate::lifeline::LifelineProbe;
use crate::os::During;
use rekindle_core::{ChildExit, Host, Lifeline, OsFailure, ProcessIdentity, Standing, WatchError};
use rustix::process::{PidfdFlags, pidfd_open};
use std::os::fd::OwnedFd;
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
            Lifeline::Free => break,
            Lifeline::Held => backoff.wait().await,
            Lifeline::Missing | Lifeline::Unreadable => {
                return Err(OsFailure::new(
                    "ask the lifeline",
                    "the kernel does not say whether it is held",
                ))?;
            }
        }
    }
    Ok(worker.leader.as_ref().map_or(ChildExit::Unknown, Process::exit))
}

/// How a process that was written down is judged.
pub(super) type Judge = fn(&ProcessIdentity, &Host) -> Standing;

impl Process {
    /// Pins a process that was written down earlier. One that is gone is pinned by nothing.
    pub(super) fn pin(identity: ProcessIdentity, here: &Host, judge: Judge) -> Result<Self, OsFailure> {
        let raw = rustix::process::Pid::from_raw(identity.pid.as_raw());
        let opened = raw.map(|pid| pidfd_open(pid, PidfdFlags::NONBLOCK));
        let pidfd = match opened {
            Some(Ok(pidfd)) => Some(pidfd),
            Some(Err(rustix::io::Errno::SRCH)) | None => None,
            Some(Err(error)) => return Err(error).doing("open a descriptor of the worker's process")?,
        };
        // Only now, with the pid pinned, is it certain whose it is.
        let pidfd = pidfd.filter(|_| !judge(&identity, here).is_dead());
        Ok(Self { identity, pidfd, parentage: Parentage::Others })
    }

    pub(super) fn has_exited(&self) -> bool {
        self.pidfd.as_ref().is_none_or(has_exited)
    }

    pub(super) fn is_ours(&self) -> bool {
        self.parentage == Parentage::Ours
    }

    pub(super) fn identity(&self) -> &ProcessIdentity {
        &self.identity
    }

    pub(super) fn pidfd(&self) -> Option<&OwnedFd> {
        self.pidfd.as_ref()
    }

    fn exit(&self) -> ChildExit {
        match (&self.pidfd, self.parentage) {
            (Some(pidfd), Parentage::Ours) => peek(pidfd),
            (Some(_) | None, Parentage::Others) | (None, Parentage::Ours) => ChildExit::Unknown,
        }
    }

    async fn exited(&self) -> Result<(), OsFailure> {
        let Some(pidfd) = &self.pidfd else { return Ok(()) };
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
