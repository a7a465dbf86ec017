//! Reaps children that nobody waits for, with one thread for all of them.

use crate::sys::linux::pidfd::reap;
use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

/// Hands a running child to the reaper's thread, which is started for the first of them.
pub(crate) fn leave_to_reaper(pidfd: OwnedFd) {
    static REAPER: OnceLock<Option<Arc<Reaper>>> = OnceLock::new();
    let reaper = REAPER.get_or_init(Reaper::start);
    // Without a thread the child stays a zombie until this process ends; nothing worse can come of it.
    if let Some(reaper) = reaper {
        reaper.take(pidfd);
    }
}

/// The children that are left to the thread, by their descriptors. The kernel watches them: neither to add one nor to be
/// told of one depends on how many there are.
struct Reaper {
    watch: OwnedFd,
    children: Mutex<HashMap<RawFd, OwnedFd>>,
}

impl Reaper {
    fn start() -> Option<Arc<Self>> {
        let watch = epoll::create(epoll::CreateFlags::CLOEXEC).ok()?;
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
        let key = epoll::EventData::new_u64(u64::from(pidfd.as_raw_fd().unsigned_abs()));
        // Held meanwhile: the thread may be told of it at once.
        let mut children = self.children();
        // What cannot be watched stays a zombie, as without a thread.
        if epoll::add(&self.watch, &pidfd, key, epoll::EventFlags::IN).is_ok() {
            children.insert(pidfd.as_raw_fd(), pidfd);
        }
    }

    fn reap_all(&self) {
        let mut ended = Vec::with_capacity(64);
        loop {
            ended.clear();
            let _ = epoll::wait(&self.watch, spare_capacity(&mut ended), None);
            for event in ended.drain(..) {
                let fd = RawFd::try_from(event.data.u64()).ok();
                let child = fd.and_then(|fd| self.children().remove(&fd));
                if let Some(child) = child {
                    let _ = epoll::delete(&self.watch, &child);
                    reap(&child);
                }
            }
        }
    }

    fn children(&self) -> MutexGuard<'_, HashMap<RawFd, OwnedFd>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
