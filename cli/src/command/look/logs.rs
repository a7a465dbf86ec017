//! `rekindle logs`

use crate::args::LogsArgs;
use crate::command::sessions;
use crate::report::{Exit, Report, printable};
use rekindle::frontend::output_hung_up;
use rekindle::json::logs::LogLineJson;
use rekindle::{Error, LogChange, LogLine, LogQuery, LogStream, Logs, PieceEnd};
use std::path::Path;

/// How much is written at once, in bytes.
const BATCH_LEN: usize = 64 << 10;

/// Shows the logs up to their present end.
pub(crate) fn run(dir: Option<&Path>, args: &LogsArgs, report: &Report) -> Exit {
    let mut page = Page::new(args, report);
    let shown = open(dir, args).and_then(|mut logs| page.show_rest(&mut logs));
    page.write();
    shown.map_or_else(|error| report.error(&error), |()| Exit::Done)
}

/// Shows the logs until the session is removed, the reader leaves, or Ctrl-C.
pub(crate) async fn follow(dir: Option<&Path>, args: &LogsArgs, report: &Report) -> Exit {
    let mut page = Page::new(args, report);
    let mut logs = match open(dir, args) {
        Ok(logs) => logs,
        Err(error) => return report.error(&error),
    };
    let (mut interrupted, mut left) = (Box::pin(interrupted()), Box::pin(output_hung_up()));
    let exit = loop {
        if let Err(error) = page.show(&mut logs) {
            break Err(error);
        }
        page.write();
        if page.reader_left {
            return Exit::Done;
        }
        tokio::select! {
            change = logs.follow() => match change {
                Ok(LogChange::Grown) => {}
                Ok(LogChange::Restarted { generation }) => {
                    // The rest of the run before comes first.
                    if let Err(error) = page.show(&mut logs) {
                        break Err(error);
                    }
                    page.write();
                    report.progress(&format!("{} was started again, generation {generation}", args.session));
                }
                Ok(LogChange::Removed) => break Ok(Exit::Done),
                Err(error) => break Err(error),
            },
            () = &mut left => return Exit::Done,
            () = &mut interrupted => break Ok(Exit::Interrupted),
        }
    };
    let exit = exit.and_then(|exit| page.show_rest(&mut logs).map(|()| exit));
    page.write();
    exit.unwrap_or_else(|error| report.error(&error))
}

fn open(dir: Option<&Path>, args: &LogsArgs) -> Result<Logs, Error> {
    let query = LogQuery {
        stream: args.stream.map(LogStream::from),
        previous: args.previous,
        lines: args.lines,
        since: args.since,
    };
    sessions(dir)?.logs(&args.session, query)
}

/// Resolves at Ctrl-C. If the signal cannot be caught, never resolves: Ctrl-C then ends the process.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Lines on their way to stdout.
struct Page<'p> {
    report: &'p Report,
    is_terminal: bool,
    marks_stderr: bool,
    timestamps: bool,
    batch: Vec<u8>,
    last: PieceEnd,
    reader_left: bool,
}

impl<'p> Page<'p> {
    fn new(args: &LogsArgs, report: &'p Report) -> Self {
        Self {
            report,
            is_terminal: report.is_terminal(),
            marks_stderr: args.stream.is_none(),
            timestamps: args.timestamps,
            batch: Vec::new(),
            last: PieceEnd::Newline,
            reader_left: false,
        }
    }

    /// Shows all lines up to the present end.
    fn show(&mut self, logs: &mut Logs) -> Result<(), Error> {
        while !self.reader_left
            && let Some(line) = logs.next_line()?
        {
            if self.report.is_json() {
                self.add_json(&line);
            } else {
                self.add(&line);
            }
            if self.batch.len() >= BATCH_LEN {
                self.write();
            }
        }
        match logs.lost() {
            0 => {}
            lost => self.report.progress(&format!("{lost} bytes were cut away before they were shown")),
        }
        Ok(())
    }

    /// Shows all lines, and an unfinished one at the end.
    fn show_rest(&mut self, logs: &mut Logs) -> Result<(), Error> {
        self.show(logs)?;
        logs.finish()?;
        self.show(logs)?;
        if self.is_terminal && self.last != PieceEnd::Newline {
            self.batch.push(b'\n');
        }
        Ok(())
    }

    fn add(&mut self, line: &LogLine) {
        if self.last != PieceEnd::Continued {
            if self.last == PieceEnd::Unfinished {
                self.batch.push(b'\n');
            }
            if self.timestamps {
                let time = line.written_by.map_or_else(|| "-".to_owned(), |at| at.to_string());
                self.batch.extend_from_slice(time.as_bytes());
                self.batch.push(b' ');
            }
            if self.marks_stderr && line.stream == LogStream::Stderr {
                self.batch.extend_from_slice(b"stderr: ");
            }
        }
        if self.is_terminal {
            self.batch.extend_from_slice(printable(&String::from_utf8_lossy(&line.bytes)).as_bytes());
        } else {
            self.batch.extend_from_slice(&line.bytes);
        }
        if line.end == PieceEnd::Newline {
            self.batch.push(b'\n');
        }
        self.last = line.end;
    }

    fn add_json(&mut self, line: &LogLine) {
        self.batch.extend_from_slice(self.report.line_of(LogLineJson::from(line)).as_bytes());
        self.batch.push(b'\n');
    }

    /// Writes what was shown so far.
    fn write(&mut self) {
        self.reader_left |= !self.report.bytes(&self.batch);
        self.batch.clear();
    }
}
