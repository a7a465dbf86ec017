//! Which processes belong to a worker.
//!
//! # Invariants
//! 1. A member holds the session's lifeline, or belongs to the session of a proven leader, or holds the socket that listens
//!    at the session's own private path. We ourselves never do, even when a worker runs us to stop it.
//! 2. What a look costs depends on the worker and its relatives, not on the machine: every process is looked at only where
//!    the relatives are not enough, and every descriptor of a process only where a lifeline is still held when all are
//!    gone that can be told otherwise.
//!
//! Checked by `smoke/tests/smoke/spawn/companions.rs` and `command/scale.rs`.

use super::process::Process;
use super::watch::Worker;
use crate::store::lifeline::Reach;
use crate::sys::linux::procfs;
use crate::sys::linux::socket_table::SocketInodes;
use rekindle_core::warrant::{LeaderName, MemberSighting, Sameness, Warrant};
use rekindle_core::{Lifeline, OsFailure, Pid};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The first process of a pid namespace, to which orphans are given that nobody else adopts.
const INIT: i32 = 1;

/// How many generations of parents are followed: more than any machine has, so that a torn look cannot go round in circles.
const ANCESTORS_MAX: usize = 1024;

/// Where members are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Search {
    /// Among the descendants of the leader, and among the children of its ancestors, to whom its orphans are given.
    Relatives,
    /// Among all processes, by one descriptor of each.
    Everybody,
    /// Among all processes, by all of their descriptors.
    EveryDescriptor,
}

impl Search {
    /// From the shortest to the longest.
    pub(super) const ALL: [Self; 3] = [Self::Relatives, Self::Everybody, Self::EveryDescriptor];

    fn reach(self) -> Reach {
        match self {
            Self::Relatives | Self::Everybody => Reach::ItsPlace,
            Self::EveryDescriptor => Reach::EveryDescriptor,
        }
    }
}

/// The processes of a worker that run, as far as they can be told.
///
/// # Errors
/// If the processes cannot be listed.
pub fn members(worker: &Worker) -> Result<Vec<Pid>, OsFailure> {
    let pinned = worker.processes().filter(|it| !it.has_exited()).map(|it| it.identity().pid);
    let mut members: BTreeSet<Pid> = pinned.collect();
    members.extend(found(worker, Search::Everybody)?);
    if members.is_empty() && worker.ask_lifeline() == Lifeline::Held {
        members.extend(found(worker, Search::EveryDescriptor)?);
    }
    Ok(members.into_iter().collect())
}

/// The members that one search finds.
pub(super) fn found(worker: &Worker, search: Search) -> Result<Vec<Pid>, OsFailure> {
    let relatives = if search == Search::Relatives { relatives(worker) } else { None };
    let candidates = relatives.map_or_else(procfs::processes, Ok)?;
    let judge = Judge::of(worker, search);
    Ok(candidates.into_iter().filter(|pid| judge.warrant(*pid).is_some()).collect())
}

/// The processes that can belong to the leader's session without being shown as such by anybody else; `None` where the
/// system does not say whose children they are.
///
/// A process changes its parent only when that ends, and is given to an ancestor then. So a member that does not descend
/// from the leader any more is a child of one of the leader's ancestors.
fn relatives(worker: &Worker) -> Option<Vec<Pid>> {
    let leader = worker.leader.as_ref().filter(|leader| !leader.has_exited())?.identity().pid;
    let mut relatives = descendants(leader)?;
    let mut child = leader;
    for _ in 0..ANCESTORS_MAX {
        let parent = procfs::stat(child)?.parent;
        let Some(parent) = Pid::new(parent) else { break };
        relatives.extend(procfs::children(parent)?);
        child = parent;
        if parent.as_raw() == INIT {
            break;
        }
    }
    relatives.retain(|pid| *pid != leader);
    Some(relatives)
}

fn descendants(of: Pid) -> Option<Vec<Pid>> {
    let mut found = procfs::children(of)?;
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        // One that has ended meanwhile has given its children away.
        found.extend(procfs::children(pid).unwrap_or_default());
        next += 1;
    }
    Some(found)
}

/// Judges processes that may belong to one worker.
pub(super) struct Judge<'w> {
    worker: &'w Worker,
    reach: Reach,
    listeners: Option<SocketInodes>,
}

impl<'w> Judge<'w> {
    pub(super) fn of(worker: &'w Worker, search: Search) -> Self {
        let listeners = worker.listener.as_deref().map(SocketInodes::at);
        Self { worker, reach: search.reach(), listeners }
    }

    /// Leave to signal a process, if it belongs to the worker now. Where it is to be signalled, it has to be pinned before.
    pub(super) fn warrant(&self, pid: Pid) -> Option<Warrant> {
        if is_us(pid) {
            return None;
        }
        let lifeline = &self.worker.lifeline;
        let session = in_session(self.worker, pid);
        let seen = MemberSighting {
            session,
            lifeline: lifeline.as_ref().map_or(Sameness::Unknown, |it| it.is_held(pid, self.reach)),
            listener: self.listeners.as_ref().map_or(Sameness::Unknown, |it| holds_listener(it, pid)),
            // Asked last: had the leader been reaped by somebody else meanwhile, the name might have changed hands.
            leader: match &self.worker.leader {
                Some(leader) if session == Sameness::Same => leader_name(leader),
                Some(_) | None => LeaderName::Doubtful,
            },
        };
        Warrant::by_membership(pid, seen)
    }
}

fn is_us(pid: Pid) -> bool {
    pid.as_raw().unsigned_abs() == std::process::id()
}

/// Whether a process runs in the session that is named by the leader's pid.
fn in_session(worker: &Worker, pid: Pid) -> Sameness {
    let Some(leader) = &worker.leader else { return Sameness::Unknown };
    let session = leader.identity().pid.as_raw();
    // Nearly all processes belong to another one, which one short call tells.
    if procfs::session(pid) != Some(session) {
        return Sameness::Other;
    }
    let belongs = procfs::stat(pid).is_some_and(|stat| stat.session == session && !stat.is_zombie());
    if belongs { Sameness::Same } else { Sameness::Other }
}

/// Whether a leader's pid still is the name of its session: it lives, or waits for us to reap it.
fn leader_name(leader: &Process) -> LeaderName {
    let sure = leader.pin_held().is_some() && (leader.is_ours() || !leader.has_exited());
    if sure { LeaderName::Sure } else { LeaderName::Doubtful }
}

/// Whether a process of our user and our namespaces has one of these sockets open.
fn holds_listener(sockets: &SocketInodes, pid: Pid) -> Sameness {
    let is_ours = procfs::is_of_our_user(pid) == Some(true)
        && ["pid", "mnt"].iter().all(|kind| procfs::shares_namespace(pid, kind) == Sameness::Same);
    if !is_ours {
        return Sameness::Other;
    }
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Sameness::Unknown };
    let holds = descriptors.flatten().any(|entry| {
        fs::read_link(entry.path()).is_ok_and(|target: std::path::PathBuf| sockets.names(Path::new(&target)))
    });
    if holds { Sameness::Same } else { Sameness::Other }
}

/// The process that holds the socket which listens at a path, if it is one of our user and our namespaces.
pub fn listener_at(socket: &Path) -> Option<Pid> {
    let sockets = SocketInodes::at(socket);
    let holds = |pid: &Pid| holds_listener(&sockets, *pid) == Sameness::Same;
    procfs::processes().ok()?.into_iter().find(holds)
}

/// Whether a process belongs to a worker, running or waiting to be reaped: who spoke may have ended already.
pub(crate) fn is_kin(worker: &Worker, pid: Pid) -> bool {
    let is_leader = || {
        let leader = worker.identity().filter(|leader| leader.pid == pid)?;
        (Some(procfs::stat(pid)?.start_time) == leader.start_time).then_some(())
    };
    let in_session = || {
        let leader = worker.leader.as_ref().filter(|leader| !leader.has_exited())?;
        // Asked between two looks at the leader: its pid has named its session all the while.
        let same = procfs::stat(pid)?.session == leader.identity().pid.as_raw();
        (same && !leader.has_exited()).then_some(())
    };
    let named = is_leader().or_else(in_session).is_some();
    named || worker.lifeline.as_ref().is_some_and(|lifeline| lifeline.is_held_by(pid))
}
