//! Sockets bound by the launcher: the worker's inherited socket, and the notify socket.
//!
//! # Invariants
//! 1. From the instant that a socket has a name, only the owner can use the socket, under any umask.
//! 2. If a path is too long for a socket address, the bind goes through the directory's descriptor.
//! 3. Only the bound socket is removed, never another file under the same name.
//!
//! Checked by `smoke/tests/smoke/ready/listen.rs`.

use crate::sys::linux::failure::During;
use crate::sys::linux::fs::{Inode, Links, PRIVATE_FILE, chmod_at, pin_directory, remove_at, stat_at};
use crate::sys::linux::socket::{Calls, Carries, bind_port, bind_private};
use rekindle_core::OsFailure;
use rekindle_core::target::SOCKET_PATH_LEN_MAX;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A socket with a name, before `listen`.
#[derive(Debug)]
pub struct BoundSocket {
    fd: OwnedFd,
    dir: OwnedFd,
    name: OsString,
    path: PathBuf,
    inode: Inode,
}

impl BoundSocket {
    /// Binds a socket for connections. The worker listens on the socket; until then a connect is refused.
    ///
    /// # Errors
    /// If a file exists at `path`, or the bind fails.
    pub fn stream(path: &Path) -> Result<Self, OsFailure> {
        Self::bind(path, Carries::Streams, Calls::Wait)
    }

    /// Binds a socket for messages; calls on the socket never block.
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
        // The umask may have removed permissions of the owner.
        chmod_at(&dir, name.as_os_str(), PRIVATE_FILE).during("set the mode of", path)?;
        let stat = stat_at(&dir, name.as_os_str()).during("inspect", path)?;
        Ok(Self { fd, dir, name, path: path.to_owned(), inode: stat.inode })
    }

    /// The socket's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the socket's file, unless another file has taken the name.
    pub fn remove(&self) {
        let found = stat_at(&self.dir, self.name.as_os_str());
        if found.is_ok_and(|found| found.inode == self.inode) {
            // A file that stays is stale; the next start removes the file.
            let _ = remove_at(&self.dir, &self.name);
        }
    }

    /// A copy of the descriptor, without the name.
    pub(crate) fn try_clone_fd(&self) -> Result<OwnedFd, OsFailure> {
        self.fd.try_clone().during("copy a descriptor of", &self.path)
    }
}

/// Binds a TCP port. The worker listens on the port; until then a connect is refused.
///
/// # Errors
/// If another socket has the port, or the address is not of this machine.
pub fn port(at: SocketAddr) -> Result<OwnedFd, OsFailure> {
    bind_port(at).doing(&format!("bind the port {at}"))
}

impl AsFd for BoundSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The plain path if an address can hold the path, since the kernel's socket table shows paths as bound.
fn address(path: &Path, dir: &OwnedFd, name: &OsString) -> PathBuf {
    if path.as_os_str().len() <= SOCKET_PATH_LEN_MAX {
        path.to_owned()
    } else {
        Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name)
    }
}
