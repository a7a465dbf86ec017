//! The file of a Unix socket: its identity, whether a socket is bound to the file, and the removal.
//!
//! A refused connect does not tell a stale file from a bound socket before `listen`. A connect by a socket of another
//! type does: the kernel first looks up the file's socket, in all network namespaces, and then compares the types.
//!
//! # Invariants
//! 1. A file is removed only if no socket is bound to the file, and the file is ours: the recorded file, or a file in
//!    the session's private directory.
//! 2. No connection is made.
//! 3. If the socket's mode denies us access, the kernel gives no answer. Such a file is removed only from the session's
//!    own directory, where only we can create files, and only if the kernel's table shows no listener.
//!
//! Checked by `smoke/tests/smoke/ground/strangers.rs`; the third, for an ordinary user, by `ready/notify.rs`.

use crate::store::session_dir::SessionDir;
use crate::sys::linux::failure::{During, Errno};
use crate::sys::linux::fs::{FileKind, Inode, fstat, lstat, pin};
use crate::sys::linux::socket::{Calls, Carries, connect_to, unnamed};
use crate::sys::linux::socket_table::ListeningSockets;
use rekindle_core::OsFailure;
use rekindle_core::record::SocketFile;
use rekindle_core::shown::Shown;
use rekindle_core::start::order::Room;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a socket is looked at while its ending worker still holds the socket.
const LETTING_GO_MAX: u32 = 50;
/// The pause before the next look.
const LETTING_GO_PAUSE: Duration = Duration::from_millis(1);

/// Whether any socket has a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tenancy {
    /// No socket is bound: the file is missing, or stale.
    Vacant,
    /// A socket is bound, listening or not.
    Taken,
    /// A socket of ours with a mode that denies access: created by a worker under a tight umask.
    Shut,
    /// Not a socket, or the system gives no answer.
    Unclear,
}

/// Whether any socket has `path`.
pub fn tenancy(path: &Path) -> Tenancy {
    inspect(path).map_or(Tenancy::Unclear, |(tenancy, _)| tenancy)
}

/// The identity of the file at `path`, if a socket.
pub fn file_at(path: &Path) -> Option<SocketFile> {
    let stat = lstat(path).ok()?;
    (stat.kind == FileKind::Socket).then(|| stat.inode.into())
}

/// Whether a socket is bound to a path, and the identity of the file.
fn inspect(path: &Path) -> Result<(Tenancy, Option<Inode>), OsFailure> {
    // Pinned: the descriptor keeps the inspected inode, even if the name changes.
    let pinned = match pin(path) {
        Ok(pinned) => pinned,
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok((Tenancy::Vacant, None)),
        Err(error) => return Err(error).during("inspect the socket", path),
    };
    let stat = fstat(&pinned).during("inspect the socket", path)?;
    let file = Some(stat.inode);
    if stat.kind != FileKind::Socket {
        return Ok((Tenancy::Unclear, file));
    }
    let asking =
        unnamed(Carries::Messages, Calls::ReturnAtOnce).during("create a socket to ask about", path)?;
    let magic = format!("/proc/self/fd/{}", pinned.as_raw_fd());
    let tenancy = match connect_to(Path::new(&magic), &asking) {
        Ok(()) | Err(Errno::EPROTOTYPE) => Tenancy::Taken,
        Err(Errno::ECONNREFUSED) => Tenancy::Vacant,
        Err(Errno::EACCES) if stat.is_ours() => Tenancy::Shut,
        Err(_) => Tenancy::Unclear,
    };
    Ok((tenancy, file))
}

/// The state of a socket's path, and the possible action.
#[derive(Debug)]
pub enum Place {
    /// The path is free, or has a stale file that may belong to another program: the worker has to cope.
    Free,
    /// A stale file of ours.
    Stale(StaleSocket),
    /// A socket is bound to the path, or the system gives no answer.
    Taken {
        /// Why the file is not removed.
        why: &'static str,
    },
}

/// A stale socket file of ours.
#[derive(Debug)]
pub struct StaleSocket {
    path: PathBuf,
    file: Inode,
}

impl Place {
    /// The same state, as a type of the core.
    pub fn room(&self) -> Room {
        match self {
            Self::Free => Room::Free,
            Self::Stale(_) => Room::Stale,
            Self::Taken { .. } => Room::Taken,
        }
    }
}

impl StaleSocket {
    /// Removes the file, unless the file was replaced since the look.
    ///
    /// # Errors
    /// If the file cannot be removed.
    pub fn remove(self) -> Result<(), OsFailure> {
        remove(&self.path, self.file)
    }
}

/// Looks at the path where a worker is about to bind, or has ended.
///
/// Only under the claim, once the last worker is provably gone.
///
/// # Errors
/// If the path cannot be inspected.
pub fn look(dir: &SessionDir, path: &Path, recorded: Option<SocketFile>) -> Result<Place, OsFailure> {
    let (tenancy, file) = inspect(path)?;
    let Some(file) = file else { return Ok(Place::Free) };
    let stale = || Place::Stale(StaleSocket { path: path.to_owned(), file });
    Ok(match tenancy {
        Tenancy::Taken => Place::Taken { why: "another program has bound a socket there" },
        // Only we can create a socket in this directory, and a listener would be in the kernel's table.
        Tenancy::Shut if is_our_own(dir, path) && !ListeningSockets::read().contains(path) => stale(),
        Tenancy::Shut | Tenancy::Unclear => Place::Taken { why: "whether a socket has it cannot be told" },
        Tenancy::Vacant if is_ours(dir, path, file, recorded) => stale(),
        Tenancy::Vacant => {
            tracing::info!(socket = %Shown(path), "a stale socket that no worker of ours is known to have made stays");
            Place::Free
        }
    })
}

/// Clears the socket of an ended worker in two steps: look, then remove. Only under the claim, once the worker is
/// provably gone. Failures are logged, and the file stays.
#[derive(Debug, Default)]
pub struct Leftover(Option<StaleSocket>);

impl Leftover {
    /// Looks at the socket. An ending process may close its lifeline a moment before its socket.
    pub fn look(&mut self, dir: &SessionDir, path: Option<&Path>, recorded: Option<SocketFile>) -> Room {
        // A port and no endpoint leave no file.
        let Some(path) = path else { return Room::Free };
        for _ in 0..LETTING_GO_MAX {
            if tenancy(path) != Tenancy::Taken {
                break;
            }
            std::thread::sleep(LETTING_GO_PAUSE);
        }
        let stays = |why: &dyn std::fmt::Display| {
            tracing::info!(session = %dir.session(), socket = %Shown(path), %why, "a socket was left where it is");
            Room::Taken
        };
        match look(dir, path, recorded) {
            Ok(Place::Free) => Room::Free,
            Ok(Place::Stale(stale)) => {
                self.0 = Some(stale);
                Room::Stale
            }
            Ok(Place::Taken { why }) => stays(&why),
            Err(error) => stays(&error),
        }
    }

    /// Removes the inspected socket.
    pub fn remove(&mut self) {
        if let Some(Err(error)) = self.0.take().map(StaleSocket::remove) {
            tracing::info!(%error, "a socket was left where it is");
        }
    }
}

fn is_ours(dir: &SessionDir, path: &Path, file: Inode, recorded: Option<SocketFile>) -> bool {
    is_our_own(dir, path) || recorded == Some(file.into())
}

fn is_our_own(dir: &SessionDir, path: &Path) -> bool {
    path.parent() == Some(dir.path())
}

fn remove(path: &Path, file: Inode) -> Result<(), OsFailure> {
    let still = lstat(path).is_ok_and(|now| now.inode == file);
    match if still { fs::remove_file(path) } else { Ok(()) } {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).during("remove the stale socket", path)
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
