//! Reads and follows the logs of a session.
//!
//! # Invariants
//! 1. Nothing waits for the worker, and the worker for nobody: the logs are files.
//! 2. A follower shows every line once, across starts, cuts and the removal of the session; what was cut away before is
//!    counted.
//! 3. No directory stays open while a follower waits, so the kernel tells of a removal.
//!
//! Checked by `smoke/tests/smoke/logs/*.rs`.

use crate::error::Error;
use crate::sessions::list::{lost_snapshot, unknown};
use crate::sessions::show::pass::pass_by;
use jiff::Timestamp;
use rekindle_adapters::logs::names::LogRun;
pub use rekindle_adapters::logs::reader::PieceEnd;
use rekindle_adapters::logs::reader::{Beginning, LogReader, Piece};
use rekindle_adapters::logs::watch::LogWatch;
use rekindle_adapters::{SessionDir, StateRoot, clock, record_file};
use rekindle_core::logs::LogStream;
use rekindle_core::record::RecordFile;
use rekindle_core::{Generation, Host, OsFailure, SessionId, SessionRecord};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The shortest time between two passes of a follower.
const PASS_PAUSE: Duration = Duration::from_secs(1);

/// Which logs to read, and from where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// One stream; `None` means both.
    pub stream: Option<LogStream>,
    /// The run before the last start, instead of the last.
    pub previous: bool,
    /// Only this many lines of each stream, counted from the end.
    pub lines: Option<usize>,
    /// Only lines that may have been written at most this long ago. How far a log had grown is noted in passing, so older
    /// lines may be among them.
    pub since: Option<Duration>,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The stream.
    pub stream: LogStream,
    /// The bytes, without the newline; any bytes.
    pub bytes: Vec<u8>,
    /// How the line ends: a line longer than a mebibyte comes in pieces.
    pub end: PieceEnd,
    /// The time by which the line had been written, if known: the first pass after the line, or the last write.
    pub written_by: Option<Timestamp>,
}

/// What a follower waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogChange {
    /// The logs may have grown.
    Grown,
    /// Another start began new logs. The lines of the run before come first.
    Restarted {
        /// The start.
        generation: Generation,
    },
    /// The session was removed: after the lines that are left there will be no more.
    Removed,
}

/// The logs of a session, read up to a point.
#[derive(Debug)]
pub struct Logs {
    root: StateRoot,
    session: SessionId,
    directory: rekindle_adapters::directory::Inode,
    generation: Generation,
    streams: Vec<Followed>,
    /// The stream whose line was given in part.
    continued: Option<LogStream>,
    watch: Option<LogWatch>,
    passed_at: Instant,
}

/// One stream, across starts.
#[derive(Debug)]
struct Followed {
    stream: LogStream,
    reader: Option<LogReader>,
    ahead: VecDeque<Piece>,
    lost: u64,
}

impl Followed {
    /// Reads one piece ahead, to compare the times of both streams.
    fn peek(&mut self) -> Result<Option<&Piece>, OsFailure> {
        if self.ahead.is_empty()
            && let Some(reader) = &mut self.reader
        {
            self.ahead.extend(reader.next_piece()?);
            self.lost = self.lost.saturating_add(reader.lost());
        }
        Ok(self.ahead.front())
    }

    /// Goes on to the log of the next start, if there is one. Everything of the present log comes first.
    fn advance(&mut self, dir: &SessionDir) -> Result<bool, OsFailure> {
        let is_at = |run, reader: &LogReader| reader.is_at(dir, self.stream, run);
        if let Some(reader) = self.reader.as_mut().filter(|reader| is_at(LogRun::Current, reader)) {
            reader.go_on()?;
            return Ok(false);
        }
        // Of two starts since the last look, the first one's log has the previous name.
        let missed = self.reader.as_ref().is_some_and(|reader| !is_at(LogRun::Previous, reader));
        let open = |run| LogReader::open(dir, self.stream, run, Beginning::default());
        let next = match missed.then(|| open(LogRun::Previous)).transpose()?.flatten() {
            Some(next) => Some(next),
            None => open(LogRun::Current)?,
        };
        let Some(next) = next else {
            if let Some(reader) = &mut self.reader {
                reader.go_on()?;
            }
            return Ok(false);
        };
        if let Some(reader) = &mut self.reader {
            reader.go_on()?;
        }
        self.finish()?;
        self.reader = Some(next);
        Ok(true)
    }

    /// Reads the rest of the log, with an unfinished line.
    fn finish(&mut self) -> Result<(), OsFailure> {
        let Some(mut reader) = self.reader.take() else { return Ok(()) };
        while let Some(piece) = reader.next_piece()? {
            self.ahead.push_back(piece);
        }
        self.ahead.extend(reader.unfinished());
        self.lost = self.lost.saturating_add(reader.lost());
        Ok(())
    }
}

impl Logs {
    pub(crate) fn open(
        root: &StateRoot,
        here: &Host,
        session: &SessionId,
        query: LogQuery,
    ) -> Result<Self, Error> {
        let Some(dir) = root.session(session)? else {
            lost_snapshot(root, here, session)?.ok_or_else(|| unknown(root, session))?;
            let why = "the session's directory was removed, though its worker runs";
            return Err(OsFailure::new("read the logs", why).on(root.path().join(session.as_str())).into());
        };
        let record = record(&dir)?;
        pass_by(&dir, record.as_ref());
        let since = query.since.map(|age| clock::now().checked_sub(age).unwrap_or(Timestamp::MIN));
        let beginning = Beginning { lines: query.lines, since };
        let run = if query.previous { LogRun::Previous } else { LogRun::Current };
        let wanted = LogStream::ALL.into_iter().filter(|it| query.stream.is_none_or(|only| only == *it));
        let open = |stream| {
            let reader = LogReader::open(&dir, stream, run, beginning)?;
            Ok(Followed { stream, reader, ahead: VecDeque::new(), lost: 0 })
        };
        let streams: Vec<Followed> = wanted.map(open).collect::<Result<_, OsFailure>>()?;
        if record.is_none() && streams.iter().all(|it| it.reader.is_none()) {
            // Any directory may have the name of a session.
            lost_snapshot(root, here, session)?.ok_or_else(|| unknown(root, session))?;
        }
        Ok(Self {
            root: root.clone(),
            session: session.clone(),
            directory: inode(&dir)?,
            generation: record.map_or(Generation::UNMANAGED, |record| record.generation),
            streams,
            continued: None,
            watch: None,
            passed_at: Instant::now(),
        })
    }

    /// The next line, or piece of a line; `None` at the present end. Lines of both streams come in the order of their
    /// times, as far as known.
    ///
    /// # Errors
    /// If a log cannot be read.
    pub fn next_line(&mut self) -> Result<Option<LogLine>, Error> {
        let mut first: Option<(usize, Option<Timestamp>)> = None;
        for (at, followed) in self.streams.iter_mut().enumerate() {
            let is_meant = self.continued.is_none_or(|stream| stream == followed.stream);
            if let Some(piece) = followed.peek()?.filter(|_| is_meant)
                && first.is_none_or(|(_, earliest)| piece.written_by < earliest)
            {
                first = Some((at, piece.written_by));
            }
        }
        let followed = first.and_then(|(at, _)| self.streams.get_mut(at));
        Ok(followed.and_then(|followed| {
            let Piece { bytes, end, written_by } = followed.ahead.pop_front()?;
            self.continued = (end == PieceEnd::Continued).then_some(followed.stream);
            Some(LogLine { stream: followed.stream, bytes, end, written_by })
        }))
    }

    /// Gives up following: [`Self::next_line`] then also gives lines without a newline at the end.
    ///
    /// # Errors
    /// If a log cannot be read.
    pub fn finish(&mut self) -> Result<(), Error> {
        self.continued = None;
        Ok(self.streams.iter_mut().try_for_each(Followed::finish)?)
    }

    /// The bytes that were cut away before they were read, since the last call.
    pub fn lost(&mut self) -> u64 {
        self.streams.iter_mut().map(|followed| std::mem::take(&mut followed.lost)).sum()
    }

    /// Waits until there may be more lines: the first call returns at once, and begins the watch. With inotify a silent
    /// log wakes nobody.
    ///
    /// # Errors
    /// If the session or a log cannot be opened.
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn follow(&mut self) -> Result<LogChange, Error> {
        match &self.watch {
            Some(watch) => watch.changed().await,
            None => {
                let dir = self.root.path().join(self.session.as_str());
                self.watch = Some(LogWatch::subscribe(&dir, self.root.path()));
            }
        }
        self.look()
    }

    /// Looks at the names: the present logs, those of another start, or none.
    fn look(&mut self) -> Result<LogChange, Error> {
        let dir = self.root.session(&self.session)?;
        let Some(dir) = dir.filter(|dir| inode(dir).is_ok_and(|it| it == self.directory)) else {
            self.streams.iter_mut().filter_map(|it| it.reader.as_mut()).try_for_each(LogReader::go_on)?;
            return Ok(LogChange::Removed);
        };
        let mut is_new = false;
        for followed in &mut self.streams {
            is_new |= followed.advance(&dir)?;
        }
        if !is_new && self.passed_at.elapsed() < PASS_PAUSE {
            return Ok(LogChange::Grown);
        }
        self.passed_at = Instant::now();
        let record = record(&dir)?;
        pass_by(&dir, record.as_ref());
        let generation = record.map_or(self.generation, |record| record.generation);
        let is_another = is_new && generation != self.generation;
        self.generation = generation;
        Ok(if is_another { LogChange::Restarted { generation } } else { LogChange::Grown })
    }
}

fn inode(dir: &SessionDir) -> Result<rekindle_adapters::directory::Inode, OsFailure> {
    let found = dir.inspect(".")?.map(|stat| stat.inode);
    found.ok_or_else(|| OsFailure::new("inspect", "it is not there").on(dir.path()))
}

/// The record, if it can be read: logs are shown without one too.
fn record(dir: &SessionDir) -> Result<Option<SessionRecord>, OsFailure> {
    Ok(match record_file::read(dir)? {
        RecordFile::Whole(record) => Some(*record),
        RecordFile::Newer(_) | RecordFile::Absent | RecordFile::Corrupt { .. } => None,
    })
}
