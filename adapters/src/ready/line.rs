//! Readiness by a line of output: a worker is ready when a line of this start matches a pattern.
//!
//! The logs are read as files: there is no pipe, and the worker needs no reader. A start begins with new logs, so every
//! byte in them is of this start, also for a launcher that adopts the worker.
//!
//! # Invariants
//! 1. A line counts once its newline is written: the beginning of a line may match where the whole line does not.
//! 2. A line of any length takes bounded memory: the pattern sees the first [`LINE_LEN_MAX`] bytes.
//! 3. Both logs are read in turns, so that one that grows without end does not hide the other.
//!
//! Checked by the tests below and `smoke/tests/smoke/ready/line.rs`.

use super::Site;
use crate::endpoint::probe::Connection;
use crate::logs::names::LOGS;
use crate::ready::port;
use crate::store::session_dir::SessionDir;
use crate::sys::backoff::Backoff;
use crate::sys::linux::failure::During;
use crate::sys::linux::fs::watch::Happening;
use regex::bytes::Regex;
use rekindle_core::shown::Shown;
use rekindle_core::{OsFailure, WatchError};
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::sleep;

/// How much of a line is compared with the pattern, in bytes.
pub const LINE_LEN_MAX: usize = 64 << 10;
/// The size of one read.
const CHUNK_LEN: usize = 64 << 10;
/// The pause of a reader that follows a worker's output: a worker that writes without pause does not keep us busy.
const FOLLOWING_PAUSE: Duration = Duration::from_millis(1);
/// The last lines in the message of a start that was not ready in time, and the length of each, in bytes.
const SEEN_LINES_MAX: usize = 3;
const SEEN_LEN_MAX: usize = 160;

/// A pattern of `--ready line`, checked.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Reads a regular expression in the syntax of the crate `regex`.
    ///
    /// # Errors
    /// The fault in words, if the expression is none, or too large.
    pub fn new(pattern: &str) -> Result<Self, String> {
        Regex::new(pattern).map(Self).map_err(|error| {
            // The last line names the fault; the lines before draw the place.
            let text = error.to_string();
            let fault = text.lines().next_back().unwrap_or_default();
            fault.strip_prefix("error: ").unwrap_or(fault).to_owned()
        })
    }

    fn matches(&self, line: &[u8]) -> bool {
        self.0.is_match(line)
    }
}

/// Reads the logs until a line matches.
pub(super) async fn await_line(site: &Site<'_>, pattern: &str) -> Result<Connection, WatchError> {
    let pattern = Pattern::new(pattern)
        .map_err(|why| WatchError::Unwatchable { ready: site.start.readiness().to_string(), why })?;
    let Some((mut logs, dir)) = site.start.in_session_dir(open_logs) else {
        // The claim is given up: the start is over, and nothing waits for this watch.
        return std::future::pending().await;
    };
    let mut backoff = Backoff::at(&dir, Happening::FileGrows);
    let (mut last, mut buffer) = (LastLines::default(), vec![0; CHUNK_LEN]);
    loop {
        let mut is_growing = false;
        for log in &mut logs {
            let found = log.read_on(&mut buffer, &pattern, &mut last)?;
            if found == Found::Match {
                return port::without_connect(site);
            }
            is_growing |= found == Found::More;
        }
        if is_growing {
            // Other tasks, and the time limit, have their turn.
            tokio::task::yield_now().await;
            continue;
        }
        site.start.note_seen(last.in_words(&logs));
        backoff.wait().await;
        sleep(FOLLOWING_PAUSE).await;
    }
}

fn open_logs(dir: &SessionDir) -> (Vec<Log>, PathBuf) {
    (LOGS.iter().map(|name| Log::new(dir, name)).collect(), dir.path().to_owned())
}

/// The result of one read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// A line matches.
    Match,
    /// No line matched so far, and there may be more to read.
    More,
    /// The end of the file.
    End,
}

/// One log of this start, read up to an offset.
#[derive(Debug)]
struct Log {
    /// `None` for a log that was removed or replaced before this watch: the worker's output cannot be read.
    file: Option<File>,
    path: PathBuf,
    offset: u64,
    line: Line,
}

impl Log {
    fn new(dir: &SessionDir, name: &str) -> Self {
        let file = dir.open_file(name).ok().map(File::from);
        let file = file.filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()));
        Self { file, path: dir.path_of(name), offset: 0, line: Line::default() }
    }

    /// Reads the next chunk.
    fn read_on(
        &mut self,
        buffer: &mut [u8],
        pattern: &Pattern,
        last: &mut LastLines,
    ) -> Result<Found, OsFailure> {
        let Some(file) = &self.file else { return Ok(Found::End) };
        let len = match file.read_at(buffer, self.offset) {
            Ok(0) => {
                self.begin_anew_if_cut(file.metadata().during("inspect", &self.path)?.len());
                return Ok(Found::End);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Found::More),
            read => read.during("read", &self.path)?,
        };
        self.offset += len as u64;
        let mut rest = buffer.get(..len).unwrap_or_default();
        while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
            let (end, after) = rest.split_at(at);
            self.line.extend(end);
            let is_match = pattern.matches(self.line.text());
            last.push(self.line.text());
            if is_match {
                return Ok(Found::Match);
            }
            self.line.clear();
            rest = after.get(1..).unwrap_or_default();
        }
        self.line.extend(rest);
        Ok(Found::More)
    }

    /// A log shorter than what was read has been emptied, and is written from its beginning again.
    fn begin_anew_if_cut(&mut self, len: u64) {
        if len < self.offset {
            self.offset = 0;
            self.line.clear();
        }
    }
}

/// The beginning of a line, of [`LINE_LEN_MAX`] bytes at most.
#[derive(Debug, Default)]
struct Line(Vec<u8>);

impl Line {
    fn extend(&mut self, bytes: &[u8]) {
        let room = LINE_LEN_MAX.saturating_sub(self.0.len());
        self.0.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }

    /// The line without its end: some programs end a line with a carriage return and a newline.
    fn text(&self) -> &[u8] {
        self.0.strip_suffix(b"\r").unwrap_or(&self.0)
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// The last lines of both logs, in the order in which they were read.
#[derive(Debug, Default)]
struct LastLines(VecDeque<Vec<u8>>);

impl LastLines {
    fn push(&mut self, line: &[u8]) {
        if self.0.len() == SEEN_LINES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(line.get(..SEEN_LEN_MAX.min(line.len())).unwrap_or_default().to_vec());
    }

    /// The finding, for a start that was not ready in time.
    fn in_words(&self, logs: &[Log]) -> String {
        if let Some(lost) = logs.iter().find(|log| log.file.is_none()) {
            return format!("the log `{}` cannot be read", Shown(&lost.path));
        }
        let quoted: Vec<String> = self.0.iter().map(|line| quoted(line)).collect();
        let lines = match quoted.as_slice() {
            [] => "the program wrote no line".to_owned(),
            [line] => format!("no line matched; the only one was {line}"),
            lines => format!("no line matched; the last ones were {}", lines.join(", ")),
        };
        let unfinished = logs.iter().map(|log| log.line.text()).find(|text| !text.is_empty());
        match unfinished {
            Some(text) => format!("{lines}; {} has no newline yet", quoted_start(text)),
            None => lines,
        }
    }
}

fn quoted(line: &[u8]) -> String {
    format!("`{}`", Shown(OsStr::from_bytes(line)))
}

fn quoted_start(line: &[u8]) -> String {
    quoted(line.get(..SEEN_LEN_MAX.min(line.len())).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn log(file: &File) -> Log {
        let file = Some(file.try_clone().expect("a descriptor is left"));
        Log { file, path: "log".into(), offset: 0, line: Line::default() }
    }

    /// Reads to the end; whether a line matched, and the finding.
    fn read(log: &mut Log, pattern: &str) -> (bool, String) {
        let (pattern, mut last) = (Pattern::new(pattern).expect("a pattern"), LastLines::default());
        let mut buffer = [0; 7];
        loop {
            match log.read_on(&mut buffer, &pattern, &mut last).expect("a file can be read") {
                Found::More => {}
                found @ (Found::Match | Found::End) => {
                    return (found == Found::Match, last.in_words(std::slice::from_ref(log)));
                }
            }
        }
    }

    #[test]
    fn a_line_counts_once_it_is_whole() {
        let mut file = tempfile::tempfile().expect("a file");
        let mut log = log(&file);
        file.write_all(b"starting\nlistening on 80").expect("written");
        let seen = "no line matched; the only one was `starting`; `listening on 80` has no newline yet";
        assert_eq!(read(&mut log, "listening on 80$"), (false, seen.to_owned()));
        file.write_all(b"80\r\n").expect("written");
        assert!(!read(&mut log, "listening on 80$").0);
        file.write_all(b"listening on 80\r\n").expect("written");
        assert!(read(&mut log, "^listening on 80$").0);
    }

    #[test]
    fn of_a_long_line_the_beginning_counts_and_the_next_line_too() {
        let mut file = tempfile::tempfile().expect("a file");
        let mut log = log(&file);
        file.write_all(&vec![b'x'; 3 * LINE_LEN_MAX]).expect("written");
        file.write_all(b"ready\n\xff\xfe ready \x1b[m\n").expect("written");
        let (is_match, _) = read(&mut log, "^x+ready$");
        assert!(!is_match);
        log.offset = 0;
        log.line.clear();
        assert!(read(&mut log, r"(?-u)^\xff\xfe ready \x1b\[m$").0);
        assert_eq!(log.line.0.capacity().min(4 * LINE_LEN_MAX), log.line.0.capacity());
    }

    #[test]
    fn the_last_lines_are_shown_without_what_a_terminal_obeys() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"1\n2\n3\n\x1b[31m4\n").expect("written");
        let seen = "no line matched; the last ones were `2`, `3`, `\\u{1b}[31m4`".to_owned();
        assert_eq!(read(&mut log(&file), "ready"), (false, seen));
    }

    #[test]
    fn a_log_that_was_emptied_is_read_from_its_beginning() {
        let mut file = tempfile::tempfile().expect("a file");
        let mut log = log(&file);
        file.write_all(b"a long first line\n").expect("written");
        assert!(!read(&mut log, "ready").0);
        file.set_len(0).expect("emptied");
        assert!(!read(&mut log, "ready").0);
        file.write_at(b"ready\n", 0).expect("written");
        assert!(read(&mut log, "ready").0);
    }

    #[test]
    fn a_faulty_pattern_is_explained_in_one_line() {
        assert_eq!(Pattern::new("(ready").map(drop), Err("unclosed group".to_owned()));
        assert!(Pattern::new("a{1000000}").map(drop).is_err_and(|why| !why.contains('\n')));
    }
}
