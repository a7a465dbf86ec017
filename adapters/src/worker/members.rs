//! The processes that belong to a worker.
//!
//! # Invariants
//! 1. A member holds the session's lifeline, belongs to the process session of a proven leader, or holds the listening
//!    socket at the session's private path. This process is never a member, even if a worker runs `stop` on itself.
//! 2. The cost of a look depends on the worker and its relatives, not on the machine: all processes are looked at only
//!    if the relatives are not enough, and all descriptors only if a lifeline is still held after all recognised
//!    members are gone.
//!
//! Checked by `smoke/tests/smoke/spawn/companions.rs` and `command/scale.rs`.

use super::pin::Pin;
use super::process::Process;
use super::watch::Worker;
use crate::store::lifeline::{LifelineProbe, Reach};
use crate::sys::linux::procfs;
use crate::sys::linux::socket_table::SocketInodes;
use rekindle_core::warrant::{LeaderName, MemberSighting, Sameness, Warrant};
use rekindle_core::{Lifeline, OsFailure, Pid};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The first process of a pid namespace, the last adopter of orphans.
const INIT: i32 = 1;

/// The limit of generations of parents: more than on any machine, so a torn look cannot loop.
const ANCESTORS_MAX: usize = 1024;

/// The scope of a search for members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Search {
    /// Among the descendants of the leader, and the children of the leader's ancestors, who adopt orphans.
    Relatives,
    /// Among all processes, at one descriptor of each.
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

/// The running processes of a worker, as far as visible.
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

/// A running member of the worker, pinned; `None` if none is visible.
pub(super) fn pinned_member(worker: &Worker) -> Option<Pin> {
    for search in [Search::Everybody, Search::EveryDescriptor] {
        let judge = Judge::of(worker, search);
        let pin = |pid: Pid| Pin::of(pid, || judge.warrant(pid)).ok().flatten();
        if let Some(pin) = found(worker, search).ok()?.into_iter().find_map(pin) {
            return Some(pin);
        }
    }
    None
}

/// The members found by one search.
pub(super) fn found(worker: &Worker, search: Search) -> Result<Vec<Pid>, OsFailure> {
    let relatives = if search == Search::Relatives { relatives(worker) } else { None };
    let candidates = relatives.map_or_else(procfs::processes, Ok)?;
    let judge = Judge::of(worker, search);
    Ok(candidates.into_iter().filter(|pid| judge.warrant(*pid).is_some()).collect())
}

/// The possible members of the leader's process session; `None` if the system gives no list of children.
///
/// A process changes its parent only when the parent ends, and then an ancestor adopts the process. So a member that no
/// longer descends from the leader is a child of one of the leader's ancestors.
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
        // A process that has ended meanwhile has no children any more.
        found.extend(procfs::children(pid).unwrap_or_default());
        next += 1;
    }
    Some(found)
}

/// Judges whether processes belong to one worker.
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

    /// A warrant for a process, if it belongs to the worker now. To send a signal, pin the process first.
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
            // Checked last: if another process reaped the leader meanwhile, the name may have been reused.
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

/// Whether a process runs in the process session named by the leader's pid.
fn in_session(worker: &Worker, pid: Pid) -> Sameness {
    let Some(leader) = &worker.leader else { return Sameness::Unknown };
    let session = leader.identity().pid.as_raw();
    // Nearly all processes belong to another session; one short call shows that.
    if procfs::session(pid) != Some(session) {
        return Sameness::Other;
    }
    let belongs = procfs::stat(pid).is_some_and(|stat| stat.session == session && !stat.is_zombie());
    if belongs { Sameness::Same } else { Sameness::Other }
}

/// Whether a leader's pid still names its process session: the leader lives, or waits for us to reap it.
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

/// The process that holds the listening socket at a path, if of our user and our namespaces.
pub fn listener_at(socket: &Path) -> Option<Pid> {
    let sockets = SocketInodes::at(socket);
    let holds = |pid: &Pid| holds_listener(&sockets, *pid) == Sameness::Same;
    procfs::processes().ok()?.into_iter().find(holds)
}

/// Whether a process belongs to a worker, running or unreaped: a sender may have ended already.
pub(crate) fn is_kin(worker: &Worker, pid: Pid) -> bool {
    let is_leader = || {
        let leader = worker.identity().filter(|leader| leader.pid == pid)?;
        (Some(procfs::stat(pid)?.start_time) == leader.start_time).then_some(())
    };
    let in_session = || {
        let leader = worker.leader.as_ref().filter(|leader| !leader.has_exited())?;
        // Between two looks at the leader: its pid has named the session all the while.
        let same = procfs::stat(pid)?.session == leader.identity().pid.as_raw();
        (same && !leader.has_exited()).then_some(())
    };
    let named = is_leader().or_else(in_session).is_some();
    named || worker.lifeline.as_ref().is_some_and(|lifeline| lifeline.is_held_by(pid))
}

/// The pinned processes of a worker that run: the leader and the process that answered.
pub(crate) fn known(worker: &Worker) -> Vec<Pid> {
    worker
        .processes()
        .filter(|it| it.pin_held().is_some() && !it.has_exited())
        .map(|it| it.identity().pid)
        .collect()
}

/// The pinned processes and their descendants.
pub(crate) fn family(worker: &Worker) -> Vec<Pid> {
    let known = known(worker);
    let descendants = known.iter().filter_map(|pid| descendants(*pid)).flatten();
    let mut family: Vec<Pid> = known.iter().copied().chain(descendants).collect();
    family.sort_unstable();
    family.dedup();
    family
}

/// Whether a process belongs to a worker, or descends from a pinned process: a descendant in a process session of its own,
/// without the lifeline, listens for the worker all the same. No leave to signal.
pub(crate) fn is_family(worker: &Worker, pid: Pid) -> bool {
    !is_us(pid) && (is_kin(worker, pid) || descends(worker, pid))
}

fn descends(worker: &Worker, pid: Pid) -> bool {
    let mut child = pid;
    for _ in 0..ANCESTORS_MAX {
        let Some(parent) = procfs::stat(child).and_then(|stat| Pid::new(stat.parent)) else { return false };
        // Asked at each step, and while the leader runs: its pid is no other process's.
        if known(worker).contains(&parent) {
            return true;
        }
        child = parent;
    }
    false
}

/// Whether any visible process holds the worker's lifeline.
///
/// # Errors
/// If the processes cannot be listed.
pub(crate) fn has_visible_holder(worker: &Worker) -> Result<bool, OsFailure> {
    let holders = worker.lifeline.as_ref().map(LifelineProbe::holders).transpose()?;
    Ok(holders.is_some_and(|holders| !holders.is_empty()))
}
