//! Divides a stream of bytes into lines and keeps the last lines, in bounded space.
//!
//! # Invariants
//! 1. The division of the stream into chunks changes nothing.
//! 2. Bounded: at most [`LineLimits::lines_max`] lines are kept, each with at most [`LineLimits::line_len_max`] bytes,
//!    whatever a child writes. Excess bytes are counted.
//!
//! Checked by `gates/tests/lines.rs`.

use crate::prelude::*;
use alloc::collections::VecDeque;

/// The kept part of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineLimits {
    /// The bytes of a line; 4096 by default. Further bytes are dropped.
    pub line_len_max: usize,
    /// The number of lines; 100 by default. The oldest lines go first.
    pub lines_max: usize,
}

impl Default for LineLimits {
    fn default() -> Self {
        Self { line_len_max: 4096, lines_max: 100 }
    }
}

/// The last lines of a stream.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    limits: LineLimits,
    kept: VecDeque<String>,
    current: Vec<u8>,
    current_dropped: u64,
}

impl Lines {
    /// No lines.
    pub fn new(limits: LineLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes the next bytes of the stream, and calls `each` with each completed line, without the newline.
    ///
    /// Non-UTF-8 bytes become U+FFFD. A cut line ends with the number of missing bytes.
    ///
    /// ```
    /// use rekindle_core::lines::{LineLimits, Lines};
    ///
    /// let mut lines = Lines::new(LineLimits { line_len_max: 5, lines_max: 2 });
    /// lines.push(b"a\nlonger th", &mut |_| {});
    /// lines.push(b"an that\nc", &mut |_| {});
    /// lines.finish(&mut |_| {});
    /// assert!(lines.kept().eq(["longe [11 more bytes]", "c"]));
    /// ```
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(&str)) {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(at);
            self.extend(line);
            self.complete(each);
            rest = after.get(1..).unwrap_or_default();
        }
        self.extend(rest);
    }

    /// Ends the stream: a last line without a newline is a line too.
    pub fn finish(&mut self, each: &mut dyn FnMut(&str)) {
        if !self.current.is_empty() || self.current_dropped > 0 {
            self.complete(each);
        }
    }

    /// The kept lines, the oldest first.
    pub fn kept(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().map(String::as_str)
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = self.limits.line_len_max.saturating_sub(self.current.len());
        let (fits, rest) = bytes.split_at(room.min(bytes.len()));
        self.current.extend_from_slice(fits);
        self.current_dropped = self.current_dropped.saturating_add(rest.len() as u64);
    }

    fn complete(&mut self, each: &mut dyn FnMut(&str)) {
        let mut line = String::from_utf8_lossy(&self.current).into_owned();
        if self.current_dropped > 0 {
            line.push_str(&format!(" [{} more bytes]", self.current_dropped));
        }
        self.current.clear();
        self.current_dropped = 0;
        each(&line);
        self.kept.push_back(line);
        while self.kept.len() > self.limits.lines_max {
            self.kept.pop_front();
        }
    }
}
