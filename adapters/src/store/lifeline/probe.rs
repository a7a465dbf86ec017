//! One lifeline that is open: whether it is held, by whom, and what its worker wrote into it.

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

/// One generation's lifeline, opened to be asked. It keeps meaning the same file, whatever the name comes to mean.
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
        // The lock that asks is ours alone: nobody else has this descriptor.
        match flock::is_free(&self.fd) {
            Ok(true) => Lifeline::Free,
            Ok(false) => Lifeline::Held,
            Err(_) => Lifeline::Unreadable,
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
        procfs::require_own().is_ok() && stat(Path::new(link)).is_ok_and(|stat| stat.inode == self.inode)
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
