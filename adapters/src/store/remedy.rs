//! Facts about the system for the advice after a failure. Changes nothing.
//!
//! Checked by `smoke/tests/smoke/command/advice.rs`.

use crate::sys::linux::failure::Errno;
use crate::sys::linux::fs::stat;
use rekindle_core::OsFailure;
use std::path::{Path, PathBuf};

/// Whether the kernel denied a permission.
pub fn is_denied(failure: &OsFailure) -> bool {
    failure
        .raw_errno()
        .map(Errno::from_raw)
        .is_some_and(|errno| matches!(errno, Errno::EACCES | Errno::EPERM))
}

/// Whether the failed write met a read-only file system.
pub fn is_read_only(failure: &OsFailure) -> bool {
    failure.raw_errno().map(Errno::from_raw) == Some(Errno::EROFS)
}

/// The mount point of the file system of `path`, even if `path` does not exist.
pub fn mount_of(path: &Path) -> PathBuf {
    let mut existing = path.ancestors().filter_map(|dir| Some((dir, stat(dir).ok()?.inode.device())));
    let Some((nearest, device)) = existing.next() else { return PathBuf::from("/") };
    let same = existing.take_while(|(_, other)| *other == device);
    same.last().map_or(nearest, |(dir, _)| dir).to_owned()
}
