//! Decides how much of a log's head is cut away.
//!
//! # Invariants
//! 1. A log is cut once it holds more than its bound, and not before.
//! 2. A cut begins and ends at a block, never reaches the end of the file, and keeps three quarters of the bound.
//! 3. A cut log is not cut again before it has grown over its bound again.
//!
//! Checked by `gates/tests/logs.rs`.

use super::LogMax;

/// The part of a file that holds data, in bytes from the beginning of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The first byte that holds data: greater than 0 if the head was replaced by a hole.
    pub start: u64,
    /// The length of the file.
    pub len: u64,
}

impl Extent {
    /// The number of bytes from the first data to the end.
    pub const fn held(self) -> u64 {
        self.len.saturating_sub(self.start)
    }

    /// Whether the log holds more than its bound.
    pub fn is_over(self, max: LogMax) -> bool {
        max.bytes().is_some_and(|max| self.held() > max)
    }

    /// The position before which everything goes, a multiple of `block`; `None` if nothing goes.
    ///
    /// More than the surplus goes, so that a writer that never pauses does not cause a cut for each line.
    pub fn cut(self, max: LogMax, block: u64) -> Option<u64> {
        let max = max.bytes().filter(|max| self.held() > *max)?;
        let kept = (max - max / 4).max(1);
        let to = self.len.saturating_sub(kept);
        let to = to - to.checked_rem(block)?;
        (to > self.start).then_some(to)
    }
}
