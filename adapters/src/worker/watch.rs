//! A worker that is watched: what it is known by, and whether all of it is gone.

use super::process::{Process, Prover};
use super::reaper::ReapedExit;
use crate::endpoint::socket_file::{self, Tenancy};
use crate::store::lifeline::LifelineProbe;
use crate::sys::linux::procfs;
use rekindle_core::{Lifeline, OsFailure, Pid, ProcessIdentity};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// A worker that is watched. Dropping it stops the watch and leaves the worker alone.
#[derive(Debug)]
pub struct Worker {
    /// The process that was started.
    pub(super) leader: Option<Process>,
    /// The process that answered when it had been ready, where that is another one.
    pub(super) peer: Option<Process>,
    /// Missing only where somebody removed its file, and no process keeps it.
    pub(super) lifeline: Option<LifelineProbe>,
    /// The session's own private path, where only whoever listens there is known of the worker.
    pub(super) listener: Option<PathBuf>,
}

impl Worker {
    /// A child that was just started.
    pub(crate) fn child(identity: ProcessIdentity, pidfd: OwnedFd, lifeline: LifelineProbe) -> Self {
        let leader = Some(Process::child(identity, pidfd));
        Self { leader, peer: None, lifeline: Some(lifeline.kept_high()), listener: None }
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
        self.leader.as_ref().map(Process::identity)
    }

    /// Its pid, where it is known.
    pub fn pid(&self) -> Option<Pid> {
        self.identity().map(|identity| identity.pid)
    }

    /// How the process that was started ends, if that is a child of ours: known once it is reaped, which it is only after
    /// nobody holds this worker any more.
    pub fn reaped_exit(&self) -> Option<ReapedExit> {
        self.leader.as_ref().and_then(Process::reaped_exit)
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

    pub(super) fn processes(&self) -> impl Iterator<Item = &Process> {
        self.leader.iter().chain(&self.peer)
    }
}
