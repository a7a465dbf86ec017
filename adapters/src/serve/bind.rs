//! A socket that is ours alone from birth, in the place of none but one whose worker is provably dead.
//!
//! A worker that rekindle started holds its lifeline, and its launcher has removed what was stale under the claim: what
//! stands there now is somebody's. A worker without a launcher holds a lock of its own, on a file beside the socket that
//! is never removed and says which socket was bound under it. A refused connection proves nothing; a free lock proves
//! that whoever bound *that* socket is dead.
//!
//! # Invariants
//! 1. Nothing is removed but a socket that was bound under the lock that we hold, and our own.
//! 2. The socket is never open to others, not for a moment, and no umask is changed for it.

use super::ServeError;
use crate::bound::bind_private;
use crate::lifeline;
use crate::lock_file::{LockFile, LockFileError};
use crate::os::During;
use crate::probe::{Probed, judge_place, probe_once};
use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::socket::{Backlog, SockFlag, SockType, listen};
use nix::sys::stat::{FileStat, lstat};
use rekindle_core::OsFailure;
use rekindle_core::target::check_socket_path;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// How many clients may wait to be accepted.
const BACKLOG: i32 = 128;

/// The longest mark, in bytes.
const MARK_LEN_MAX: u64 = 1024;

/// A socket that we bound; it goes when this is dropped, if it still is the one.
#[derive(Debug)]
pub(super) struct ServedSocket {
    listener: UnixListener,
    place: Place,
}

/// The name of a socket that we bound.
#[derive(Debug)]
pub(super) struct Place {
    socket: PathBuf,
    mark: Mark,
    /// Held until the socket is gone; none where a lifeline stands in for it.
    _lock: Option<LockFile>,
}

impl ServedSocket {
    pub(super) fn bind(path: &Path) -> Result<Self, ServeError> {
        let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        check_socket_path(path)?;
        prepare_directory(path)?;
        let lock = match lifeline::guards_this_process(path) {
            true => None,
            false => Some(take_lock(path)?),
        };
        if let Some(lock) = &lock {
            remove_stale(lock, path)?;
        }
        let listener = listen_on(path)?;
        let stat = lstat(path).during("inspect our socket", path)?;
        let mark = Mark::of(&stat);
        let marked = lock.as_ref().map_or(Ok(()), |lock| write_mark(lock, &mark));
        let place = Place { socket: path.to_owned(), mark, _lock: lock };
        marked?;
        let listener = UnixListener::from_std(listener).during("listen on", path)?;
        Ok(Self { listener, place })
    }

    pub(super) fn path(&self) -> &Path {
        &self.place.socket
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    /// Lets nobody in any more; the name stays until what is returned is dropped.
    pub(super) fn close(self) -> Place {
        self.place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let is_ours = lstat(&self.socket).is_ok_and(|stat| Mark::of(&stat) == self.mark);
        if is_ours && let Err(error) = fs::remove_file(&self.socket) {
            tracing::warn!(socket = %self.socket.display(), %error, "our socket could not be removed");
        }
    }
}

/// The directory is made if it is missing, and has to be ours alone.
fn prepare_directory(socket: &Path) -> Result<(), ServeError> {
    let untrusted = |why| ServeError::Untrusted { socket: socket.to_owned(), why };
    match judge_place(socket)? {
        None => Ok(()),
        Some(Probed::Dormant { .. }) => {
            let dir = socket.parent().unwrap_or(socket);
            DirBuilder::new().recursive(true).mode(0o700).create(dir).during("create the directory", dir)?;
            // Somebody may have been there first.
            judge_place(socket)?.map_or(Ok(()), |found| Err(untrusted(found.why().to_owned())))
        }
        Some(found) => Err(untrusted(found.why().to_owned())),
    }
}

fn listen_on(path: &Path) -> Result<StdListener, ServeError> {
    let fd = match bind_private(path, SockType::Stream, SockFlag::SOCK_NONBLOCK) {
        Ok(fd) => fd,
        Err(Errno::EADDRINUSE) => {
            let why = "something is there already".to_owned();
            return Err(ServeError::Taken { socket: path.to_owned(), why });
        }
        Err(error) => return Ok(Err(error).during("bind", path)?),
    };
    let backlog = Backlog::new(BACKLOG).during("listen on", path)?;
    listen(&fd, backlog).during("listen on", path)?;
    Ok(fd.into())
}

/// Which socket was bound under a lock.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    device: u64,
    inode: u64,
    /// Inode numbers are used again; the moment of birth is not.
    made_at_ns: i128,
}

impl Mark {
    fn of(stat: &FileStat) -> Self {
        let made_at_ns = i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec);
        Self { device: stat.st_dev, inode: stat.st_ino, made_at_ns }
    }
}

/// The lifeline of a worker without a launcher: the lock on a file beside its socket.
fn take_lock(socket: &Path) -> Result<LockFile, ServeError> {
    let mut name: OsString = socket.into();
    name.push(".lock");
    let path = PathBuf::from(name);
    let taken = LockFile::try_take(AT_FDCWD, &path, &path)?;
    taken.ok_or(ServeError::Locked { lock: path })
}

/// Removes a socket that was bound under this lock, which we hold: its worker is dead.
fn remove_stale(lock: &LockFile, socket: &Path) -> Result<(), ServeError> {
    let found = match lstat(socket) {
        Ok(found) => found,
        Err(Errno::ENOENT) => return Ok(()),
        Err(error) => return Ok(Err(error).during("inspect", socket)?),
    };
    match probe_once(socket) {
        Probed::Dormant { .. } if read_mark(lock)? == Some(Mark::of(&found)) => {}
        Probed::Dormant { .. } => return Err(ServeError::NotProvenDead { socket: socket.to_owned() }),
        other @ (Probed::Live(_) | Probed::Indeterminate { .. } | Probed::Forged { .. }) => {
            return Err(ServeError::Taken { socket: socket.to_owned(), why: other.why().to_owned() });
        }
    }
    Ok(fs::remove_file(socket).during("remove the stale socket", socket)?)
}

fn read_mark(lock: &LockFile) -> Result<Option<Mark>, ServeError> {
    let mut bytes = Vec::new();
    lock.file().take(MARK_LEN_MAX).read_to_end(&mut bytes).during("read", lock.path())?;
    Ok(serde_json::from_slice(&bytes).ok())
}

fn write_mark(lock: &LockFile, mark: &Mark) -> Result<(), ServeError> {
    let bytes = serde_json::to_vec(mark).map_err(|error| OsFailure::new("write", error.to_string()))?;
    lock.file().set_len(0).during("empty", lock.path())?;
    Ok(lock.file().write_all_at(&bytes, 0).during("write", lock.path())?)
}

impl From<LockFileError> for ServeError {
    fn from(error: LockFileError) -> Self {
        match error {
            LockFileError::Untrusted { path, why } => OsFailure::new("lock", why).on(path).into(),
            LockFileError::Os(failure) => failure.into(),
        }
    }
}
