//! Passing by a session's logs: notes how far each has grown, and cuts the head of a log that is over its bound.
//!
//! # Invariants
//! 1. Only a regular file of ours with a single name is cut, reached through the session's open directory, while its
//!    index is locked and both names lead to the opened files.
//! 2. The writer is neither signalled nor waited for: the kernel cuts between two appends. What would be written back
//!    during the cut is written back before.
//! 3. A log is never copied, truncated or renamed here: a log that cannot be cut grows, and `doctor` says so.
//! 4. The cut is decided by [`Extent::cut`].
//!
//! Checked by `smoke/tests/smoke/logs/cut.rs`.

use super::index_file::IndexFile;
use super::names::{self, LogRun};
use crate::store::directory::Directory;
use crate::sys::linux::failure::{During, Errno};
use crate::sys::linux::fs::flock::LockKind;
use crate::sys::linux::fs::holes::{block_size, collapse_head, first_data, punch_head};
use crate::sys::linux::fs::{FileStatus, fstat};
use rekindle_core::OsFailure;
use rekindle_core::logs::index::{Cutting, Head};
use rekindle_core::logs::{Extent, LogIndex, LogMax, LogStream};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// How many bytes identify the beginning of a file.
const HEAD_LEN: u64 = 512;
/// How far a cut looks for the end of a line, in bytes. A longer line is cut within.
const LINE_LEN_MAX: u64 = 1 << 20;
/// The size of one read.
const CHUNK_LEN: usize = 64 << 10;

/// What a pass did with one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passed {
    /// Nothing had to be cut.
    Fits,
    /// The head was cut away: this many bytes.
    Cut {
        /// The number of bytes whose room is free now.
        freed: u64,
    },
    /// Another process reads or cuts this log now, or a start renames it.
    Busy,
    /// The log is over its bound, and this file system cannot cut it.
    Stays {
        /// The number of bytes that the log holds.
        held: u64,
        /// Why nothing was cut.
        why: OsFailure,
    },
}

/// Passes by one log.
///
/// # Errors
/// If the log or its index cannot be opened or inspected.
pub fn pass_by(dir: &Directory, stream: LogStream, run: LogRun, max: LogMax) -> Result<Passed, OsFailure> {
    let (log, index) = names::of(stream, run);
    // A look by name costs one call: most logs did not change since the last pass.
    let Some(seen) = dir.inspect(log)? else { return Ok(Passed::Fits) };
    let may_be_over = max.bytes().is_some_and(|max| seen.len > max);
    if !may_be_over && !has_news(&seen, dir.inspect(index)?) {
        return Ok(Passed::Fits);
    }
    let Some((file, stat)) = dir.open_own(log)? else { return Ok(Passed::Fits) };
    let is_over = may_be_over && Extent { start: first_data(&file, &stat), len: stat.len }.is_over(max);
    if is_over {
        // The kernel writes back what a collapse moves, and lets no append through meanwhile. So most is done before: the
        // second time only what was written during the first.
        let _ = file.sync_data().and_then(|()| file.sync_data());
    }
    let Some(index) = open_index(dir, index, &stat, is_over)? else { return Ok(Passed::Fits) };
    if !index.try_lock(LockKind::Exclusive)? {
        return Ok(Passed::Busy);
    }
    if !index.is_in_place(dir) || !dir.is_named(log, stat.inode) {
        return Ok(Passed::Busy);
    }
    let passed = Passing { file: &file, index: &index, path: dir.path_of(log) }.run(max);
    index.unlock();
    passed
}

/// Passes by all logs of a session, and returns what is not as it should be.
pub fn pass_by_all(dir: &Directory, max: LogMax) -> Vec<(LogStream, LogRun, Result<Passed, OsFailure>)> {
    let all = [LogRun::Current, LogRun::Previous].into_iter();
    let all = all.flat_map(|run| LogStream::ALL.map(|stream| (stream, run)));
    all.map(|(stream, run)| {
        let passed = pass_by(dir, stream, run, max);
        tracing::debug!(stream = stream.word(), ?run, ?passed, "passed by a log");
        (stream, run, passed)
    })
    .collect()
}

/// Whether a log was written since its index.
fn has_news(log: &FileStatus, index: Option<FileStatus>) -> bool {
    let time = |stat: &FileStatus| (stat.modified_at, stat.modified_ns);
    log.len > 0 && index.is_some_and(|index| time(log) >= time(&index))
}

/// The index of a log. A missing one is made only for a cut: the file would be in the way of a collection.
fn open_index(
    dir: &Directory,
    name: &'static str,
    log: &FileStatus,
    is_over: bool,
) -> Result<Option<IndexFile>, OsFailure> {
    match IndexFile::open(dir, name)? {
        Some(index) => Ok(Some(index)),
        None if is_over => IndexFile::create(dir, name, &LogIndex::new(log.inode.number())).map(Some),
        None => Ok(None),
    }
}

/// A pass by one log, under the lock.
struct Passing<'p> {
    file: &'p File,
    index: &'p IndexFile,
    path: std::path::PathBuf,
}

impl Passing<'_> {
    fn run(&self, max: LogMax) -> Result<Passed, OsFailure> {
        let stat = fstat(self.file).during("inspect", &self.path)?;
        let known = self.index.read(stat.inode);
        let mut index = known.clone().unwrap_or_else(|| LogIndex::new(stat.inode.number()));
        index.settle_cut(|len| self.head(0, len));
        index.note(index.base.saturating_add(stat.len), modified_ms(&stat));
        let extent = Extent { start: first_data(self.file, &stat), len: stat.len };
        let block = block_size(self.file).during("inspect the file system of", &self.path)?;
        let passed = match extent.cut(max, block) {
            Some(to) => self.cut(&mut index, extent, to),
            None => Passed::Fits,
        };
        if known.as_ref() != Some(&index) {
            self.write(&index);
        }
        Ok(passed)
    }

    /// Cuts at `to`: by a collapse, else by a hole.
    fn cut(&self, index: &mut LogIndex, extent: Extent, to: u64) -> Passed {
        let freed = to.saturating_sub(extent.start);
        let line = index.base.saturating_add(self.line_after(to, extent.len));
        let head = self.head(to, HEAD_LEN.min(extent.len.saturating_sub(to)));
        let noted = head.is_some_and(|head| {
            index.begin_cut(Cutting { to, line, head });
            self.write(index)
        });
        // Without the note nobody could tell later how far the bytes have moved.
        let collapsed = if noted { collapse_head(self.file, to) } else { Err(Errno::EOPNOTSUPP) };
        if collapsed.is_ok() {
            index.finish_cut();
            return Passed::Cut { freed };
        }
        index.cutting = None;
        match punch_head(self.file, to) {
            Ok(()) => {
                index.start_at(line);
                Passed::Cut { freed }
            }
            Err(error) => Passed::Stays {
                held: extent.held(),
                why: Err::<(), _>(error).during("cut the head of", &self.path).expect_err("it is an error"),
            },
        }
    }

    /// The position of the first line that begins at `to` or later. A line longer than [`LINE_LEN_MAX`] is given up:
    /// then `to` itself.
    fn line_after(&self, to: u64, len: u64) -> u64 {
        // The newline before tells that a line begins right at the cut.
        let (mut at, end) = (to.saturating_sub(1), to.saturating_add(LINE_LEN_MAX).min(len));
        let mut buffer = vec![0; CHUNK_LEN];
        while at < end {
            let read = self.file.read_at(&mut buffer, at).unwrap_or(0);
            let bytes = buffer.get(..read).unwrap_or_default();
            if let Some(newline) = bytes.iter().position(|byte| *byte == b'\n') {
                return at.saturating_add(newline as u64).saturating_add(1);
            }
            if read == 0 {
                break;
            }
            at = at.saturating_add(read as u64);
        }
        to
    }

    fn head(&self, at: u64, len: u64) -> Option<Head> {
        let mut bytes = vec![0; usize::try_from(len.min(HEAD_LEN)).ok()?];
        self.file.read_exact_at(&mut bytes, at).ok()?;
        Some(Head::of(&bytes))
    }

    /// Whether the index was written. Without an index no times are known, and a log is cut by holes alone.
    fn write(&self, index: &LogIndex) -> bool {
        let written = self.index.write(index);
        if let Err(error) = &written {
            tracing::info!(%error, "the index of a log was not written");
        }
        written.is_ok()
    }
}

/// The time of a file's last write, in milliseconds since the epoch, rounded up.
pub(super) fn modified_ms(stat: &FileStatus) -> i64 {
    stat.modified_at
        .saturating_mul(1_000)
        .saturating_add(stat.modified_ns.saturating_add(999_999) / 1_000_000)
}
