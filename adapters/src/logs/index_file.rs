//! The index of a log as a file, and the lock on the log that the file carries.
//!
//! A cutter holds the lock exclusively, a reader shares it for the time of one read; neither waits in the kernel. The
//! file is rewritten in place, since a lock belongs to a file and not to a name.
//!
//! # Invariants
//! 1. An index that is missing, torn, damaged, or of another log says nothing; it is never an error.
//! 2. An index has at most [`LEN_MAX`] bytes: one write of one page, which a killed process makes whole or not at all.
//!
//! Checked by `smoke/tests/smoke/logs/cut.rs`.

use crate::store::directory::Directory;
use crate::sys::linux::failure::{During, Errno};
use crate::sys::linux::fs::Inode;
use crate::sys::linux::fs::flock::{LockKind, try_flock};
use rekindle_core::OsFailure;
use rekindle_core::logs::LogIndex;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// The limit of an index, in bytes.
pub const LEN_MAX: usize = 4096;

/// The open index of a log.
#[derive(Debug)]
pub(crate) struct IndexFile {
    file: File,
    inode: Inode,
    name: &'static str,
    path: PathBuf,
}

impl IndexFile {
    /// Makes the index of a fresh log, under the claim.
    ///
    /// # Errors
    /// If the file cannot be made. A log can do without.
    pub(crate) fn create(dir: &Directory, name: &'static str, index: &LogIndex) -> Result<Self, OsFailure> {
        let path = dir.path_of(name);
        dir.create_log(name)?;
        let made = Self::open(dir, name)?;
        let made = made.ok_or_else(|| OsFailure::new("open", "the file was replaced").on(&path))?;
        made.write(index)?;
        Ok(made)
    }

    /// Opens an index; `None` if there is none of ours.
    pub(crate) fn open(dir: &Directory, name: &'static str) -> Result<Option<Self>, OsFailure> {
        let own = dir.open_own(name)?;
        Ok(own.map(|(file, stat)| Self { file, inode: stat.inode, name, path: dir.path_of(name) }))
    }

    /// Whether the name still leads to this file.
    pub(crate) fn is_in_place(&self, dir: &Directory) -> bool {
        dir.is_named(self.name, self.inode)
    }

    /// Locks without waiting; `false` if another process reads or cuts.
    pub(crate) fn try_lock(&self, kind: LockKind) -> Result<bool, OsFailure> {
        try_flock(&self.file, kind).during("lock", &self.path)
    }

    /// Unlocks; an error would end with the descriptor.
    pub(crate) fn unlock(&self) {
        let _ = crate::sys::linux::fs::flock::unlock(&self.file);
    }

    /// The index of the log with this inode; `None` if the file holds no valid index, or another log's.
    pub(crate) fn read(&self, log: Inode) -> Option<LogIndex> {
        let mut bytes = [0; LEN_MAX];
        let len = self.file.read_at(&mut bytes, 0).ok()?;
        let line = bytes.get(..len)?.split(|byte| *byte == b'\n').next()?;
        serde_json::from_slice::<LogIndex>(line).ok()?.valid_for(log.number())
    }

    /// Replaces the content.
    ///
    /// # Errors
    /// If the file system is full, for example; the old content may then be gone, and the index says nothing.
    pub(crate) fn write(&self, index: &LogIndex) -> Result<(), OsFailure> {
        let too_long = || OsFailure::new("write", "the index would be longer than a page").on(&self.path);
        let mut text = serde_json::to_vec(index).ok().ok_or_else(too_long)?;
        text.push(b'\n');
        if text.len() > LEN_MAX {
            return Err(too_long());
        }
        // Padded, so that one write replaces everything that was there.
        text.resize(LEN_MAX, b' ');
        let written = self.file.write_at(&text, 0).during("write", &self.path)?;
        if written == text.len() { Ok(()) } else { Err(Errno::ENOSPC).during("write", &self.path) }
    }
}
