//! The verb that shows what a worker wrote.

use super::values::age;
use clap::ValueEnum;
use rekindle::{LogStream, SessionId};
use std::time::Duration;

/// `rekindle logs`
#[derive(Debug, clap::Args)]
#[command(after_help = LOGS_HELP)]
pub(crate) struct LogsArgs {
    /// The session
    pub(crate) session: SessionId,

    /// Wait for more lines, also of later starts, until the session is removed
    #[arg(short, long, conflicts_with = "previous")]
    pub(crate) follow: bool,

    /// Only the last N lines of each stream [default: all lines]
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) lines: Option<usize>,

    /// Only one stream, without a mark [default: both]
    #[arg(long, value_enum, value_name = "STREAM")]
    pub(crate) stream: Option<StreamArg>,

    /// The run before the last start
    #[arg(long)]
    pub(crate) previous: bool,

    /// Only lines that may be younger than AGE, such as 10m or 2h
    #[arg(long, value_parser = age, value_name = "AGE")]
    pub(crate) since: Option<Duration>,

    /// Put the time by which a line had been written before the line; `-` if unknown
    #[arg(long)]
    pub(crate) timestamps: bool,
}

/// The end of the help of `logs`.
const LOGS_HELP: &str = "\
A line of the standard error begins with `stderr: ` if both streams are shown. On a terminal, control characters are \
    shown and not obeyed; a pipe receives the worker's bytes.

The worker writes to files, and no process stamps its lines. Whenever a command of rekindle passes by, it notes how far \
    the logs have grown. A time is therefore the time of the first pass after the line, and --since shows some older \
    lines too; with -f running, times are exact to a second. A log over --log-max (see `up`) loses its oldest lines.

Exit codes: 0 done, or the session was removed; 1 unknown session; 130 ended by Ctrl-C.

Examples:
  rekindle logs web -n 50
  rekindle logs web -f --stream stderr
  rekindle logs web --previous";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StreamArg {
    Stdout,
    Stderr,
}

impl From<StreamArg> for LogStream {
    fn from(stream: StreamArg) -> Self {
        match stream {
            StreamArg::Stdout => Self::Stdout,
            StreamArg::Stderr => Self::Stderr,
        }
    }
}
