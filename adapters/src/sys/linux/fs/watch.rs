//! Watches files by inotify and wakes those who wait for them. An event is no answer: a waiter polls again when it is woken,
//! and from time to time without that.
//!
//! One inotify descriptor serves the whole process, since closing one makes the kernel wait for milliseconds. It is
//! opened with the first wait that lasts. Where there is none to be had, nobody is woken early and nothing else changes.
//!
//! # Invariants
//! 1. Subscribe first, then ask: what happens between is a stored wake-up, not a lost one.
//! 2. Whoever reads the descriptor wakes everybody it concerns; so any number of runtimes may share it.
//!
//! Checked by `smoke/tests/smoke/probe/hints.rs`.

use crate::sys::linux::poll::readable;
use nix::libc;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    /// A name appears in a directory.
    NameAppears,
    /// A directory is let go of by somebody, or a name in it goes or is replaced.
    DirectoryChanges,
    /// A file is closed by somebody.
    FileCloses,
}

impl Happening {
    fn flags(self) -> AddWatchFlags {
        match self {
            Self::NameAppears => AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO,
            Self::DirectoryChanges => {
                AddWatchFlags::IN_CLOSE_NOWRITE
                    | AddWatchFlags::IN_CREATE
                    | AddWatchFlags::IN_DELETE
                    | AddWatchFlags::IN_MOVED_TO
                    | AddWatchFlags::IN_DELETE_SELF
                    | AddWatchFlags::IN_MOVE_SELF
            }
            Self::FileCloses => AddWatchFlags::IN_CLOSE,
        }
    }

    /// Readers open and close the files of a directory all the time; only the directory itself being closed is news.
    fn is_meant_by(self, event: &InotifyEvent) -> bool {
        match self {
            Self::NameAppears | Self::FileCloses => true,
            Self::DirectoryChanges => {
                event.name.is_none() || !event.mask.contains(AddWatchFlags::IN_CLOSE_NOWRITE)
            }
        }
    }
}

/// So many events can fill the room of one read: 4096 bytes, of which an event takes 16 and the length of a name. Fewer were
/// all that there were.
const FILL_A_READ: usize = 4096 / (16 + 256);

/// A subscription. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct FsWatch {
    subscriber: Arc<Subscriber>,
    /// Registered with the runtime that waits; a copy, so that closing it closes nothing.
    readable: AsyncFd<OwnedFd>,
}

#[derive(Debug)]
struct Subscriber {
    watch: WatchDescriptor,
    happening: Happening,
    woken: Notify,
}

struct Hub {
    inotify: Inotify,
    subscribers: Mutex<Vec<Arc<Subscriber>>>,
}

impl FsWatch {
    /// Watches `path`; `None` where inotify is not available.
    pub(crate) fn subscribe(path: &Path, happening: Happening) -> Option<Self> {
        let hub = Hub::get()?;
        let copy = hub.inotify.as_fd().try_clone_to_owned().ok()?;
        let readable = readable(copy).ok()?;
        // One watch an inode: another subscriber's wishes must survive ours.
        let flags = happening.flags() | AddWatchFlags::from_bits_retain(libc::IN_MASK_ADD);
        let mut subscribers = hub.lock();
        let watch = hub.inotify.add_watch(path, flags).ok()?;
        let subscriber = Arc::new(Subscriber { watch, happening, woken: Notify::new() });
        subscribers.push(subscriber.clone());
        Some(Self { subscriber, readable })
    }

    /// Resolves when something happened since the last call, or might have. Safe to drop.
    pub(crate) async fn woken(&self) {
        loop {
            tokio::select! {
                biased;
                () = self.subscriber.woken.notified() => return,
                ready = self.readable.readable() => match (ready, Hub::get()) {
                    (Ok(mut ready), Some(hub)) => {
                        ready.clear_ready();
                        hub.wake_everybody();
                    }
                    // Without a descriptor to read nobody is woken; the caller's own pace decides.
                    (Ok(_) | Err(_), _) => std::future::pending::<()>().await,
                },
            }
        }
    }
}

impl Drop for FsWatch {
    fn drop(&mut self) {
        let Some(hub) = Hub::get() else { return };
        let mut subscribers = hub.lock();
        subscribers.retain(|other| !Arc::ptr_eq(other, &self.subscriber));
        if !subscribers.iter().any(|other| other.watch == self.subscriber.watch) {
            // It may be gone with its file already.
            let _ = hub.inotify.rm_watch(self.subscriber.watch);
            drop(subscribers);
            // That it is gone is an event too, for which the next one to wait would be woken.
            hub.wake_everybody();
        }
    }
}

impl Hub {
    fn get() -> Option<&'static Self> {
        static HUB: OnceLock<Option<Hub>> = OnceLock::new();
        let open = || {
            let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok()?;
            Some(Hub { inotify, subscribers: Mutex::default() })
        };
        HUB.get_or_init(open).as_ref()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Subscriber>>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what has happened. A queue that overflowed says nothing of what was lost, so it wakes everybody.
    fn wake_everybody(&self) {
        while let Ok(events) = self.inotify.read_events() {
            let may_be_more = events.len() >= FILL_A_READ;
            let subscribers = self.lock();
            for event in events {
                let lost = event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
                for subscriber in subscribers.iter() {
                    if lost || (subscriber.watch == event.wd && subscriber.happening.is_meant_by(&event)) {
                        subscriber.woken.notify_one();
                    }
                }
            }
            // What happens from now on makes the descriptor readable anew.
            if !may_be_more {
                return;
            }
        }
    }
}
