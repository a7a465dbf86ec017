//! An open lifeline: whether it is held, its holders, and its mark.

use super::mark::LifelineMark;
use crate::sys::linux::descriptors::keep_high;
use crate::sys::linux::failure::{During, Errno};
use crate::sys::linux::fs::Inode;
use crate::sys::linux::fs::{flock, fstat, stat};
use crate::sys::linux::process::clone::LIFELINE_FD;
use crate::sys::linux::procfs;
use rekindle_core::warrant::Sameness;
use rekindle_core::{Lifeline, OsFailure, Pid};
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The name of the lifeline file.
pub const LIFELINE_FILE: &str = "lifeline";

/// A generation's lifeline, opened for queries. The descriptor means the same file, even if the name changes.
#[derive(Debug)]
pub struct LifelineProbe {
    fd: OwnedFd,
    inode: Inode,
}

impl LifelineProbe {
    pub(super) fn of(fd: OwnedFd) -> Result<Self, Errno> {
        let inode = fstat(&fd)?.inode;
        Ok(Self { fd, inode })
    }

    /// A path to this file, even if the name now leads elsewhere.
    pub(crate) fn magic_path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.fd.as_raw_fd()).into()
    }

    /// The same lifeline under a high descriptor, to keep as long as the worker runs.
    pub(crate) fn kept_high(self) -> Self {
        Self { fd: keep_high(self.fd), ..self }
    }

    /// The identity of the file.
    pub fn inode(&self) -> Inode {
        self.inode
    }

    /// The same lifeline, for another owner.
    ///
    /// # Errors
    /// If no descriptor is left.
    pub fn try_clone(&self) -> Result<Self, OsFailure> {
        let fd = self.fd.try_clone().doing("copy a descriptor of the lifeline")?;
        Ok(Self { fd, inode: self.inode })
    }

    /// The worker's mark; `None` if the content is not a mark.
    ///
    /// # Errors
    /// If the file cannot be read, which proves nothing.
    pub fn mark(&self) -> Result<Option<LifelineMark>, OsFailure> {
        LifelineMark::read(&self.fd).doing("read a lifeline")
    }

    /// Whether any process of the start holds the lifeline.
    pub fn ask(&self) -> Lifeline {
        // The shared lock of this query is on our own descriptor.
        match flock::is_free(&self.fd) {
            Ok(true) => Lifeline::Free,
            Ok(false) => Lifeline::Held,
            Err(_) => Lifeline::Unreadable,
        }
    }

    /// The processes that hold the lifeline, as far as `/proc` allows: not processes that forbid inspection. Reads
    /// every descriptor of every process.
    ///
    /// # Errors
    /// If the processes cannot be listed.
    pub fn holders(&self) -> Result<Vec<Pid>, OsFailure> {
        let mut holders = procfs::processes()?;
        holders.retain(|pid| self.is_held_by(*pid));
        Ok(holders)
    }

    /// Whether `pid` runs and has the lifeline open at a worker's descriptor. For the pid of the process that took the
    /// lifeline, this is the shortest proof that the process still runs. For other processes nothing is proved, since a
    /// querying process has the file open too.
    pub fn is_kept_by(&self, pid: Pid) -> bool {
        self.is_at(&format!("/proc/{pid}/fd/{LIFELINE_FD}"))
    }

    fn is_at(&self, link: &str) -> bool {
        procfs::require_own().is_ok() && stat(Path::new(link)).is_ok_and(|stat| stat.inode == self.inode)
    }

    /// Whether `pid` holds the lifeline at a worker's descriptor: one look at one descriptor.
    pub(crate) fn is_held_at_its_place_by(&self, pid: Pid) -> bool {
        self.is_kept_by(pid) && has_exclusive_lock(pid, &LIFELINE_FD.to_string())
    }

    /// Whether `pid` holds the lifeline at any descriptor, as far as `/proc` allows.
    pub fn is_held_by(&self, pid: Pid) -> bool {
        if self.is_held_at_its_place_by(pid) {
            return true;
        }
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        descriptors.flatten().any(|entry| {
            // Only a file can be the lifeline, and reading a link is shorter than following it.
            let is_file = fs::read_link(entry.path()).is_ok_and(|target| target.is_absolute());
            // A querying process has the file open as well; the exclusive lock tells the two apart.
            is_file
                && entry.path().to_str().is_some_and(|link| self.is_at(link))
                && has_exclusive_lock(pid, &entry.file_name().to_string_lossy())
        })
    }

    /// Whether `pid` holds the lifeline, for a judge; at any descriptor, or only at a worker's.
    pub(crate) fn is_held(&self, pid: Pid, reach: Reach) -> Sameness {
        let held = match reach {
            Reach::ItsPlace => self.is_held_at_its_place_by(pid),
            Reach::EveryDescriptor => self.is_held_by(pid),
        };
        if held { Sameness::Same } else { Sameness::Other }
    }
}

/// The descriptors to look at in a search for a lifeline's holders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Only the descriptor at which a worker is born with its lifeline.
    ItsPlace,
    /// All descriptors.
    EveryDescriptor,
}

fn has_exclusive_lock(pid: Pid, descriptor: &str) -> bool {
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}")).unwrap_or_default();
    info.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK") && line.contains("WRITE"))
}
