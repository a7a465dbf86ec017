//! Watches the names in directories, by one inotify descriptor of its own: for a watcher of many sessions.
//!
//! # Invariants
//! 1. No change is lost without a word: an overflow of the kernel's queue is reported, and the caller looks at everything
//!    again.
//! 2. Watch first, then look: a change in between is a stored event.
//!
//! Checked by `smoke/tests/smoke/watch/events.rs`.

use crate::sys::linux::failure::During;
use crate::sys::linux::poll::readable;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use rekindle_core::OsFailure;
use std::collections::{BTreeSet, HashMap};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use tokio::io::unix::AsyncFd;

/// Watched directories. Dropping the value ends all watches.
#[derive(Debug)]
pub struct DirectoryWatch {
    inotify: Inotify,
    /// A copy of the descriptor, registered with the runtime.
    readable: AsyncFd<OwnedFd>,
    paths: HashMap<WatchDescriptor, PathBuf>,
}

/// The changes since the last call.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The directories in which a name appeared or went, or that went themselves.
    pub directories: BTreeSet<PathBuf>,
    /// Whether the kernel lost events: any directory may have changed.
    pub overflowed: bool,
}

/// Whether a directory is watched now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// The directory is watched from now on.
    Newly,
    /// The directory was watched already.
    Already,
    /// No directory has this path.
    Absent,
}

impl DirectoryWatch {
    /// A watch of no directory.
    ///
    /// # Errors
    /// If the system refuses an inotify descriptor.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    pub fn new() -> Result<Self, OsFailure> {
        const DOING: &str = "watch directories";
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).doing(DOING)?;
        let copy = inotify.as_fd().try_clone_to_owned().doing(DOING)?;
        Ok(Self { inotify, readable: readable(copy).doing(DOING)?, paths: HashMap::new() })
    }

    /// Watches one more directory. Watching a directory twice has no effect.
    ///
    /// # Errors
    /// If the directory cannot be watched, for example because the user's limit of watches is reached.
    pub fn add(&mut self, path: &Path) -> Result<Watched, OsFailure> {
        let flags = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        match self.inotify.add_watch(path, flags) {
            Ok(watch) => {
                let before = self.paths.insert(watch, path.to_owned());
                Ok(if before.is_some() { Watched::Already } else { Watched::Newly })
            }
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(Watched::Absent),
            Err(error) => Err(error).during("watch the directory", path),
        }
    }

    /// Resolves as soon as something has changed since the last call.
    ///
    /// # Errors
    /// If the events cannot be read.
    ///
    /// # Cancel safety
    /// Safe; no event is lost.
    pub async fn changed(&mut self) -> Result<Changes, OsFailure> {
        loop {
            let mut ready = self.readable.readable().await.doing("watch directories")?;
            let read = self.inotify.read_events();
            match read {
                Ok(events) => {
                    let mut changes = Changes::default();
                    for event in events {
                        changes.overflowed |= event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
                        let is_over = event.mask.contains(AddWatchFlags::IN_IGNORED);
                        let path = if is_over {
                            self.paths.remove(&event.wd)
                        } else {
                            self.paths.get(&event.wd).cloned()
                        };
                        changes.directories.extend(path);
                    }
                    if changes != Changes::default() {
                        return Ok(changes);
                    }
                }
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error).doing("watch directories"),
            }
        }
    }
}
