//! Reads the lines of one log while its worker writes, and while other processes cut its head.
//!
//! # Invariants
//! 1. A read and the index it is judged by belong together: both happen under the shared lock of the index, which keeps
//!    cutters out. The lock is held for one read, never while the caller shows lines.
//! 2. A line is given whole and once: an unfinished line waits for its newline, or for [`LogReader::unfinished`].
//! 3. Bounded: a line longer than [`PIECE_LEN_MAX`] comes in pieces.
//! 4. What was cut away before it was read is counted, and reading goes on at a whole line.
//!
//! Checked by `smoke/tests/smoke/logs/*.rs`.

use super::index_file::IndexFile;
use super::names::{self, LogRun};
use super::pass::modified_ms;
use crate::store::directory::Directory;
use crate::sys::linux::failure::{During, Errno};
use crate::sys::linux::fs::flock::LockKind;
use crate::sys::linux::fs::holes::first_data;
use crate::sys::linux::fs::{FileStatus, Inode, fstat};
use jiff::Timestamp;
use rekindle_core::OsFailure;
use rekindle_core::logs::{LogIndex, LogStream};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// The longest piece of a line, in bytes.
pub const PIECE_LEN_MAX: usize = 1 << 20;
/// The size of one read.
const CHUNK_LEN: usize = 256 << 10;
/// How often to ask for the lock that a cutter holds, and the pause in between. A cut takes milliseconds; a cutter that
/// was stopped in the middle must not stop the readers.
const LOCK_TRIES_MAX: u32 = 500;
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// Where reading begins. Each part leaves out more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Beginning {
    /// Only this many lines before the end; `None` means all.
    pub lines: Option<usize>,
    /// Only lines that may have been written at this time or later.
    pub since: Option<Timestamp>,
}

/// The end of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceEnd {
    /// The newline of its line.
    Newline,
    /// The next piece continues the line.
    Continued,
    /// The log ends here, without a newline.
    Unfinished,
}

/// A line of a log, or a piece of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The bytes, without the newline.
    pub bytes: Vec<u8>,
    /// How the piece ends.
    pub end: PieceEnd,
    /// The time by which the line had been written, if known.
    pub written_by: Option<Timestamp>,
}

/// One log, read up to an offset.
#[derive(Debug)]
pub struct LogReader {
    file: File,
    inode: Inode,
    path: PathBuf,
    index_file: Option<IndexFile>,
    index: LogIndex,
    /// Whether the last look found a valid index.
    is_indexed: bool,
    /// The offset of the first byte that was not read.
    next: u64,
    /// Bytes that were read, from `taken` on not yet given.
    buffer: Vec<u8>,
    taken: usize,
    /// No newline stands in the buffer before this place.
    searched: usize,
    /// The length and the last write at the time of the last read.
    end: u64,
    modified_ms: i64,
    lost: u64,
    /// The offset at which reading ends for now: a writer that never pauses must not keep a reader for ever.
    upto: u64,
}

impl LogReader {
    /// Opens a log of a session at its beginning; `None` if there is none that we can read.
    ///
    /// # Errors
    /// If the log cannot be opened or read.
    pub fn open(
        dir: &Directory,
        stream: LogStream,
        run: LogRun,
        beginning: Beginning,
    ) -> Result<Option<Self>, OsFailure> {
        let (log, index) = names::of(stream, run);
        let path = dir.path_of(log);
        let file = match dir.open_file(log) {
            Ok(fd) => File::from(fd),
            Err(Errno::ENOENT) => return Ok(None),
            Err(error) => return Err(error).during("open", &path),
        };
        let stat = fstat(&file).during("inspect", &path)?;
        if !stat.is_file() {
            return Err(OsFailure::new("read", "it is no regular file").on(path));
        }
        // Without an index no lock is needed: nobody cuts a log without its index.
        let index_file = IndexFile::open(dir, index).ok().flatten();
        let inode = stat.inode;
        let mut reader = Self {
            file,
            inode,
            path,
            index_file,
            index: LogIndex::new(inode.number()),
            is_indexed: false,
            next: 0,
            buffer: Vec::new(),
            taken: 0,
            searched: 0,
            end: 0,
            modified_ms: 0,
            lost: 0,
            upto: 0,
        };
        reader.locked(|reader| reader.begin(beginning))?;
        (reader.lost, reader.upto) = (0, reader.end);
        Ok(Some(reader))
    }

    /// Whether this is the log that the name leads to now.
    pub fn is_at(&self, dir: &Directory, stream: LogStream, run: LogRun) -> bool {
        dir.is_named(names::of(stream, run).0, self.inode)
    }

    /// The next line, or piece of a line; `None` at the present end.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn next_piece(&mut self) -> Result<Option<Piece>, OsFailure> {
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(at) = unsearched.iter().position(|byte| *byte == b'\n') {
                return Ok(Some(self.take(self.searched + at, PieceEnd::Newline)));
            }
            self.searched = self.buffer.len();
            if self.searched - self.taken >= PIECE_LEN_MAX {
                return Ok(Some(self.take(self.searched, PieceEnd::Continued)));
            }
            if self.locked(Self::read_on)? == 0 {
                return Ok(None);
            }
        }
    }

    /// Lets reading go on to the end that the log has now.
    ///
    /// # Errors
    /// If the log cannot be inspected.
    pub fn go_on(&mut self) -> Result<(), OsFailure> {
        self.locked(|reader| {
            reader.stat()?;
            reader.upto = reader.end;
            Ok(())
        })
    }

    /// The line without a newline at the end, if there is one. For the end of a log; or the line would come twice.
    pub fn unfinished(&mut self) -> Option<Piece> {
        (self.taken < self.buffer.len()).then(|| self.take(self.buffer.len(), PieceEnd::Unfinished))
    }

    /// The number of bytes that were cut away before they were read, since the last call.
    pub fn lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Gives the bytes up to `upto`, and passes over the newline, if any.
    fn take(&mut self, upto: usize, end: PieceEnd) -> Piece {
        let bytes = self.buffer.get(self.taken..upto).unwrap_or_default().to_vec();
        self.taken = upto + usize::from(end == PieceEnd::Newline);
        self.searched = self.taken;
        let behind = self.buffer.len().saturating_sub(self.taken) as u64;
        let written_by = self.written_by(self.next.saturating_sub(behind));
        Piece { bytes, end, written_by }
    }

    /// The time by which everything before `offset` was written: of the index, or of the last write.
    fn written_by(&self, offset: u64) -> Option<Timestamp> {
        let at = self.index.written_by(offset).or(self.is_indexed.then_some(self.modified_ms));
        Timestamp::from_millisecond(at?).ok()
    }

    /// Calls `read` while no process cuts the log, with the index of this moment.
    fn locked<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, OsFailure>) -> Result<T, OsFailure> {
        let mut tries = 0;
        let is_locked = loop {
            let Some(file) = &self.index_file else { break false };
            if file.try_lock(LockKind::Shared)? {
                break true;
            }
            tries += 1;
            if tries == LOCK_TRIES_MAX {
                break false;
            }
            thread::sleep(LOCK_PAUSE);
        };
        self.read_index();
        let done = read(self);
        if let Some(file) = self.index_file.as_ref().filter(|_| is_locked) {
            file.unlock();
        }
        done
    }

    /// Reads the index again. Without a valid one the last known stays: the bytes did not move by themselves.
    fn read_index(&mut self) {
        let read = self.index_file.as_ref().and_then(|file| file.read(self.inode));
        self.is_indexed = read.is_some();
        let Some(mut index) = read else { return };
        index.settle_cut(|len| {
            let mut bytes = vec![0; usize::try_from(len).ok()?];
            self.file.read_exact_at(&mut bytes, 0).ok()?;
            Some(rekindle_core::logs::index::Head::of(&bytes))
        });
        if index.base < self.index.base {
            // The index was lost and begun anew: offsets count from another beginning.
            let again = |offset: u64| index.base.saturating_add(offset.saturating_sub(self.index.base));
            (self.next, self.upto) = (again(self.next), again(self.upto));
        }
        self.index = index;
    }

    fn stat(&mut self) -> Result<FileStatus, OsFailure> {
        let stat = fstat(&self.file).during("inspect", &self.path)?;
        self.end = self.index.base.saturating_add(stat.len);
        self.modified_ms = modified_ms(&stat);
        Ok(stat)
    }

    /// Chooses the first byte to read.
    fn begin(&mut self, beginning: Beginning) -> Result<(), OsFailure> {
        let stat = self.stat()?;
        self.next = self.first_line(&stat)?;
        if let Some(since) = beginning.since {
            let since = since.as_millisecond();
            let older = if self.modified_ms < since { self.end } else { self.index.older_than(since) };
            self.next = self.next.max(older);
        }
        if let Some(lines) = beginning.lines {
            self.next = self.next.max(self.last_lines(lines, self.next)?);
        }
        Ok(())
    }

    /// The offset of the first whole line.
    fn first_line(&self, stat: &FileStatus) -> Result<u64, OsFailure> {
        let data = self.index.base.saturating_add(first_data(&self.file, stat));
        if self.index.line >= data {
            return Ok(self.index.line.min(self.end));
        }
        if data == self.index.base {
            return Ok(data);
        }
        // A hole that the index does not know: a line ends somewhere behind it.
        let mut at = data;
        let mut buffer = vec![0; CHUNK_LEN];
        while at < data.saturating_add(PIECE_LEN_MAX as u64) {
            let len = self.read_at(&mut buffer, at)?;
            let bytes = buffer.get(..len).unwrap_or_default();
            if let Some(newline) = bytes.iter().position(|byte| *byte == b'\n') {
                return Ok(at.saturating_add(newline as u64).saturating_add(1));
            }
            if len == 0 {
                break;
            }
            at = at.saturating_add(len as u64);
        }
        Ok(data)
    }

    /// The offset of the first of the last `lines` lines, but not before `first`. Reads from the end backwards.
    fn last_lines(&self, lines: usize, first: u64) -> Result<u64, OsFailure> {
        if lines == 0 {
            return Ok(self.end);
        }
        let mut buffer = vec![0; CHUNK_LEN];
        let (mut upto, mut newlines) = (self.end, 0);
        while upto > first {
            let from = upto.saturating_sub(CHUNK_LEN as u64).max(first);
            let len = usize::try_from(upto - from).unwrap_or(CHUNK_LEN);
            let chunk = buffer.get_mut(..len).unwrap_or_default();
            self.file
                .read_exact_at(chunk, from.saturating_sub(self.index.base))
                .during("read", &self.path)?;
            for (at, _) in chunk.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
                let behind = from.saturating_add(at as u64).saturating_add(1);
                // The newline at the very end belongs to the last line.
                newlines += usize::from(behind < self.end);
                if newlines == lines {
                    return Ok(behind);
                }
            }
            upto = from;
        }
        Ok(first)
    }

    /// Reads the next bytes into the buffer, and returns their number.
    fn read_on(&mut self) -> Result<usize, OsFailure> {
        let stat = self.stat()?;
        let first = self.index.base.saturating_add(first_data(&self.file, &stat));
        if self.next < first {
            let on = self.first_line(&stat)?;
            self.lost = self.lost.saturating_add(on.saturating_sub(self.next));
            self.begin_at(on);
        } else if self.next > self.end {
            // The worker emptied its log, and writes from the beginning again.
            self.begin_at(self.index.base);
            self.upto = self.end;
        }
        self.buffer.drain(..self.taken);
        (self.searched, self.taken) = (self.searched - self.taken, 0);
        let held = self.buffer.len();
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(held + CHUNK_LEN, 0);
        let wanted = usize::try_from(self.upto.saturating_sub(self.next)).unwrap_or(CHUNK_LEN).min(CHUNK_LEN);
        let read = self.read_at(buffer.get_mut(held..held + wanted).unwrap_or_default(), self.next);
        buffer.truncate(held + read.as_ref().copied().unwrap_or(0));
        self.buffer = buffer;
        let len = read?;
        self.next = self.next.saturating_add(len as u64);
        Ok(len)
    }

    /// Goes on at another offset; an unfinished line is given up.
    fn begin_at(&mut self, offset: u64) {
        self.buffer.clear();
        (self.taken, self.searched) = (0, 0);
        self.next = offset;
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, OsFailure> {
        loop {
            match self.file.read_at(buffer, offset.saturating_sub(self.index.base)) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => return read.during("read", &self.path),
            }
        }
    }
}
