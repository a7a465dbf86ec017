//! A process that may be signalled: pinned by its descriptor, and known to be of the worker since it was.
//!
//! # Invariants
//! 1. This is the only place of the crate that sends a signal to a process that is not our own child, and it takes a
//!    [`Warrant`], which only the core's judges make.
//! 2. The judge is asked after the process was pinned: the pid cannot come to mean another in between.

use crate::sys::linux::failure::{During, failure};
use rekindle_core::warrant::Warrant;
use rekindle_core::{OsFailure, Pid};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::fd::OwnedFd;

/// A pinned process with leave to signal it.
#[derive(Debug)]
pub(crate) struct Pin {
    pidfd: OwnedFd,
    /// None of a child of ours, which needs no judge: its descriptor exists from its birth.
    warrant: Option<Warrant>,
}

impl Pin {
    /// A child of ours.
    pub(super) fn of_child(pidfd: OwnedFd) -> Self {
        Self { pidfd, warrant: None }
    }

    /// Pins a process and asks whether it may be signalled; `None` if it is gone or may not.
    pub(super) fn of(pid: Pid, judge: impl FnOnce() -> Option<Warrant>) -> Result<Option<Self>, OsFailure> {
        let Some(raw) = rustix::process::Pid::from_raw(pid.as_raw()) else { return Ok(None) };
        let pidfd = match pidfd_open(raw, PidfdFlags::NONBLOCK) {
            Ok(pidfd) => pidfd,
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error).doing("open a descriptor of the worker's process")?,
        };
        Ok(judge()
            .filter(|warrant| warrant.pid() == pid)
            .map(|warrant| Self { pidfd, warrant: Some(warrant) }))
    }

    pub(super) fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    pub(super) fn into_pidfd(self) -> OwnedFd {
        self.pidfd
    }

    /// Sends a signal; one that has ended meanwhile needs none.
    pub(super) fn send(&self, signal: Signal) -> Result<(), OsFailure> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => {
                let whom =
                    self.warrant.map_or_else(|| "our child".to_owned(), |it| format!("process {}", it.pid()));
                Err(failure(&format!("signal {whom}"), &error.into()))
            }
        }
    }
}
