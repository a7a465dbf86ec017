//! A watched worker: its known processes, and whether all of them are gone.

use super::process::{Process, Prover};
use super::reaper::ReapedExit;
use crate::endpoint::socket_file::{self, Tenancy};
use crate::store::lifeline::LifelineProbe;
use crate::sys::linux::procfs;
use rekindle_core::{ChildExit, Lifeline, OsFailure, Pid, ProcessIdentity};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// A watched worker. Dropping the value ends the watch and leaves the worker alone.
#[derive(Debug)]
pub struct Worker {
    /// The started process.
    pub(super) leader: Option<Process>,
    /// The process that answered at readiness, if not the leader.
    pub(super) peer: Option<Process>,
    /// `None` only if the file was removed and no process keeps the lifeline.
    pub(super) lifeline: Option<LifelineProbe>,
    /// The session's private path, if only the listener there is known of the worker.
    pub(super) listener: Option<PathBuf>,
}

impl Worker {
    /// A new child.
    pub(crate) fn child(identity: ProcessIdentity, pidfd: OwnedFd, lifeline: LifelineProbe) -> Self {
        let leader = Some(Process::child(identity, pidfd));
        Self { leader, peer: None, lifeline: Some(lifeline.kept_high()), listener: None }
    }

    /// A worker with a dead launcher, from recorded facts.
    ///
    /// # Errors
    /// If a running process of the worker cannot be pinned.
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

    /// The same worker, with the holder of the listening socket at `socket`, the session's private path, as a further
    /// process.
    #[must_use]
    pub fn listening_at(self, socket: PathBuf) -> Self {
        Self { listener: Some(socket), ..self }
    }

    /// The same worker, pinned once more, for recognising its processes without ending them.
    pub(crate) fn pinned_again(&self, here: &rekindle_core::Host) -> Result<Self, OsFailure> {
        let lifeline = self.lifeline.as_ref().map(LifelineProbe::try_clone).transpose()?;
        Self::adopt(self.identity().cloned(), None, lifeline, here)
    }

    /// The started process, if known.
    pub fn identity(&self) -> Option<&ProcessIdentity> {
        self.leader.as_ref().map(Process::identity)
    }

    /// The started process's pid, if known.
    pub fn pid(&self) -> Option<Pid> {
        self.identity().map(|identity| identity.pid)
    }

    /// The exit of the leader, if the leader is a child of this process: known once the child is reaped. The child is reaped
    /// only after the last handle on this worker is dropped.
    pub fn reaped_exit(&self) -> Option<ReapedExit> {
        self.leader.as_ref().and_then(Process::reaped_exit)
    }

    /// The exit of the started process, if the process has ended; unknown if it was not pinned while it lived.
    pub fn exit(&self) -> ChildExit {
        self.leader.as_ref().map_or(ChildExit::Unknown, Process::exit)
    }

    /// The state of the lifeline.
    pub fn ask_lifeline(&self) -> Lifeline {
        self.lifeline.as_ref().map_or(Lifeline::Missing, LifelineProbe::ask)
    }

    /// Whether the whole worker is gone.
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
