//! Sockets that the launcher binds: the one on which a worker is to answer, and the one to which it says that it is
//! ready.
//!
//! # Invariants
//! 1. A socket is its owner's alone from the instant that it has a name, whatever the umask.
//! 2. A path that no socket address could hold is bound by way of its directory's descriptor.
//! 3. What is removed is the very socket that was bound, never another that has taken its name.
//!
//! Checked by `smoke/tests/smoke/ready/listen.rs`.

use crate::sys::linux::failure::During;
use crate::sys::linux::fs::{Inode, Links, PRIVATE_FILE, chmod_at, pin_directory, remove_at, stat_at};
use crate::sys::linux::socket::{Calls, Carries, bind_private};
use rekindle_core::OsFailure;
use rekindle_core::target::SOCKET_PATH_LEN_MAX;
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A socket that has a name and does not listen yet.
#[derive(Debug)]
pub struct BoundSocket {
    fd: OwnedFd,
    dir: OwnedFd,
    name: OsString,
    path: PathBuf,
    inode: Inode,
}

impl BoundSocket {
    /// Binds a socket for connections. Its worker listens on it; until then a connect is refused.
    ///
    /// # Errors
    /// If something stands at `path`, or it cannot be bound there.
    pub fn stream(path: &Path) -> Result<Self, OsFailure> {
        Self::bind(path, Carries::Streams, Calls::Wait)
    }

    /// Binds a socket for messages, which never blocks.
    ///
    /// # Errors
    /// As for [`Self::stream`].
    pub fn datagram(path: &Path) -> Result<Self, OsFailure> {
        Self::bind(path, Carries::Messages, Calls::ReturnAtOnce)
    }

    fn bind(path: &Path, carries: Carries, calls: Calls) -> Result<Self, OsFailure> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        let name = path.file_name().unwrap_or_default().to_owned();
        let dir = pin_directory(parent, Links::Followed).during("open the directory", parent)?;
        let fd = bind_private(&address(path, &dir, &name), carries, calls).during("bind the socket", path)?;
        // The umask may have taken away what its owner needs.
        chmod_at(&dir, name.as_os_str(), PRIVATE_FILE).during("set the mode of", path)?;
        let stat = stat_at(&dir, name.as_os_str()).during("inspect", path)?;
        Ok(Self { fd, dir, name, path: path.to_owned(), inode: stat.inode })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, unless another has taken its name.
    pub fn remove(&self) {
        let found = stat_at(&self.dir, self.name.as_os_str());
        if found.is_ok_and(|found| found.inode == self.inode) {
            // One that stays is stale, and goes with the next start.
            let _ = remove_at(&self.dir, &self.name);
        }
    }

    /// The socket without its name.
    pub(crate) fn try_clone_fd(&self) -> Result<OwnedFd, OsFailure> {
        self.fd.try_clone().during("copy a descriptor of", &self.path)
    }
}

impl AsFd for BoundSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The path itself where an address can hold it, since the kernel's table of sockets shows what was bound.
fn address(path: &Path, dir: &OwnedFd, name: &OsString) -> PathBuf {
    if path.as_os_str().len() <= SOCKET_PATH_LEN_MAX {
        path.to_owned()
    } else {
        Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name)
    }
}
