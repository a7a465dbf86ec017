//! Waits between two questions, longer each time, up to a bound; woken early where there are hints.

use crate::hints::{Happening, Hint};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The first wait.
const FIRST: Duration = Duration::from_micros(100);
/// The longest wait without hints, and so the most by which an answer can be late.
const LONGEST: Duration = Duration::from_millis(20);
/// The longest wait with hints, which only a lost one makes matter.
const LONGEST_WITH_HINTS: Duration = Duration::from_millis(50);
/// How often the question is repeated without waiting at all.
const YIELDS_MAX: u32 = 8;
/// From which wait on it is worth asking for hints.
const HINTS_FROM: Duration = Duration::from_millis(1);

/// A wait that grows.
#[derive(Debug)]
pub(crate) struct Backoff {
    place: Option<(PathBuf, Happening)>,
    hint: Option<Hint>,
    yields: u32,
    next: Duration,
}

impl Backoff {
    /// A wait for something to happen at `path`.
    pub(crate) fn at(path: &Path, happening: Happening) -> Self {
        Self { place: Some((path.to_owned(), happening)), hint: None, yields: 0, next: FIRST }
    }

    /// Waits, and makes the next wait longer. Safe to drop.
    pub(crate) async fn wait(&mut self) {
        if self.yields < YIELDS_MAX {
            self.yields += 1;
            return tokio::task::yield_now().await;
        }
        if self.next >= HINTS_FROM
            && let Some((path, happening)) = self.place.take()
        {
            self.hint = Hint::subscribe(&path, happening);
            // Whatever happened before the subscription is seen by asking once more, at once.
            return;
        }
        match &self.hint {
            Some(hint) => {
                if timeout(self.next, hint.woken()).await.is_ok() {
                    // A name appears before it answers, and a descriptor is closed before its lock goes: ask quickly.
                    (self.yields, self.next) = (0, FIRST);
                    return;
                }
                self.next = (self.next * 2).min(LONGEST_WITH_HINTS);
            }
            None => {
                sleep(self.next).await;
                self.next = (self.next * 2).min(LONGEST);
            }
        }
    }
}
