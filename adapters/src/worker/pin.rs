//! A pinned process that may be signalled: judged to belong to the worker after the pin.
//!
//! # Invariants
//! 1. Only this file of the crate sends a signal to a process that is not our own child, and only with a [`Warrant`]
//!    from the core's judges.
//! 2. The judge is asked after the pin: the pid cannot be reused in between.

use crate::sys::linux::failure::{During, Errno, refused};
use crate::sys::linux::poll::readable;
use crate::sys::linux::process::pidfd;
use crate::sys::linux::process::signals::Signal;
use rekindle_core::warrant::Warrant;
use rekindle_core::{OsFailure, Pid};
use std::os::fd::OwnedFd;

/// A pinned process, with leave to signal.
#[derive(Debug)]
pub(crate) struct Pin {
    pidfd: OwnedFd,
    /// `None` for a child of ours, which needs no judge: its pidfd exists from birth.
    warrant: Option<Warrant>,
}

impl Pin {
    /// A child of ours.
    pub(super) fn of_child(pidfd: OwnedFd) -> Self {
        Self { pidfd, warrant: None }
    }

    /// Pins a process and asks the judge; `None` if the process is gone or may not be signalled.
    pub(super) fn of(pid: Pid, judge: impl FnOnce() -> Option<Warrant>) -> Result<Option<Self>, OsFailure> {
        let pidfd = match pidfd::open(pid) {
            Ok(pidfd) => pidfd,
            Err(Errno::ESRCH) => return Ok(None),
            Err(error) => return Err(error).doing("open a descriptor of the worker's process")?,
        };
        Ok(judge()
            .filter(|warrant| warrant.pid() == pid)
            .map(|warrant| Self { pidfd, warrant: Some(warrant) }))
    }

    pub(super) fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// Resolves once the process has ended.
    pub(super) async fn exited(&self) -> Result<(), OsFailure> {
        // A copy of the descriptor, so several watches can wait at once.
        let pidfd = self.pidfd.try_clone().doing("copy a descriptor of the worker's process")?;
        let watched = readable(pidfd).doing("watch the worker's process")?;
        watched.readable().await.doing("watch the worker's process")?.retain_ready();
        Ok(())
    }

    pub(super) fn into_pidfd(self) -> OwnedFd {
        self.pidfd
    }

    /// Sends a signal; an ended process is ignored.
    pub(super) fn send(&self, signal: Signal) -> Result<(), OsFailure> {
        match pidfd::send(&self.pidfd, signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => {
                let whom =
                    self.warrant.map_or_else(|| "our child".to_owned(), |it| format!("process {}", it.pid()));
                Err(refused(format!("signal {whom}"), error as i32))
            }
        }
    }
}
