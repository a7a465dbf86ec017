//! Waits for changes of a session's logs: growth, another start, removal.
//!
//! # Invariants
//! 1. With inotify, a silent log wakes nobody. Without inotify, waiters look four times a second.
//! 2. No descriptor of the directory stays open: the kernel tells of a removal once the last one is closed.
//!
//! Checked by `smoke/tests/smoke/logs/follow.rs`.

use crate::sys::linux::fs::watch::{FsWatch, Happening};
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

/// The pause between two looks without inotify.
const UNWATCHED_PAUSE: Duration = Duration::from_millis(250);
/// The pause after a change: a worker that writes without pause does not keep us busy.
const GROWTH_PAUSE: Duration = Duration::from_millis(2);

/// A watch of one session's logs. A change after the subscription is not lost.
#[derive(Debug)]
pub struct LogWatch {
    /// The session's directory, and the directory above, which tells of the removal.
    watches: Option<(FsWatch, FsWatch)>,
}

impl LogWatch {
    /// Watches the session's directory at `dir`, below `root`.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled.
    pub fn subscribe(dir: &Path, root: &Path) -> Self {
        let watch = |path| FsWatch::subscribe(path, Happening::LogChanges);
        Self { watches: watch(dir).zip(watch(root)) }
    }

    /// Waits until something may have changed since the last call.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn changed(&self) {
        match &self.watches {
            None => sleep(UNWATCHED_PAUSE).await,
            Some((dir, root)) => {
                tokio::select! {
                    () = dir.woken() => {}
                    () = root.woken() => {}
                }
                sleep(GROWTH_PAUSE).await;
            }
        }
    }
}
