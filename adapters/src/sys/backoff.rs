//! Waits between two questions, longer each time, up to a bound; woken early where there are hints.
//!
//! The hint is asked for with the first wait: from then on most waits end with an event, and a question that is asked in
//! between costs more than the subscription does.

use crate::sys::linux::fs::watch::{Happening, Hint};
use crate::sys::linux::short_sleep::Blink;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The first wait: longer than a worker that runs needs from `bind` to `listen`.
const FIRST: Duration = Duration::from_micros(50);
/// The longest wait without hints, and so the most by which an answer can be late.
const LONGEST: Duration = Duration::from_millis(20);
/// The longest wait with hints, which only a lost one makes matter.
const LONGEST_WITH_HINTS: Duration = Duration::from_millis(50);
/// The wait where nothing is to be seen yet and the first thing to be seen will be told: only a lost hint makes it end.
const UNTIL_TOLD: Duration = Duration::from_millis(250);
/// How often the question is repeated without waiting at all. Not often: a worker is a session of its own, and where the
/// kernel schedules by sessions, to yield does not give it the processor.
const YIELDS_MAX: u32 = 3;

/// A wait that grows.
#[derive(Debug)]
pub struct Backoff {
    place: Option<(PathBuf, Happening)>,
    hint: Option<Hint>,
    yields: u32,
    next: Duration,
    blink: Blink,
}

impl Backoff {
    /// A wait for a name to appear in `dir`.
    pub fn for_name_in(dir: &Path) -> Self {
        Self::at(dir, Happening::NameAppears)
    }

    /// A wait for something to happen at `path`.
    pub(crate) fn at(path: &Path, happening: Happening) -> Self {
        Self {
            place: Some((path.to_owned(), happening)),
            hint: None,
            yields: 0,
            next: FIRST,
            blink: Blink::default(),
        }
    }

    /// Waits, and makes the next wait longer. Safe to drop.
    pub async fn wait(&mut self) {
        if self.subscribes() {
            return;
        }
        if self.yields < YIELDS_MAX {
            self.yields += 1;
            // Whoever is about to answer may be waiting for this very processor.
            std::thread::yield_now();
            return tokio::task::yield_now().await;
        }
        let length = self.next;
        let longest = if self.hint.is_some() { LONGEST_WITH_HINTS } else { LONGEST };
        self.next = (self.next * 2).min(longest);
        self.wait_for(length).await;
    }

    /// Waits where the answer cannot change before a hint tells of it; without hints like [`Self::wait`]. Safe to drop.
    pub(crate) async fn wait_until_told(&mut self) {
        if self.subscribes() {
            return;
        }
        match self.hint {
            Some(_) => self.wait_for(UNTIL_TOLD).await,
            None => self.wait().await,
        }
    }

    /// Ends the wait when the runtime has nothing better to do: to end a subscription takes the kernel longer than to look
    /// once more, and whoever waited has what it waited for.
    pub(crate) fn end_later(self) {
        if self.hint.is_some() {
            tokio::spawn(async move { drop(self) });
        }
    }

    /// Asks for hints, once. Whatever happened before the subscription is seen by asking once more, at once.
    fn subscribes(&mut self) -> bool {
        let Some((path, happening)) = self.place.take() else { return false };
        self.hint = Hint::subscribe(&path, happening);
        true
    }

    async fn wait_for(&mut self, length: Duration) {
        let Some(hint) = &self.hint else { return self.blink.wait(length).await };
        let woken = tokio::select! {
            biased;
            () = hint.woken() => true,
            () = self.blink.wait(length) => false,
        };
        if woken {
            // A name appears before it answers, and a descriptor is closed before its lock goes: ask quickly.
            (self.yields, self.next) = (0, FIRST);
        }
    }
}
