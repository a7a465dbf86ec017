//! Watches files by inotify and wakes waiters. An event is no answer: a woken waiter polls again, and without events
//! waiters poll from time to time.
//!
//! One inotify descriptor serves the whole process, since closing one makes the kernel wait for milliseconds. The
//! descriptor is opened at the first longer wait. Without a descriptor no waiter is woken early, and nothing else
//! changes.
//!
//! # Invariants
//! 1. Subscribe first, then poll: an event in between is a stored wake-up, not a lost one.
//! 2. The reader of the descriptor wakes every concerned waiter, so any number of runtimes may share the descriptor.
//!
//! Checked by `smoke/tests/smoke/probe/hints.rs`.

use crate::sys::linux::poll::readable;
use nix::libc;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

/// The awaited event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    /// A name appears in a directory.
    NameAppears,
    /// A descriptor of a directory is closed, or a name in the directory is removed or replaced.
    DirectoryChanges,
    /// A descriptor of a file is closed.
    FileCloses,
    /// A file of a directory is written.
    FileGrows,
    /// A log of a directory is written, or a name in the directory appears or goes, or the directory itself.
    LogChanges,
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
            Self::FileGrows => AddWatchFlags::IN_MODIFY,
            Self::LogChanges => {
                AddWatchFlags::IN_MODIFY
                    | AddWatchFlags::IN_CREATE
                    | AddWatchFlags::IN_DELETE
                    | AddWatchFlags::IN_MOVED_TO
                    | AddWatchFlags::IN_DELETE_SELF
                    | AddWatchFlags::IN_MOVE_SELF
            }
        }
    }

    /// Readers open and close files of a directory all the time; only a close of the directory itself matters.
    fn is_meant_by(self, event: &InotifyEvent) -> bool {
        let is_growth = event.mask.contains(AddWatchFlags::IN_MODIFY);
        match self {
            Self::NameAppears | Self::FileCloses => !is_growth,
            Self::DirectoryChanges if is_growth => false,
            Self::DirectoryChanges => {
                event.name.is_none() || !event.mask.contains(AddWatchFlags::IN_CLOSE_NOWRITE)
            }
            Self::FileGrows => is_growth,
            // A look opens and closes the directory, and writes the index of a log.
            Self::LogChanges if is_growth => {
                event.name.as_deref().is_some_and(|name| name.as_bytes().ends_with(b".log"))
            }
            Self::LogChanges => !event.mask.contains(AddWatchFlags::IN_CLOSE_NOWRITE),
        }
    }
}

/// This many events can fill one read of 4096 bytes: an event takes 16 bytes and the length of a name. A read with fewer
/// events has met the end of the queue.
const FILL_A_READ: usize = 4096 / (16 + 256);

/// A subscription, ended on drop.
#[derive(Debug)]
pub(crate) struct FsWatch {
    subscriber: Arc<Subscriber>,
    /// Registered with the waiting runtime; a copy, so closing the copy does not close the original.
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
    /// Watches `path`; `None` without inotify.
    pub(crate) fn subscribe(path: &Path, happening: Happening) -> Option<Self> {
        let hub = Hub::get()?;
        let copy = hub.inotify.as_fd().try_clone_to_owned().ok()?;
        let readable = readable(copy).ok()?;
        // One watch serves all subscribers of an inode: their flags must be kept.
        let flags = happening.flags() | AddWatchFlags::from_bits_retain(libc::IN_MASK_ADD);
        let mut subscribers = hub.lock();
        let watch = hub.inotify.add_watch(path, flags).ok()?;
        let subscriber = Arc::new(Subscriber { watch, happening, woken: Notify::new() });
        subscribers.push(subscriber.clone());
        Some(Self { subscriber, readable })
    }

    /// Resolves when an event happened since the last call, or might have. Safe to drop.
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
                    // Without a readable descriptor there is no wake-up; the caller's polling decides.
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
            // The watch may be gone together with the file.
            let _ = hub.inotify.rm_watch(self.subscriber.watch);
            drop(subscribers);
            // The removal is an event too; left unread, the event would wake the next waiter.
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

    /// Reads all events and wakes the concerned waiters. After a queue overflow the lost events are unknown, so every
    /// waiter is woken.
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
            // A later event makes the descriptor readable again.
            if !may_be_more {
                return;
            }
        }
    }
}
