//! The file of a Unix socket: which one it is, whether any socket still has it, and its removal.
//!
//! A connect that is refused does not say whether the file is stale or its owner has yet to listen. A connect by a socket of
//! another type does: the kernel looks the file's socket up first, in all network namespaces, and compares the types then.
//!
//! # Invariants
//! 1. Only a file that no socket has is removed, and only one of ours: the one that was recorded, or one in the session's
//!    own private directory.
//! 2. Nobody is connected to.
//! 3. At a socket whose own mode shuts us out nothing can be asked. Such a one is removed only in the session's own directory,
//!    where nobody but us can put one, and if the kernel's table shows no listener.
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

/// How often a socket is looked at that its worker is just letting go of.
const LETTING_GO_MAX: u32 = 50;
/// How long to wait before it is looked at again.
const LETTING_GO_PAUSE: Duration = Duration::from_millis(1);

/// Whether any socket has a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tenancy {
    /// No socket does: nothing is there, or a file that a socket left behind.
    Vacant,
    /// Some socket does, listening or not.
    Taken,
    /// It is a socket of ours whose mode lets nobody ask: a worker under a tight umask made it.
    Shut,
    /// It is no socket, or the system does not say.
    Unclear,
}

/// Whether any socket has `path`.
pub fn tenancy(path: &Path) -> Tenancy {
    inspect(path).map_or(Tenancy::Unclear, |(tenancy, _)| tenancy)
}

/// Which file stands at `path`, if it is a socket.
pub fn file_at(path: &Path) -> Option<SocketFile> {
    let stat = lstat(path).ok()?;
    (stat.kind == FileKind::Socket).then(|| stat.inode.into())
}

/// Who has a path, and which file it is.
fn inspect(path: &Path) -> Result<(Tenancy, Option<Inode>), OsFailure> {
    // Pinned: whatever the name comes to mean, this stays what was inspected.
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

/// What stands at the path of a socket, and what may be done about it.
#[derive(Debug)]
pub enum Place {
    /// Nothing stands in the way, or a stale file that may be another's: a worker has to cope with it.
    Free,
    /// A stale file of ours.
    Stale(StaleSocket),
    /// Some socket has the path, or it cannot be told.
    Taken {
        /// Why nothing is removed.
        why: &'static str,
    },
}

/// A socket file of ours that no socket has.
#[derive(Debug)]
pub struct StaleSocket {
    path: PathBuf,
    file: Inode,
}

impl Place {
    /// The same, as the core knows it.
    pub fn room(&self) -> Room {
        match self {
            Self::Free => Room::Free,
            Self::Stale(_) => Room::Stale,
            Self::Taken { .. } => Room::Taken,
        }
    }
}

impl StaleSocket {
    /// Removes the file, if it still is the one that was looked at.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(self) -> Result<(), OsFailure> {
        remove(&self.path, self.file)
    }
}

/// Looks at what stands at the path where a worker is about to bind, or has ended.
///
/// Only under the claim, once the last worker is provably gone.
///
/// # Errors
/// If it cannot be looked at.
pub fn look(dir: &SessionDir, path: &Path, recorded: Option<SocketFile>) -> Result<Place, OsFailure> {
    let (tenancy, file) = inspect(path)?;
    let Some(file) = file else { return Ok(Place::Free) };
    let stale = || Place::Stale(StaleSocket { path: path.to_owned(), file });
    Ok(match tenancy {
        Tenancy::Taken => Place::Taken { why: "another program has bound a socket there" },
        // Nobody but us can put a socket into that directory, and those who listen there would be in the kernel's table.
        Tenancy::Shut if is_our_own(dir, path) && !ListeningSockets::read().contains(path) => stale(),
        Tenancy::Shut | Tenancy::Unclear => Place::Taken { why: "whether a socket has it cannot be told" },
        Tenancy::Vacant if is_ours(dir, path, file, recorded) => stale(),
        Tenancy::Vacant => {
            tracing::info!(socket = %Shown(path), "a stale socket that no worker of ours is known to have made stays");
            Place::Free
        }
    })
}

/// The socket of a worker that has ended, cleared away in two steps: looked at, then removed. Only under the claim, once the
/// worker is provably gone. What goes wrong is logged, and the socket stays where it is.
#[derive(Debug, Default)]
pub struct Leftover(Option<StaleSocket>);

impl Leftover {
    /// Looks at the socket. A process that ends may let go of its lifeline a moment before its socket.
    pub fn look(&mut self, dir: &SessionDir, path: &Path, recorded: Option<SocketFile>) -> Room {
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

    /// Removes the socket that was looked at.
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
