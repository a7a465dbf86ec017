//! The names of a worker's logs in the session's directory.

use rekindle_core::logs::LogStream;

/// The run of the worker to which a log belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogRun {
    /// The last start.
    Current,
    /// The start before.
    Previous,
}

/// The worker's log files, in the order of descriptors 1 and 2.
pub const LOGS: [&str; 2] = ["stdout.log", "stderr.log"];

/// The index of each log. Written in passing, and never needed for a start.
pub const INDEXES: [&str; 2] = ["stdout.index", "stderr.index"];

/// The same two files of the previous run.
pub const PREVIOUS_LOGS: [&str; 2] = ["stdout.log.1", "stderr.log.1"];

/// The indexes of the previous run's logs.
pub const PREVIOUS_INDEXES: [&str; 2] = ["stdout.index.1", "stderr.index.1"];

/// The name of a log, and the name of its index.
pub const fn of(stream: LogStream, run: LogRun) -> (&'static str, &'static str) {
    let at = match stream {
        LogStream::Stdout => 0,
        LogStream::Stderr => 1,
    };
    match run {
        LogRun::Current => (LOGS[at], INDEXES[at]),
        LogRun::Previous => (PREVIOUS_LOGS[at], PREVIOUS_INDEXES[at]),
    }
}
