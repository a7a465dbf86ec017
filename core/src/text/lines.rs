//! Cuts a stream of bytes into lines and keeps the last of them, in a space that is known beforehand.
//!
//! # Invariants
//! 1. How the stream was cut into pieces changes nothing.
//! 2. Bounded: no more than [`LineLimits::lines_max`] lines are kept, none with more than [`LineLimits::line_len_max`]
//!    bytes, whatever a child writes; what does not fit is counted.
//!
//! Checked by `gates/tests/lines.rs`.

use crate::prelude::*;
use alloc::collections::VecDeque;

/// How much of a stream is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineLimits {
    /// The bytes of one line; 4096 by default. What follows them is dropped.
    pub line_len_max: usize,
    /// The lines; 100 by default. The oldest go first.
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
    /// No lines yet.
    pub fn new(limits: LineLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes the next bytes of the stream, and hands each line that they complete to `each`, without its newline.
    ///
    /// What is no UTF-8 becomes U+FFFD. A line that was too long ends by saying how much of it is missing.
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

    /// The stream has ended: what has no newline is a line too.
    pub fn finish(&mut self, each: &mut dyn FnMut(&str)) {
        if !self.current.is_empty() || self.current_dropped > 0 {
            self.complete(each);
        }
    }

    /// The lines that are kept, the oldest first.
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
