//! One process of a worker: pinned, watched, and reaped if our child.

use super::pin::Pin;
use super::reaper::leave_to_reaper;
use crate::sys::linux::descriptors::keep_high;
use crate::sys::linux::failure::During;
use crate::sys::linux::poll::readable;
use crate::sys::linux::process::pidfd::{has_exited, peek, reap};
use rekindle_core::warrant::Warrant;
use rekindle_core::{ChildExit, Host, OsFailure, ProcessIdentity};
use std::os::fd::OwnedFd;

/// A process of a worker; pinned if it runs and is proved to be the recorded process.
#[derive(Debug)]
pub(crate) struct Process {
    identity: ProcessIdentity,
    pin: Option<Pin>,
    parentage: Parentage,
}

/// Whether we may wait for a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parentage {
    Ours,
    Others,
}

/// Proves that a process is the recorded process.
pub(super) type Prover = fn(&ProcessIdentity, &Host) -> Option<Warrant>;

impl Process {
    /// A new child.
    pub(super) fn child(identity: ProcessIdentity, pidfd: OwnedFd) -> Self {
        let pin = Some(Pin::of_child(keep_high(pidfd)));
        Self { identity, pin, parentage: Parentage::Ours }
    }

    /// Pins a recorded process. A gone process, or a process not proved in every field, is not pinned: the pid may have
    /// been reused.
    pub(super) fn pin(identity: ProcessIdentity, here: &Host, prove: Prover) -> Result<Self, OsFailure> {
        // Judged before the pin as well: a foreign process is not even pinned.
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

    pub(super) fn exit(&self) -> ChildExit {
        match (&self.pin, self.parentage) {
            (Some(pin), Parentage::Ours) => peek(pin.pidfd()),
            (Some(_) | None, Parentage::Others) | (None, Parentage::Ours) => ChildExit::Unknown,
        }
    }

    pub(super) async fn exited(&self) -> Result<(), OsFailure> {
        let Some(pidfd) = self.pin.as_ref().map(Pin::pidfd) else { return Ok(()) };
        // A copy of the descriptor, so several watches can wait at once.
        let pidfd = pidfd.try_clone().doing("copy a descriptor of the worker's process")?;
        let watched = readable(pidfd).doing("watch the worker's process")?;
        watched.readable().await.doing("watch the worker's process")?.retain_ready();
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(pin) = self.pin.take().filter(|_| self.parentage == Parentage::Ours) else { return };
        let pidfd = pin.into_pidfd();
        if has_exited(&pidfd) {
            reap(&pidfd);
        } else {
            leave_to_reaper(pidfd);
        }
    }
}
