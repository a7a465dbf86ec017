//! A running worker, ours or one whose launcher died: its exit, its signals, its survivors.
//!
//! # Invariants
//! 1. An exit is believed only when the process is gone *and* the lifeline is free: a leader that exits while its
//!    lifeline is held has daemonised, and the lifeline is watched in its place.
//! 2. No exit is missed: the pidfd exists from birth. A child that nobody waits for is still reaped.
//! 3. A signal goes through a pidfd, never to a bare pid, and only with a warrant of the core's judges: a process that is
//!    not to be judged is never pinned, signalled or counted as a member.
//! 4. Our child is reaped last: until then its pid, and so the name of its group, cannot become a stranger's.
//!
//! Checked by `smoke/tests/smoke/spawn/child.rs`.

pub mod attended;
mod exit;
mod members;
pub mod orphans;
mod pin;
mod reaper;
mod signal;

use crate::endpoint::socket_file::{self, Tenancy};
use crate::store::lifeline::LifelineProbe;
use crate::sys::linux::failure::keep_high;
use crate::sys::linux::procfs;
use exit::Prover;
use pin::Pin;
use rekindle_core::{Lifeline, OsFailure, Pid, ProcessIdentity};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

pub use exit::await_exit;
pub(crate) use members::is_kin;
pub use members::{listener_at, members};
pub(crate) use reaper::{has_exited, leave_to_reaper, reap};
pub use signal::signal;

/// A worker that is watched. Dropping it stops the watch and leaves the worker alone.
#[derive(Debug)]
pub struct Worker {
    /// The process that was started.
    leader: Option<Process>,
    /// The process that answered when it had been ready, where that is another one.
    peer: Option<Process>,
    /// Missing only where somebody removed its file, and no process keeps it.
    lifeline: Option<LifelineProbe>,
    /// The session's own private path, where only whoever listens there is known of the worker.
    listener: Option<PathBuf>,
}

/// A process of a worker, pinned if it runs and is proved to be the one that was written down.
#[derive(Debug)]
pub(crate) struct Process {
    identity: ProcessIdentity,
    pin: Option<Pin>,
    parentage: Parentage,
}

/// Whether we may wait for a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parentage {
    Ours,
    Others,
}

impl Worker {
    /// A child that was just started.
    pub(crate) fn child(identity: ProcessIdentity, pidfd: OwnedFd, lifeline: LifelineProbe) -> Self {
        let leader =
            Process { identity, pin: Some(Pin::of_child(keep_high(pidfd))), parentage: Parentage::Ours };
        Self { leader: Some(leader), peer: None, lifeline: Some(lifeline.kept_high()), listener: None }
    }

    /// A worker whose launcher is gone, from what was written down about it.
    ///
    /// # Errors
    /// If a process of it runs and cannot be pinned.
    pub fn adopt(
        leader: Option<ProcessIdentity>,
        peer: Option<ProcessIdentity>,
        lifeline: Option<LifelineProbe>,
        here: &rekindle_core::Host,
    ) -> Result<Self, OsFailure> {
        let same = leader.as_ref().map(|leader| leader.pid) == peer.as_ref().map(|peer| peer.pid);
        let pin = |identity: Option<ProcessIdentity>, prove: Prover| {
            identity.map(|it| Process::pin(it, here, prove)).transpose()
        };
        let peer = if same { None } else { pin(peer, procfs::warrant_for)? };
        Ok(Self { leader: pin(leader, procfs::warrant_for_leader)?, peer, lifeline, listener: None })
    }

    /// The same worker, which also is whoever holds the socket that listens at `socket`, the session's own private path.
    #[must_use]
    pub fn listening_at(self, socket: PathBuf) -> Self {
        Self { listener: Some(socket), ..self }
    }

    /// The same worker, pinned once more, to be recognised by somebody who does not end it.
    pub(crate) fn pinned_again(&self, here: &rekindle_core::Host) -> Result<Self, OsFailure> {
        let lifeline = self.lifeline.as_ref().map(LifelineProbe::try_clone).transpose()?;
        Self::adopt(self.identity().cloned(), None, lifeline, here)
    }

    /// The process that was started, where it is known.
    pub fn identity(&self) -> Option<&ProcessIdentity> {
        self.leader.as_ref().map(|leader| &leader.identity)
    }

    /// Its pid, where it is known.
    pub fn pid(&self) -> Option<Pid> {
        self.identity().map(|identity| identity.pid)
    }

    /// What the kernel says of its lifeline.
    pub fn ask_lifeline(&self) -> Lifeline {
        self.lifeline.as_ref().map_or(Lifeline::Missing, LifelineProbe::ask)
    }

    /// Whether all of it is gone.
    pub fn is_gone(&self) -> bool {
        let nobody_holds = matches!(self.ask_lifeline(), Lifeline::Free | Lifeline::Missing);
        let nobody_listens =
            self.listener.as_ref().is_none_or(|socket| socket_file::tenancy(socket) == Tenancy::Vacant);
        nobody_holds && nobody_listens && self.processes().all(Process::has_exited)
    }

    fn processes(&self) -> impl Iterator<Item = &Process> {
        self.leader.iter().chain(&self.peer)
    }
}
