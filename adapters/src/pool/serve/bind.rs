//! Binds a socket for us alone, replacing only the socket of a provably dead worker.
//!
//! If rekindle started the worker, the worker holds a lifeline, and its launcher has removed a stale socket under the
//! claim: any file still at the path belongs to another program. A worker without a launcher holds a lock of its own,
//! on a file beside the socket. The lock file is never removed, and notes the socket bound under the lock. A refused
//! connection proves nothing; a free lock proves that the binder of the *noted* socket is dead.
//!
//! # Invariants
//! 1. Only two sockets are removed: ours, and the socket noted under the lock that we hold.
//! 2. The socket is never open to other users, not for a moment, and no umask is changed.
//! 3. If the path has a file that is no socket, no lock file is created; a foreign lock file is left unchanged.
//!
//! Checked by `smoke/tests/smoke/protocol/server.rs`, `pool/worker.rs` and `ground/foreign_files.rs`.

use super::error::ServeError;
use crate::endpoint::probe::{Probed, probe_once, why_not_our_socket};
use crate::store::directory::Directory;
use crate::store::lifeline;
use crate::store::lock_file::{Guards, LockFile, LockFileError};
use crate::store::trust::Place as WayTo;
use crate::store::way::{self, WayError};
use crate::sys::linux::failure::{During, Errno};
use crate::sys::linux::fs::{FileKind, FileStatus, lstat};
use crate::sys::linux::socket::{Calls, Carries, bind_private, listen};
use rekindle_core::OsFailure;
use rekindle_core::shown::Shown;
use rekindle_core::target::check_socket_path;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// The number of clients that may wait for `accept`.
const BACKLOG: i32 = 128;

/// A bound socket; the file is removed on drop, unless replaced.
#[derive(Debug)]
pub(super) struct ServedSocket {
    listener: UnixListener,
    place: Place,
}

/// The name of a bound socket.
#[derive(Debug)]
pub(super) struct Place {
    socket: PathBuf,
    mark: Mark,
    /// Held until the socket's file is gone; `None` if a lifeline replaces the lock.
    _lock: Option<LockFile>,
}

impl ServedSocket {
    pub(super) fn bind(path: &Path) -> Result<Self, ServeError> {
        let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        check_socket_path(path)?;
        way::create(directory_of(path), WayTo::Socket).map_err(|error| untrusted(path, error))?;
        let lock = match lifeline::guards_this_process(path) {
            true => None,
            false => Some(take_lock(path)?),
        };
        if let Some(lock) = &lock {
            remove_stale(lock, path)?;
        }
        let listener = listen_on(path)?;
        let stat = lstat(path).during("inspect our socket", path)?;
        if stat.kind != FileKind::Socket {
            let why = "something else took its name at once".to_owned();
            return Err(ServeError::Taken { socket: path.to_owned(), why });
        }
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

    /// Stops accepting; the name stays until the returned value is dropped.
    pub(super) fn close(self) -> Place {
        self.place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let is_ours = lstat(&self.socket).is_ok_and(|stat| Mark::of(&stat) == self.mark);
        if is_ours && let Err(error) = fs::remove_file(&self.socket) {
            tracing::warn!(socket = %Shown(&self.socket), %error, "our socket could not be removed");
        }
    }
}

/// The directory of a socket. The path is absolute and names a file.
fn directory_of(socket: &Path) -> &Path {
    socket.parent().unwrap_or(socket)
}

fn untrusted(socket: &Path, error: WayError) -> ServeError {
    match error {
        WayError::Untrusted(fault) => ServeError::Untrusted { socket: socket.to_owned(), fault },
        WayError::Os(failure) => failure.into(),
    }
}

fn listen_on(path: &Path) -> Result<StdListener, ServeError> {
    let fd = match bind_private(path, Carries::Streams, Calls::ReturnAtOnce) {
        Ok(fd) => fd,
        Err(Errno::EADDRINUSE) => {
            let why = "something is there already".to_owned();
            return Err(ServeError::Taken { socket: path.to_owned(), why });
        }
        Err(error) => return Ok(Err(error).during("bind", path)?),
    };
    listen(&fd, BACKLOG).during("listen on", path)?;
    Ok(fd.into())
}

/// The identity of the socket bound under a lock.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    device: u64,
    inode: u64,
    /// Inode numbers are used again; the moment of birth is not.
    made_at_ns: i128,
}

impl Mark {
    fn of(stat: &FileStatus) -> Self {
        let made_at_ns = i128::from(stat.modified_at) * 1_000_000_000 + i128::from(stat.modified_ns);
        Self { device: stat.inode.device(), inode: stat.inode.number(), made_at_ns }
    }
}

/// The lifeline of a worker without a launcher: the lock on a file beside its socket.
fn take_lock(socket: &Path) -> Result<LockFile, ServeError> {
    if let Some(why) = lstat(socket).ok().and_then(|found| why_not_our_socket(&found)) {
        return Err(ServeError::Taken { socket: socket.to_owned(), why });
    }
    let mut name = socket.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let dir = directory_of(socket);
    let gone = || OsFailure::new("open the directory", "it was removed at once").on(dir);
    let dir = Directory::open(dir)?.ok_or_else(gone)?;
    match LockFile::try_take(&dir, &name, Guards::Socket) {
        Ok(Some(lock)) => {
            dir.sweep_those(|unfinished| unfinished == name);
            Ok(lock)
        }
        Ok(None) => Err(ServeError::Locked { lock: dir.path_of(&name) }),
        Err(LockFileError::Untrusted(fault)) => {
            Err(ServeError::Untrusted { socket: socket.to_owned(), fault })
        }
        Err(LockFileError::Os(failure)) => Err(failure.into()),
    }
}

/// Removes the socket bound under this lock. We hold the lock, so the binder is dead.
fn remove_stale(lock: &LockFile, socket: &Path) -> Result<(), ServeError> {
    let found = match lstat(socket) {
        Ok(found) => found,
        Err(Errno::ENOENT) => return Ok(()),
        Err(error) => return Ok(Err(error).during("inspect", socket)?),
    };
    match probe_once(socket) {
        Probed::Dormant { .. } if read_mark(lock)? == Some(Mark::of(&found)) => {}
        Probed::Dormant { .. } => return Err(ServeError::NotProvenDead { socket: socket.to_owned() }),
        other @ (Probed::Live(_)
        | Probed::Indeterminate { .. }
        | Probed::Forged { .. }
        | Probed::Foreign { .. }) => {
            return Err(ServeError::Taken { socket: socket.to_owned(), why: other.why().to_owned() });
        }
    }
    Ok(fs::remove_file(socket).during("remove the stale socket", socket)?)
}

fn read_mark(lock: &LockFile) -> Result<Option<Mark>, ServeError> {
    Ok(lock.note()?.and_then(|note| serde_json::from_slice(&note).ok()))
}

fn write_mark(lock: &LockFile, mark: &Mark) -> Result<(), ServeError> {
    let note = serde_json::to_vec(mark).map_err(|error| OsFailure::new("write", error.to_string()))?;
    Ok(lock.write_note(&note)?)
}
