//! Locks on files that others may replace: open by name, lock, then check the name again.
//!
//! # Invariants
//! 1. A lock counts only if the name led to the file after locking: a lock on a nameless file guards nothing.
//! 2. An unused lock is given up explicitly: a child before exec may have a copy of the descriptor.
//!
//! Checked by `smoke/tests/smoke/ground/claim.rs` and `ground/foreign_files.rs`.

use crate::sys::linux::failure::Errno;
use crate::sys::linux::fs::flock::{LockKind, try_flock, unlock};
use rekindle_core::OsFailure;
use std::os::fd::AsFd;

/// How often a file may be replaced between open and lock before the attempt is given up.
pub(super) const REPLACED_MAX: u32 = 16;

/// A file or directory opened by name.
pub(super) trait Named: AsFd {
    /// Whether the name still leads to the file.
    fn has_its_name(&self) -> Result<bool, OsFailure>;

    /// A failure to lock the file.
    fn not_locked(&self, errno: Errno) -> OsFailure;
}

/// The result of locking by name.
#[derive(Debug)]
pub(super) enum Locked<T> {
    /// The file is locked, and has its name.
    Ours(T),
    /// Another process holds the lock.
    ByAnother(T),
    /// The file has lost its name: open the name again.
    Replaced,
}

/// Locks an opened file, exclusively and without waiting.
pub(super) fn try_lock<T: Named>(opened: T) -> Result<Locked<T>, OsFailure> {
    if !try_flock(&opened, LockKind::Exclusive).map_err(|errno| opened.not_locked(errno))? {
        return Ok(Locked::ByAnother(opened));
    }
    match opened.has_its_name() {
        Ok(true) => Ok(Locked::Ours(opened)),
        not_ours => {
            // Closing would unlock as well, but not if a child has a copy.
            let _ = unlock(&opened);
            not_ours.map(|_| Locked::Replaced)
        }
    }
}
