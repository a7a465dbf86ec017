//! Waits between two questions, longer each time, up to a bound.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_micros(200);
/// The longest wait, and so the most by which an answer can be late.
const LONGEST: Duration = Duration::from_millis(20);
/// How often the question is repeated without waiting at all.
const YIELDS_MAX: u32 = 8;

/// A wait that grows.
#[derive(Debug)]
pub(crate) struct Backoff {
    yields: u32,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { yields: 0, next: FIRST }
    }

    /// Waits, and makes the next wait longer. Safe to drop.
    pub(crate) async fn wait(&mut self) {
        if self.yields < YIELDS_MAX {
            self.yields += 1;
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(self.next).await;
            self.next = (self.next * 2).min(LONGEST);
        }
    }
}
