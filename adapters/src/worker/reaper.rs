//! Reaps children without a waiter, with one thread for all of them, and reports the exit of each.

use crate::sys::linux::poll::ManyReadable;
use crate::sys::linux::process::pidfd::reap;
use rekindle_core::ChildExit;
use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use tokio::sync::watch;

/// The exit of a child of this process, known once the child is reaped. May be cloned.
#[derive(Debug, Clone)]
pub struct ReapedExit(watch::Receiver<Option<ChildExit>>);

impl ReapedExit {
    /// Resolves once the child is reaped; [`ChildExit::Unknown`] if the child cannot be reaped.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn known(mut self) -> ChildExit {
        let reaped = self.0.wait_for(Option::is_some).await;
        reaped.ok().and_then(|exit| *exit).unwrap_or(ChildExit::Unknown)
    }
}

/// The sender of a child's exit.
#[derive(Debug)]
pub(super) struct ExitTeller(watch::Sender<Option<ChildExit>>);

impl ExitTeller {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    pub(super) fn listen(&self) -> ReapedExit {
        ReapedExit(self.0.subscribe())
    }

    /// Reaps an ended child, and sends the exit.
    pub(super) fn reap(self, pidfd: &OwnedFd) {
        self.0.send_replace(Some(reap(pidfd)));
    }
}

/// Hands a running child to the reaper's thread, started for the first such child.
pub(crate) fn leave_to_reaper(pidfd: OwnedFd) {
    reap_later(pidfd, ExitTeller::new());
}

/// The same, with a sender for the child's exit.
pub(super) fn reap_later(pidfd: OwnedFd, teller: ExitTeller) {
    static REAPER: OnceLock<Option<Arc<Reaper>>> = OnceLock::new();
    let reaper = REAPER.get_or_init(Reaper::start);
    // Without a thread the child stays a zombie until this process ends; nothing worse can happen.
    if let Some(reaper) = reaper {
        reaper.take(pidfd, teller);
    }
}

/// The thread's children, by descriptor.
struct Reaper {
    watch: ManyReadable,
    children: Mutex<HashMap<RawFd, (OwnedFd, ExitTeller)>>,
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

    fn take(&self, pidfd: OwnedFd, teller: ExitTeller) {
        // Locked first: the thread may receive the event at once.
        let mut children = self.children();
        // An unwatched child stays a zombie, as without a thread.
        if self.watch.add(&pidfd).is_ok() {
            children.insert(pidfd.as_raw_fd(), (pidfd, teller));
        }
    }

    fn reap_all(&self) {
        loop {
            self.watch.wait(|ended| {
                let child = self.children().remove(&ended);
                if let Some((child, teller)) = child {
                    let _ = self.watch.remove(&child);
                    teller.reap(&child);
                }
            });
        }
    }

    fn children(&self) -> MutexGuard<'_, HashMap<RawFd, (OwnedFd, ExitTeller)>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
