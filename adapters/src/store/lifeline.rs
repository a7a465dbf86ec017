//! The lifeline: a lock that a worker and its descendants hold for as long as any of them lives.
//!
//! The child takes it itself, between fork and exec, on a descriptor that it opened itself, so that the launcher
//! never holds it and cannot leak it. It is a fresh file for each generation.
//!
//! # Invariants
//! 1. It is asked with a shared lock: two who ask with exclusive ones would see each other.
//! 2. We never unlock what a worker holds; a lock of ours is on a descriptor of ours.
//! 3. What cannot be asked is unreadable, not free; what cannot be searched for everywhere is not absent.
//!
//! Checked by `smoke/tests/smoke/spawn/child.rs` and `ground/removal.rs`.

mod locks;
pub(crate) mod mark;
mod root_id;
mod search;

pub use mark::{LifelineMark, MarkedCommand, Worksite};
pub use root_id::RootId;
pub use search::{Lost, Searched, search};

use crate::store::directory::Inode;
use crate::store::session_dir::SessionDir;
use crate::sys::linux::failure::{During, keep_high};
use crate::sys::linux::procfs;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{fstat, stat};
use rekindle_core::warrant::Sameness;
use rekindle_core::{Lifeline, OsFailure, Pid, SessionId};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The name of the lifeline file.
pub const LIFELINE_FILE: &str = "lifeline";

/// Where a worker keeps its lifeline: clear of the descriptors that socket activation counts from 3.
pub(crate) const LIFELINE_FD: i32 = 10;

/// One generation's lifeline, opened to be asked. It keeps meaning the same file, whatever the name comes to mean.
#[derive(Debug)]
pub struct LifelineProbe {
    fd: OwnedFd,
    inode: Inode,
}

/// Puts a fresh, empty lifeline in place. Only under the claim, once the last worker is provably gone.
///
/// # Errors
/// If it cannot be put in place; the old one then still stands.
pub fn renew(dir: &SessionDir) -> Result<LifelineProbe, OsFailure> {
    let inode = dir.replace(LIFELINE_FILE, b"")?;
    match open(dir)? {
        Some(probe) if probe.inode == inode => Ok(probe),
        Some(_) | None => {
            Err(OsFailure::new("renew", "it was replaced at once").on(dir.path_of(LIFELINE_FILE)))
        }
    }
}

/// Opens the lifeline that stands under its name; `None` if there is none.
///
/// # Errors
/// If it cannot be opened.
pub fn open(dir: &SessionDir) -> Result<Option<LifelineProbe>, OsFailure> {
    match dir.open_file(LIFELINE_FILE, OFlag::O_RDONLY) {
        Ok(fd) => LifelineProbe::of(fd).during("inspect", &dir.path_of(LIFELINE_FILE)).map(Some),
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error).during("open", &dir.path_of(LIFELINE_FILE)),
    }
}

/// A session's lifeline, wherever it is.
#[derive(Debug)]
pub enum Located {
    /// It stands under its name.
    Named(LifelineProbe),
    /// Somebody removed or moved its file; the worker still holds it.
    Lost(LifelineProbe),
    /// There is none, and no process keeps one.
    Nowhere,
    /// There is none under its name, and not every process could be asked.
    Unsearched {
        /// What could not be asked.
        why: OsFailure,
    },
}

/// Opens a session's lifeline. Where somebody removed or moved the session's files under a living worker, its lifeline is
/// still open in the worker, and is found there as far as `/proc` lets us see.
///
/// # Errors
/// If the file is there and cannot be opened.
pub fn locate(dir: &SessionDir) -> Result<Located, OsFailure> {
    match open(dir)? {
        Some(probe) => Ok(Located::Named(probe)),
        None => Ok(find(dir.root_path(), dir.session())),
    }
}

/// Searches for the lifeline of a session whose file was removed or moved.
pub fn find(root: &Path, session: &SessionId) -> Located {
    search(root, Some(session)).into_located()
}

/// Whether this process was started by rekindle to answer on `socket`, and holds the lifeline of that start.
pub fn guards_this_process(socket: &Path) -> bool {
    let told = |name| std::env::var_os(name);
    let named = told("REKINDLE_SOCKET").is_some_and(|named| Path::new(&named) == socket);
    let link = format!("/proc/self/fd/{LIFELINE_FD}");
    // Whatever else has that number may block when it is read.
    let is_lifeline = fs::read_link(&link)
        .is_ok_and(|target| target.to_string_lossy().contains(LIFELINE_FILE))
        && fs::metadata(&link).is_ok_and(|found| found.is_file());
    let (true, true, Ok(file)) = (named, is_lifeline, File::open(&link)) else { return false };
    let fd = OwnedFd::from(file);
    let Ok(probe) = LifelineProbe::of(fd) else { return false };
    let nonce = probe.mark().ok().flatten().and_then(|mark| mark.nonce);
    let is_ours = nonce.zip(told("REKINDLE_NONCE")).is_some_and(|(ours, told)| told == ours.as_str());
    is_ours && probe.ask() == Lifeline::Held
}

/// Asks the lifeline of a session.
pub fn ask(dir: &SessionDir) -> Lifeline {
    match locate(dir) {
        Ok(Located::Named(probe) | Located::Lost(probe)) => probe.ask(),
        Ok(Located::Nowhere) => Lifeline::Missing,
        Ok(Located::Unsearched { .. }) | Err(_) => Lifeline::Unreadable,
    }
}

impl LifelineProbe {
    fn of(fd: OwnedFd) -> nix::Result<Self> {
        let inode = Inode::of(&fstat(&fd)?);
        Ok(Self { fd, inode })
    }

    /// A path that leads to this very file, whatever has taken its name.
    pub(crate) fn magic_path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.fd.as_raw_fd()).into()
    }

    /// The same, to be kept for as long as its worker runs.
    pub(crate) fn kept_high(self) -> Self {
        Self { fd: keep_high(self.fd), ..self }
    }

    /// Which file it is.
    pub fn inode(&self) -> Inode {
        self.inode
    }

    /// The same file, to be asked by somebody else.
    ///
    /// # Errors
    /// If there is no descriptor left for it.
    pub fn try_clone(&self) -> Result<Self, OsFailure> {
        let fd = self.fd.try_clone().doing("copy a descriptor of the lifeline")?;
        Ok(Self { fd, inode: self.inode })
    }

    /// What the worker wrote into it; `None` if it wrote nothing that is a mark.
    ///
    /// # Errors
    /// If it cannot be read, which proves nothing.
    pub fn mark(&self) -> Result<Option<LifelineMark>, OsFailure> {
        LifelineMark::read(&self.fd).doing("read a lifeline")
    }

    /// Whether any process of the start holds it.
    pub fn ask(&self) -> Lifeline {
        loop {
            match flock(self.fd.as_fd(), FlockOperation::NonBlockingLockShared) {
                Ok(()) => {
                    // Ours alone: nobody else has this descriptor.
                    let _ = flock(self.fd.as_fd(), FlockOperation::Unlock);
                    return Lifeline::Free;
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Lifeline::Held,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Lifeline::Unreadable,
            }
        }
    }

    /// The processes that hold it, as far as `/proc` lets us see: not those of programs that forbid it. Reads every
    /// descriptor of every process.
    ///
    /// # Errors
    /// If the processes cannot be listed.
    pub fn holders(&self) -> Result<Vec<Pid>, OsFailure> {
        let mut holders = procfs::processes()?;
        holders.retain(|pid| self.is_held_by(*pid));
        Ok(holders)
    }

    /// Whether `pid` has it open where a worker keeps it, which only a process that runs can. For the pid of the process
    /// that took it this is the shortest proof that it still runs; of others it proves nothing, since whoever asks has it
    /// open too.
    pub fn is_kept_by(&self, pid: Pid) -> bool {
        self.is_at(&format!("/proc/{pid}/fd/{LIFELINE_FD}"))
    }

    fn is_at(&self, link: &str) -> bool {
        procfs::require_own().is_ok() && stat(link).is_ok_and(|stat| Inode::of(&stat) == self.inode)
    }

    /// Whether `pid` holds it where a worker keeps it: one look at one descriptor.
    pub(crate) fn is_held_at_its_place_by(&self, pid: Pid) -> bool {
        self.is_kept_by(pid) && has_exclusive_lock(pid, &LIFELINE_FD.to_string())
    }

    /// Whether `pid` holds it under whatever number, as far as `/proc` lets us see.
    pub fn is_held_by(&self, pid: Pid) -> bool {
        if self.is_held_at_its_place_by(pid) {
            return true;
        }
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        descriptors.flatten().any(|entry| {
            // Only a file can be it, and to look at a link is shorter than to follow it.
            let is_file = fs::read_link(entry.path()).is_ok_and(|target| target.is_absolute());
            // Whoever merely asks has the file open as well; the lock tells them apart.
            is_file
                && entry.path().to_str().is_some_and(|link| self.is_at(link))
                && has_exclusive_lock(pid, &entry.file_name().to_string_lossy())
        })
    }

    /// Whether `pid` holds it, for a judge; under any number, or only where a worker keeps it.
    pub(crate) fn is_held(&self, pid: Pid, reach: Reach) -> Sameness {
        let held = match reach {
            Reach::ItsPlace => self.is_held_at_its_place_by(pid),
            Reach::EveryDescriptor => self.is_held_by(pid),
        };
        if held { Sameness::Same } else { Sameness::Other }
    }
}

/// How far a look for a lifeline's holders reaches into a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The one descriptor under which a worker is born with its lifeline.
    ItsPlace,
    /// All of them.
    EveryDescriptor,
}

fn has_exclusive_lock(pid: Pid, descriptor: &str) -> bool {
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}")).unwrap_or_default();
    info.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK") && line.contains("WRITE"))
}
