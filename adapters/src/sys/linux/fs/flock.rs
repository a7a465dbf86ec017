//! Locks on open files, as `flock` has them: they belong to the open file, whichever processes have it.
//!
//! By rustix: nix knows no flock but as a value that owns its file, and unlocks with it. A lock of ours is on a file
//! that others own too.

use crate::sys::linux::failure::{Errno, from_rustix};
use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;
use std::os::fd::AsFd;

/// How a lock excludes others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockKind {
    /// Nobody else has it.
    Exclusive,
    /// Others may have it too, none of them exclusively. For asking only: two who ask do not see each other.
    Shared,
}

/// Locks a file without waiting, whatever interrupts us; `false` if somebody else has it.
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

/// Gives a lock up, for every copy of the descriptor.
pub(crate) fn unlock(file: impl AsFd) -> Result<(), Errno> {
    flock(file.as_fd(), FlockOperation::Unlock).map_err(from_rustix)
}

/// Whether nobody has a file locked exclusively. The lock that asks is given up at once.
pub(crate) fn is_free(file: impl AsFd) -> Result<bool, Errno> {
    let is_free = try_flock(file.as_fd(), LockKind::Shared)?;
    if is_free {
        unlock(file)?;
    }
    Ok(is_free)
}
