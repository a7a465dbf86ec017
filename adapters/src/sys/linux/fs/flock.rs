//! flock: a lock on an open file description, shared by all processes with a copy.
//!
//! By rustix: in nix a flock owns its file, and the end of the value unlocks. Our locks are on shared files.

use crate::sys::linux::failure::{Errno, from_rustix};
use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;
use std::os::fd::AsFd;

/// The kind of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockKind {
    /// No other lock at the same time.
    Exclusive,
    /// Other shared locks at the same time. For queries only: two queries do not see each other.
    Shared,
}

/// Locks a file without waiting, and repeats an interrupted call; `false` if another process holds the lock.
pub(crate) fn try_flock(file: impl AsFd, kind: LockKind) -> Result<bool, Errno> {
    let how = match kind {
        LockKind::Exclusive => FlockOperation::NonBlockingLockExclusive,
        LockKind::Shared => FlockOperation::NonBlockingLockShared,
    };
    match retry_on_intr(|| flock(file.as_fd(), how)) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(from_rustix(error)),
    }
}

/// Releases a lock, for every copy of the descriptor.
pub(crate) fn unlock(file: impl AsFd) -> Result<(), Errno> {
    flock(file.as_fd(), FlockOperation::Unlock).map_err(from_rustix)
}

/// Whether no process holds an exclusive lock on the file. The lock of the query is released at once.
pub(crate) fn is_free(file: impl AsFd) -> Result<bool, Errno> {
    let is_free = try_flock(file.as_fd(), LockKind::Shared)?;
    if is_free {
        unlock(file)?;
    }
    Ok(is_free)
}
