//! Waits between two polls, with exponential back-off up to a bound. Polling decides; inotify only wakes the waiter early.
//!
//! The watch begins with the first wait: most waits after it end with an event, and a poll in between costs more than the
//! watch does.

use crate::sys::linux::fs::watch::{FsWatch, Happening};
use crate::sys::linux::short_sleep::ShortSleep;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The first wait: longer than a running worker needs from `bind` to `listen`.
const FIRST: Duration = Duration::from_micros(50);
/// The longest wait without a watch, and so the greatest delay of an answer.
const LONGEST: Duration = Duration::from_millis(20);
/// The longest wait with a watch; used only if an event was lost.
const LONGEST_WATCHED: Duration = Duration::from_millis(50);
/// The wait for a missing name: the creation is an event, so only a lost event lets the wait run out.
const UNTIL_TOLD: Duration = Duration::from_millis(250);
/// How often to repeat the question without any wait. Only a few times: a worker has its own process session, and if
/// the kernel schedules by sessions, a yield does not give the processor to the worker.
const YIELDS_MAX: u32 = 3;

/// A growing wait.
#[derive(Debug)]
pub struct Backoff {
    place: Option<(PathBuf, Happening)>,
    watch: Option<FsWatch>,
    yields: u32,
    next: Duration,
    pause: ShortSleep,
}

impl Backoff {
    /// A wait for a name to appear in `dir`.
    pub fn for_name_in(dir: &Path) -> Self {
        Self::at(dir, Happening::NameAppears)
    }

    /// A wait for something that no event reports.
    pub fn blind() -> Self {
        Self { place: None, watch: None, yields: 0, next: FIRST, pause: ShortSleep::default() }
    }

    /// A wait for something to happen at `path`.
    pub(crate) fn at(path: &Path, happening: Happening) -> Self {
        Self { place: Some((path.to_owned(), happening)), ..Self::blind() }
    }

    /// Waits, and makes the next wait longer. Safe to drop.
    pub async fn wait(&mut self) {
        if self.subscribes() {
            return;
        }
        if self.yields < YIELDS_MAX {
            self.yields += 1;
            // The answering process may be waiting for this processor.
            std::thread::yield_now();
            return tokio::task::yield_now().await;
        }
        let length = self.next;
        let longest = if self.watch.is_some() { LONGEST_WATCHED } else { LONGEST };
        self.next = (self.next * 2).min(longest);
        self.wait_for(length).await;
    }

    /// Waits while only an event can change the answer; without a watch like [`Self::wait`]. Safe to drop.
    pub(crate) async fn wait_until_told(&mut self) {
        if self.subscribes() {
            return;
        }
        match self.watch {
            Some(_) => self.wait_for(UNTIL_TOLD).await,
            None => self.wait().await,
        }
    }

    /// Waits for something of which an event tells: polls with growing pauses at first, and from then on sleeps until the
    /// next event. Without a watch like [`Self::wait`]. Safe to drop.
    pub(crate) async fn wait_for_event(&mut self) {
        if self.subscribes() {
            return;
        }
        match &self.watch {
            Some(watch) if self.next >= LONGEST_WATCHED => {
                watch.woken().await;
                // A descriptor closes before its lock goes: poll quickly.
                (self.yields, self.next) = (0, FIRST);
            }
            Some(_) | None => self.wait().await,
        }
    }

    /// Ends the watch when the runtime is idle: unsubscribing takes the kernel longer than one more look, and the
    /// waiter already has its answer.
    pub(crate) fn end_later(self) {
        if self.watch.is_some() {
            tokio::spawn(async move { drop(self) });
        }
    }

    /// Begins the watch, once. The caller then polls at once, since earlier changes give no event.
    fn subscribes(&mut self) -> bool {
        let Some((path, happening)) = self.place.take() else { return false };
        self.watch = FsWatch::subscribe(&path, happening);
        true
    }

    async fn wait_for(&mut self, length: Duration) {
        let Some(watch) = &self.watch else { return self.pause.wait(length).await };
        let woken = tokio::select! {
            biased;
            () = watch.woken() => true,
            () = self.pause.wait(length) => false,
        };
        if woken {
            // A name appears before the process answers, and a descriptor closes before its lock goes: poll quickly.
            (self.yields, self.next) = (0, FIRST);
        }
    }
}
