//! The verb that shows what a worker wrote.

use super::values::{OUTPUT, TARGET, age};
use clap::ValueEnum;
use rekindle::{LogStream, SessionId};
use std::time::Duration;

/// `rekindle logs`
#[derive(Debug, clap::Args)]
pub(crate) struct LogsArgs {
    /// The session
    pub(crate) session: SessionId,

    /// Wait for more lines
    ///
    /// Also those of later starts, until the session is removed.
    #[arg(short, long, help_heading = OUTPUT, conflicts_with = "previous")]
    pub(crate) follow: bool,

    /// Only the last N lines of each stream
    #[arg(short = 'n', long, help_heading = OUTPUT, value_name = "N")]
    pub(crate) lines: Option<usize>,

    /// Only stdout, or only stderr [default: both]
    #[arg(long, value_enum, hide_possible_values = true, help_heading = OUTPUT, value_name = "STREAM")]
    pub(crate) stream: Option<StreamArg>,

    /// The run before the last start
    #[arg(long, help_heading = TARGET)]
    pub(crate) previous: bool,

    /// Only lines that may be younger, as 10m
    #[arg(long, help_heading = OUTPUT, value_parser = age, value_name = "AGE")]
    pub(crate) since: Option<Duration>,

    /// Begin each line with its time, if known
    ///
    /// The time by which the line had been written; `-` if unknown.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) timestamps: bool,
}

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
