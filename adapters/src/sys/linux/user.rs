//! Our user.

use nix::unistd::{Uid, User, geteuid};
use std::path::PathBuf;

/// The effective user id.
pub(crate) fn our_uid() -> u32 {
    geteuid().as_raw()
}

/// Whether we are root, of our user namespace at least.
pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}

/// The home directory of our user in the passwd entry.
pub(crate) fn home() -> Option<PathBuf> {
    User::from_uid(Uid::effective()).ok().flatten().map(|user| user.dir)
}
