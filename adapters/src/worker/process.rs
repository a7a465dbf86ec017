//! One process of a worker: pinned, watched, and reaped if our child.

use super::pin::Pin;
use super::reaper::{ExitTeller, ReapedExit, reap_later};
use crate::sys::linux::descriptors::keep_high;
use crate::sys::linux::process::pidfd::{has_exited, peek, reaped_exit};
use crate::sys::linux::procfs;
use rekindle_core::warrant::Warrant;
use rekindle_core::{ChildExit, Host, OsFailure, ProcessIdentity};
use std::os::fd::OwnedFd;

/// A process of a worker; pinned if it runs and is proved to be the recorded process.
#[derive(Debug)]
pub(crate) struct Process {
    identity: ProcessIdentity,
    pin: Option<Pin>,
    /// Who tells how it ended, if it is a child of ours: nobody else's child can be waited for.
    teller: Option<ExitTeller>,
}

/// Proves that a process is the recorded process.
pub(super) type Prover = fn(&ProcessIdentity, &Host) -> Option<Warrant>;

impl Process {
    /// A new child.
    pub(super) fn child(identity: ProcessIdentity, pidfd: OwnedFd) -> Self {
        let pin = Some(Pin::of_child(keep_high(pidfd)));
        Self { identity, pin, teller: Some(ExitTeller::new()) }
    }

    /// Pins a recorded process. A gone process, or a process not proved in every field, is not pinned: the pid may have
    /// been reused.
    pub(super) fn pin(identity: ProcessIdentity, here: &Host, prove: Prover) -> Result<Self, OsFailure> {
        // Judged before the pin as well: a foreign process is not even pinned.
        let pin = match prove(&identity, here) {
            Some(_) => Pin::of(identity.pid, || prove(&identity, here))?,
            None => None,
        };
        Ok(Self { identity, pin, teller: None })
    }

    pub(super) fn has_exited(&self) -> bool {
        self.pin.as_ref().is_none_or(|pin| has_exited(pin.pidfd()))
    }

    pub(super) fn reaped_exit(&self) -> Option<ReapedExit> {
        self.teller.as_ref().map(ExitTeller::listen)
    }

    pub(super) fn is_ours(&self) -> bool {
        self.teller.is_some()
    }

    pub(super) fn identity(&self) -> &ProcessIdentity {
        &self.identity
    }

    pub(super) fn pin_held(&self) -> Option<&Pin> {
        self.pin.as_ref()
    }

    /// The exit of the ended process. The status of another process's child is known if the process was pinned while it
    /// lived: from the kernel once it is reaped (Linux 6.15), and from `/proc` before.
    pub(super) fn exit(&self) -> ChildExit {
        match (&self.pin, &self.teller) {
            (Some(pin), Some(_)) => peek(pin.pidfd()),
            (Some(pin), None) if has_exited(pin.pidfd()) => {
                let reaped = || reaped_exit(pin.pidfd());
                // Reaped between the two questions, the kernel knows at the third.
                let exit = reaped().or_else(|| procfs::exit_of_zombie(&self.identity)).or_else(reaped);
                exit.unwrap_or(ChildExit::Unknown)
            }
            (Some(_) | None, None) | (None, Some(_)) => ChildExit::Unknown,
        }
    }

    pub(super) async fn exited(&self) -> Result<(), OsFailure> {
        match &self.pin {
            Some(pin) => pin.exited().await,
            None => Ok(()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let (Some(pin), Some(teller)) = (self.pin.take(), self.teller.take()) else { return };
        let pidfd = pin.into_pidfd();
        if has_exited(&pidfd) {
            teller.reap(&pidfd);
        } else {
            reap_later(pidfd, teller);
        }
    }
}
