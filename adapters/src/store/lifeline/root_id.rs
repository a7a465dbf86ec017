//! The identity of a state root, for workers whose files may be removed or moved.

use crate::sys::linux::failure::{During, Errno};
use crate::sys::linux::fs::stat;
use fnv::FnvHasher;
use rekindle_core::OsFailure;
use serde::{Deserialize, Serialize};
use std::hash::Hasher;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The identity of a state root: the path, which outlives a removal, and the inode, which outlives a move.
///
/// The path is kept as a hash, with every link resolved: a mark has to be short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootId {
    path: u64,
    device: u64,
    inode: u64,
}

impl RootId {
    /// The identity of the state root at `path`; `None` if neither the root nor any directory above exists.
    ///
    /// A removed root is identified by its path and the device of the nearest existing directory.
    ///
    /// # Errors
    /// If the path cannot be resolved.
    pub fn of(path: &Path) -> Result<Option<Self>, OsFailure> {
        for place in path.ancestors() {
            let real = match place.canonicalize() {
                Ok(real) => real,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).during("resolve", place),
            };
            let found = match stat(&real) {
                Ok(found) => found.inode,
                Err(Errno::ENOENT) => continue,
                Err(error) => return Err(error).during("inspect", &real),
            };
            let missing = path.strip_prefix(place).unwrap_or(Path::new(""));
            // Joining an empty path would add a slash.
            let whole = if missing.as_os_str().is_empty() { real } else { real.join(missing) };
            let inode = if missing.as_os_str().is_empty() { found.number() } else { 0 };
            return Ok(Some(Self { path: hash(&whole), device: found.device(), inode }));
        }
        Ok(None)
    }

    /// The device of the root.
    pub(super) fn device(self) -> u64 {
        self.device
    }

    /// Whether both roots have, or had, the same path.
    pub(super) fn has_path_of(self, other: Self) -> bool {
        self.path == other.path
    }

    /// Whether both roots are the same directory, at any path.
    pub(super) fn is_directory_of(self, other: Self) -> bool {
        self.inode != 0 && (self.device, self.inode) == (other.device, other.inode)
    }
}

/// Stable across versions, unlike std's hashes.
fn hash(path: &Path) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(path.as_os_str().as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_root_is_known_by_its_path_after_it_was_removed_and_by_its_inode_after_it_was_moved() {
        let dir = tempfile::tempdir().unwrap();
        let (here, there) = (dir.path().join("here"), dir.path().join("there"));
        fs::create_dir(&here).unwrap();
        let id = |path: &Path| RootId::of(path).unwrap().unwrap();
        let before = id(&here);
        assert!(before.has_path_of(before) && before.is_directory_of(before));
        fs::rename(&here, &there).unwrap();
        assert!(id(&here).has_path_of(before) && !id(&here).is_directory_of(before));
        assert!(id(&there).is_directory_of(before) && !id(&there).has_path_of(before));
        std::os::unix::fs::symlink(&there, &here).unwrap();
        assert!(id(&here).has_path_of(id(&there)), "a link leads to the same place");
    }
}
