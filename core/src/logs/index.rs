//! The index of a log: the bytes cut from the head, and the times of growth.
//!
//! A collapsed head moves every byte of the file. An *offset* therefore counts all bytes that the worker ever wrote to
//! this log, and a *position* counts the bytes of the present file: `offset = base + position`.
//!
//! # Invariants
//! 1. A stamp says that all bytes before its offset were written by its time; so a stamp that is dropped makes a time
//!    later, never wrong.
//! 2. At most [`STAMPS_MAX`] stamps, in strictly growing offsets and growing times.
//! 3. A cut is noted before it is made. If the process dies in between, the beginning of the file tells whether the cut
//!    was made.
//!
//! Checked by `gates/tests/logs.rs`.

use crate::prelude::*;
use serde::{Deserialize, Serialize};

/// The limit of stamps of one log.
pub const STAMPS_MAX: usize = 64;
/// Stamps closer than this, in milliseconds, are joined.
pub const STAMP_APART_MS: i64 = 1_000;

/// The version of the index. An index of another version is not read.
const VERSION: u32 = 1;

/// All bytes before `offset` were written by `time_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The number of bytes ever written.
    pub offset: u64,
    /// Milliseconds since the epoch.
    pub time_ms: i64,
}

/// A cut that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cutting {
    /// The position that becomes the beginning of the file.
    pub to: u64,
    /// The offset of the first whole line after the cut.
    pub line: u64,
    /// The beginning of the file after the cut.
    pub head: Head,
}

/// A fingerprint of the beginning of a file: an append changes nothing there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of bytes.
    pub len: u64,
    /// FNV-1a of the bytes.
    pub hash: u64,
}

impl Head {
    /// The fingerprint of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self { len: bytes.len() as u64, hash: bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold) }
    }
}

/// The index of one log: cuts, the first whole line, and stamps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogIndex {
    version: u32,
    /// The number of the log's inode: the index of another file says nothing.
    pub inode: u64,
    /// The number of bytes that were cut away and whose room is gone: the offset of the file's beginning.
    pub base: u64,
    /// The offset of the first whole line.
    pub line: u64,
    /// A cut that was begun, and may have been made.
    #[serde(default)]
    pub cutting: Option<Cutting>,
    stamps: Vec<Stamp>,
}

impl LogIndex {
    /// The index of a log that was never cut.
    pub fn new(inode: u64) -> Self {
        Self { version: VERSION, inode, base: 0, line: 0, cutting: None, stamps: Vec::new() }
    }

    /// The index, if it can be used for the file `inode`: of this version, and with stamps in order.
    #[must_use]
    pub fn valid_for(self, inode: u64) -> Option<Self> {
        let in_order =
            self.stamps.is_sorted_by(|one, other| one.offset < other.offset && one.time_ms <= other.time_ms);
        let fits = self.version == VERSION && self.inode == inode && self.stamps.len() <= STAMPS_MAX;
        (fits && in_order).then_some(self)
    }

    /// The stamps, oldest first.
    pub fn stamps(&self) -> &[Stamp] {
        &self.stamps
    }

    /// Notes that everything before `offset` was written by `time_ms`. Returns whether that is news.
    pub fn note(&mut self, offset: u64, time_ms: i64) -> bool {
        let last = self.stamps.last().copied();
        if last.map_or(0, |last| last.offset) >= offset {
            return false;
        }
        // A clock that was set back makes no stamp older than the one before.
        let time_ms = last.map_or(time_ms, |last| time_ms.max(last.time_ms));
        let before = self.stamps.len().checked_sub(2).and_then(|at| self.stamps.get(at));
        if before.is_some_and(|before| time_ms.saturating_sub(before.time_ms) < STAMP_APART_MS) {
            self.stamps.pop();
        }
        if self.stamps.len() == STAMPS_MAX {
            self.thin_out();
        }
        self.stamps.push(Stamp { offset, time_ms });
        true
    }

    /// Drops every second stamp of the older half: recent times stay exact.
    fn thin_out(&mut self) {
        let mut count = 0;
        self.stamps.retain(|_| {
            count += 1;
            count > STAMPS_MAX / 2 || count % 2 == 0
        });
    }

    /// The time by which everything before `offset` had been written; `None` if unknown.
    pub fn written_by(&self, offset: u64) -> Option<i64> {
        let at = self.stamps.partition_point(|stamp| stamp.offset < offset);
        self.stamps.get(at).map(|stamp| stamp.time_ms)
    }

    /// The offset before which everything was written before `time_ms`; 0 if nothing surely was.
    pub fn older_than(&self, time_ms: i64) -> u64 {
        let older = self.stamps.iter().take_while(|stamp| stamp.time_ms < time_ms);
        older.last().map_or(0, |stamp| stamp.offset)
    }

    /// Notes a cut before it is made.
    pub fn begin_cut(&mut self, cutting: Cutting) {
        self.cutting = Some(cutting);
    }

    /// Notes that the cut was made, by a collapse: every position became smaller.
    pub fn finish_cut(&mut self) {
        if let Some(cutting) = self.cutting.take() {
            self.base = self.base.saturating_add(cutting.to);
            self.start_at(cutting.line);
        }
    }

    /// Settles a cut whose process died. `head` gives the fingerprint of this many bytes at the beginning of the file.
    pub fn settle_cut(&mut self, head: impl FnOnce(u64) -> Option<Head>) {
        let Some(cutting) = self.cutting else { return };
        if head(cutting.head.len) == Some(cutting.head) {
            self.finish_cut();
        } else {
            self.cutting = None;
        }
    }

    /// Notes that the first whole line begins at `line`. Stamps of removed bytes say nothing any more.
    pub fn start_at(&mut self, line: u64) {
        self.line = self.line.max(line);
        let gone = self.stamps.partition_point(|stamp| stamp.offset <= self.line);
        self.stamps.drain(..gone);
    }
}
