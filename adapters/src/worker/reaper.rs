//! Reaps children without a waiter, with one thread for all of them.

use crate::sys::linux::poll::ManyReadable;
use crate::sys::linux::process::pidfd::reap;
use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

/// Hands a running child to the reaper's thread, started for the first such child.
pub(crate) fn leave_to_reaper(pidfd: OwnedFd) {
    static REAPER: OnceLock<Option<Arc<Reaper>>> = OnceLock::new();
    let reaper = REAPER.get_or_init(Reaper::start);
    // Without a thread the child stays a zombie until this process ends; nothing worse can happen.
    if let Some(reaper) = reaper {
        reaper.take(pidfd);
    }
}

/// The thread's children, by descriptor.
struct Reaper {
    watch: ManyReadable,
    children: Mutex<HashMap<RawFd, OwnedFd>>,
}

impl Reaper {
    fn start() -> Option<Arc<Self>> {
        let watch = ManyReadable::new().ok()?;
        let reaper = Arc::new(Self { watch, children: Mutex::default() });
        let its_own = reaper.clone();
        thread::Builder::new()
            .name("rekindle-reaper".into())
            .stack_size(64 << 10)
            .spawn(move || its_own.reap_all())
            .ok()?;
        Some(reaper)
    }

    fn take(&self, pidfd: OwnedFd) {
        // Locked first: the thread may receive the event at once.
        let mut children = self.children();
        // An unwatched child stays a zombie, as without a thread.
        if self.watch.add(&pidfd).is_ok() {
            children.insert(pidfd.as_raw_fd(), pidfd);
        }
    }

    fn reap_all(&self) {
        loop {
            self.watch.wait(|ended| {
                let child = self.children().remove(&ended);
                if let Some(child) = child {
                    let _ = self.watch.remove(&child);
                    reap(&child);
                }
            });
        }
    }

    fn children(&self) -> MutexGuard<'_, HashMap<RawFd, OwnedFd>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
