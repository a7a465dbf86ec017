//! Sockets that the launcher binds: the one on which a worker is to answer, and the one to which it says that it is
//! ready.
//!
//! # Invariants
//! 1. A socket is its owner's alone from the instant that it has a name, whatever the umask.
//! 2. A path that no socket address could hold is bound by way of its directory's descriptor.
//! 3. What is removed is the very socket that was bound, never another that has taken its name.
//!
//! Checked by `smoke/tests/smoke/ready/listen.rs`.

use crate::store::directory::Inode;
use crate::sys::linux::failure::During;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, socket};
use nix::sys::stat::{FchmodatFlags, Mode, fchmod, fchmodat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use rekindle_core::OsFailure;
use rekindle_core::target::SOCKET_PATH_LEN_MAX;
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What its owner may do with a socket, and nobody else.
const PRIVATE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

/// Binds a socket that is its owner's alone: the kernel makes the file with the mode of the socket, less the umask, so that at
/// no instant can others use it.
pub(crate) fn bind_private(path: &Path, kind: SockType, flags: SockFlag) -> nix::Result<OwnedFd> {
    let fd = socket(AddressFamily::Unix, kind, flags | SockFlag::SOCK_CLOEXEC, None)?;
    fchmod(&fd, PRIVATE)?;
    bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(fd)
}

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
        Self::bind(path, SockType::Stream, SockFlag::empty())
    }

    /// Binds a socket for messages, which never blocks.
    ///
    /// # Errors
    /// As for [`Self::stream`].
    pub fn datagram(path: &Path) -> Result<Self, OsFailure> {
        Self::bind(path, SockType::Datagram, SockFlag::SOCK_NONBLOCK)
    }

    fn bind(path: &Path, kind: SockType, flags: SockFlag) -> Result<Self, OsFailure> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        let name = path.file_name().unwrap_or_default().to_owned();
        let opened = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = open(parent, opened, Mode::empty()).during("open the directory", parent)?;
        let fd = bind_private(&address(path, &dir, &name), kind, flags).during("bind the socket", path)?;
        // The umask may have taken away what its owner needs.
        fchmodat(&dir, name.as_os_str(), PRIVATE, FchmodatFlags::FollowSymlink)
            .during("set the mode of", path)?;
        let stat = fstatat(&dir, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW).during("inspect", path)?;
        Ok(Self { fd, dir, name, path: path.to_owned(), inode: Inode::of(&stat) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, unless another has taken its name.
    pub fn remove(&self) {
        let found = fstatat(&self.dir, self.name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
        if found.is_ok_and(|found| Inode::of(&found) == self.inode) {
            // One that stays is stale, and goes with the next start.
            let _ = unlinkat(&self.dir, self.name.as_os_str(), UnlinkatFlags::NoRemoveDir);
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
