//! Locks on what somebody may replace: opened by a name, locked, and then asked whether the name still means it.
//!
//! # Invariants
//! 1. Nothing counts as locked unless its name led to it after it was locked: a lock on what lost its name guards nothing.
//! 2. A lock that is not handed on is given up explicitly: a child that has not yet executed its program may have a copy of the
//!    descriptor.
//!
//! Checked by `smoke/tests/smoke/ground/claim.rs` and `ground/foreign_files.rs`.

use crate::sys::linux::failure::Errno;
use crate::sys::linux::fs::flock::{LockKind, try_flock, unlock};
use rekindle_core::OsFailure;
use std::os::fd::AsFd;

/// How often a file may be replaced between opening and locking it before the attempt is given up.
pub(super) const REPLACED_MAX: u32 = 16;

/// A file or directory that was opened by a name.
pub(super) trait Named: AsFd {
    /// Whether the name still leads to it.
    fn has_its_name(&self) -> Result<bool, OsFailure>;

    /// A failure to lock it.
    fn not_locked(&self, errno: Errno) -> OsFailure;
}

/// What came of locking something by its name.
#[derive(Debug)]
pub(super) enum Locked<T> {
    /// It is locked, and has its name.
    Ours(T),
    /// Somebody else has it locked.
    ByAnother(T),
    /// It has lost its name: what has the name now is to be opened.
    Replaced,
}

/// Locks something, exclusively and without waiting.
pub(super) fn try_lock<T: Named>(opened: T) -> Result<Locked<T>, OsFailure> {
    if !try_flock(&opened, LockKind::Exclusive).map_err(|errno| opened.not_locked(errno))? {
        return Ok(Locked::ByAnother(opened));
    }
    match opened.has_its_name() {
        Ok(true) => Ok(Locked::Ours(opened)),
        not_ours => {
            // What is closed is unlocked, unless a child has a copy.
            let _ = unlock(&opened);
            not_ours.map(|_| Locked::Replaced)
        }
    }
}
