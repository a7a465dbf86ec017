//! Finds the lifelines of workers whose files were removed or moved, in the processes that hold them.
//!
//! # Invariants
//! 1. A lifeline counts by its owner, its device, its holder's namespaces and its mark; the text of a link proves
//!    nothing. [`LifelineSighting`] judges.
//! 2. A place that cannot be searched is a gap, and a search with a gap proves no absence: an unlistable `/proc`, a
//!    lack of descriptors or memory, a process that forbids inspection and may keep a lifeline.
//! 3. Only a regular file of our user on the state root's device is opened.
//!
//! `/proc/locks` names every process that took a lock, but is not read first: reading the table waits for every
//! processor of the machine, for milliseconds, and a look at every process takes a fraction of a millisecond.
//!
//! Checked by `smoke/tests/smoke/ground/removal.rs`.

use super::mark::LifelineMark;
use super::probe::{LIFELINE_FILE, LifelineProbe};
use super::root_id::RootId;
use crate::store::trust::has_numbers_for_all_users;
use crate::sys::linux::failure::{During, Errno, refused};
use crate::sys::linux::fs::{lstat, open_target_at, readlink_at, stat_target_at};
use crate::sys::linux::lock_table::{self, LockTable};
use crate::sys::linux::process::clone::LIFELINE_FD;
use crate::sys::linux::procfs;
use crate::sys::linux::user;
use rekindle_core::warrant::{FoundLifeline, LifelineSighting, Sameness};
use rekindle_core::{Lifeline, OsFailure, Pid, SessionId};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A lifeline without its name, kept by a process.
#[derive(Debug)]
pub struct Lost {
    /// The lifeline.
    pub probe: LifelineProbe,
    /// The mark of the worker.
    pub mark: LifelineMark,
    /// The process with the lifeline.
    pub holder: Pid,
}

/// The result of a search.
#[derive(Debug, Default)]
pub struct Searched {
    /// The lifelines of the state root, by their session.
    pub found: Vec<Lost>,
    /// The first gap of the search, if any.
    pub gap: Option<OsFailure>,
}

/// Searches every process for nameless lifelines of the state root at `root`: of one session, or of all.
pub fn search(root: &Path, session: Option<&SessionId>) -> Searched {
    let mut searched = Searched::default();
    if let Err(gap) = search_all(root, session, &mut searched) {
        searched.gap.get_or_insert(gap);
    }
    searched
}

fn search_all(path: &Path, session: Option<&SessionId>, searched: &mut Searched) -> Result<(), OsFailure> {
    // No worker can have been started below a directory that never existed.
    let Some(id) = RootId::of(path)? else { return Ok(()) };
    let root = &Root { path, id };
    let proc = File::open("/proc").during("open", Path::new("/proc"))?;
    let mut closed = Vec::new();
    for pid in procfs::processes()? {
        match look_into(&proc, pid, root, session) {
            Ok(Look::Nothing) => {}
            Ok(Look::Ours(lost)) => {
                let known = |it: &Lost| it.probe.inode() == lost.probe.inode();
                if !searched.found.iter().any(known) {
                    searched.found.push(*lost);
                }
            }
            Ok(Look::Doubtful) => {
                let why = "a process of another namespace keeps a lifeline of this state directory";
                searched.gap.get_or_insert(OsFailure::new(format!("judge process {pid}"), why));
            }
            Ok(Look::Closed) => closed.push(pid),
            Err(gap) => {
                searched.gap.get_or_insert(gap);
            }
        }
    }
    if let Some(pid) = suspect(&closed)? {
        let why = "it does not let us look into it, and holds a lock that may be a lifeline";
        searched.gap.get_or_insert(OsFailure::new(format!("judge process {pid}"), why));
    }
    Ok(())
}

/// A process with the held lifeline of `session` in a state root at `root` whose files cannot be reached: another file
/// system was mounted over the place. The mark alone tells, since the device is another one.
///
/// # Errors
/// If `/proc` cannot be searched.
pub fn hidden(root: &Path, session: &SessionId) -> Result<Option<Pid>, OsFailure> {
    let Some(id) = RootId::of(root)? else { return Ok(None) };
    let proc = File::open("/proc").during("open", Path::new("/proc"))?;
    let keeps = |pid: &Pid| {
        let link = format!("{pid}/fd/{LIFELINE_FD}");
        let target = readlink_at(&proc, link.as_str()).ok()?;
        let stat = stat_target_at(&proc, link.as_str()).ok()?;
        // Only a file of our user with a lifeline's name is opened.
        let may_be = target.as_bytes().starts_with(b"/")
            && target.to_string_lossy().contains(LIFELINE_FILE)
            && stat.is_file()
            && stat.is_ours();
        if !may_be {
            return None;
        }
        let probe = LifelineProbe::of(open_target_at(&proc, link.as_str()).ok()?).ok()?;
        let mark = probe.mark().ok()??;
        let is_meant = mark.session.as_ref() == Some(session)
            && mark.worksite.is_some_and(|site| site.root.has_path_of(id));
        Some(is_meant && probe.ask() != Lifeline::Free)
    };
    Ok(procfs::processes()?.into_iter().find(|pid| keeps(pid) == Some(true)))
}

/// The state root of the search.
struct Root<'r> {
    path: &'r Path,
    id: RootId,
}

/// The result of looking into one process.
enum Look {
    Nothing,
    Ours(Box<Lost>),
    Doubtful,
    /// The process forbids inspection.
    Closed,
}

fn look_into(proc: &File, pid: Pid, root: &Root<'_>, session: Option<&SessionId>) -> Result<Look, OsFailure> {
    let link = format!("{pid}/fd/{LIFELINE_FD}");
    let unseen = |error| unseen(error, pid);
    let target = match readlink_at(proc, link.as_str()) {
        Ok(target) => target,
        Err(error) => return unseen(error),
    };
    // Sockets, pipes and the like have no path.
    if !target.as_bytes().starts_with(b"/") {
        return Ok(Look::Nothing);
    }
    let stat = match stat_target_at(proc, link.as_str()) {
        Ok(stat) => stat,
        Err(error) => return unseen(error),
    };
    let owner = Sameness::of(Some(stat.uid), Some(user::our_uid()));
    let device = Sameness::of(Some(stat.inode.device()), Some(root.id.device()));
    if !stat.is_file() || owner != Sameness::Same || device != Sameness::Same {
        return Ok(Look::Nothing);
    }
    let fd = match open_target_at(proc, link.as_str()) {
        Ok(fd) => fd,
        Err(error) => return unseen(error),
    };
    let probe = LifelineProbe::of(fd).doing("inspect a lifeline")?;
    let Some(mark) = probe.mark()? else { return Ok(Look::Nothing) };
    let (Some(site), Some(named)) = (&mark.worksite, &mark.session) else { return Ok(Look::Nothing) };
    if session.is_some_and(|session| session != named) {
        return Ok(Look::Nothing);
    }
    // A lifeline that still has its name is found by name.
    let named = root.path.join(named.as_str()).join(LIFELINE_FILE);
    if lstat(&named).is_ok_and(|named| named.inode == probe.inode()) {
        return Ok(Look::Nothing);
    }
    match probe.ask() {
        Lifeline::Held => {}
        Lifeline::Free | Lifeline::Missing => return Ok(Look::Nothing),
        Lifeline::Unreadable => {
            let why = "the kernel does not say whether its lifeline is held";
            return Err(OsFailure::new(format!("judge process {pid}"), why));
        }
    }
    let same = |is: bool| if is { Sameness::Same } else { Sameness::Other };
    let status = LifelineSighting {
        owner,
        device,
        mark: same(site.root.has_path_of(root.id)),
        root: same(site.root.is_directory_of(root.id)),
        mount_namespace: procfs::shares_namespace(pid, "mnt"),
        pid_namespace: procfs::shares_namespace(pid, "pid"),
    };
    Ok(match status.judge() {
        FoundLifeline::Ours => Look::Ours(Box::new(Lost { probe, mark, holder: pid })),
        FoundLifeline::Doubtful => Look::Doubtful,
        FoundLifeline::Others => Look::Nothing,
    })
}

/// The meaning of an error from one process: the process has ended or forbids inspection, or we are short of something.
fn unseen(error: Errno, pid: Pid) -> Result<Look, OsFailure> {
    match error {
        Errno::ENOENT | Errno::ESRCH => Ok(Look::Nothing),
        Errno::EACCES | Errno::EPERM => Ok(Look::Closed),
        error => Err(refused(format!("look into process {pid}"), error as i32)),
    }
}

/// The first uninspectable process that may keep a lifeline, if any.
///
/// An ordinary user cannot inspect other users' processes, none of which is a worker of this user, nor some of their
/// own, such as `ssh-agent`. The kernel's table of locks is readable for every user: a lifeline kept by such a process
/// shows as a lock taken by the process itself or by an ended process.
fn suspect(closed: &[Pid]) -> Result<Option<Pid>, OsFailure> {
    // Root of a user namespace is not root of the machine: an uninspectable process may belong to any user.
    let is_root = user::is_root() && has_numbers_for_all_users() != Some(false);
    let of_our_user = |pid: &&Pid| is_root || procfs::is_of_our_user(**pid) == Some(true);
    // A zombie keeps nothing, although it cannot be inspected.
    let runs = |pid: &&Pid| procfs::stat(**pid).is_some_and(|stat| !stat.is_zombie());
    let closed: Vec<Pid> = closed.iter().filter(of_our_user).filter(runs).copied().collect();
    if closed.is_empty() {
        return Ok(None);
    }
    let table = LockTable::read()?;
    if let Some(taker) = closed.iter().find(|pid| table.was_taken_by(**pid)) {
        return Ok(Some(*taker));
    }
    // A daemonised worker keeps a lock whose taker has ended. The worker is in the process session of the taker, or
    // leads a session of its own; an agent in a login session is neither.
    let is_daemon = |pid: &&Pid| {
        procfs::session(**pid).is_some_and(|session| session == pid.as_raw() || table.was_left_by(session))
    };
    let Some(daemon) = closed.iter().find(is_daemon) else { return Ok(None) };
    // The lock belongs to an uninspectable process unless another process shows the lock.
    Ok(if lock_table::are_all_seen(table.orphaned())? { None } else { Some(*daemon) })
}
