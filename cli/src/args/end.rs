//! The verbs that end a worker, and the verbs that clear what is left.

use super::values::{Ending, OUTPUT, TARGET, age};
use rekindle::SessionId;
use std::time::Duration;

/// `rekindle unlock`
#[derive(Debug, clap::Args)]
pub(crate) struct UnlockArgs {
    /// The session
    pub(crate) session: SessionId,

    /// Also clear a claim whose holder cannot be judged
    ///
    /// Clears any claim but the one that a launcher holds now.
    #[arg(long, help_heading = TARGET)]
    pub(crate) force: bool,

    /// Forget a session whose worker cannot be judged
    ///
    /// Sets the record aside, signals no process, and reports the missing proofs. Meant for a session refused by `up`
    /// and `stop` with `worker-unknown`.
    #[arg(long, conflicts_with = "force", help_heading = TARGET)]
    pub(crate) forget: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GcArgs {
    /// Only these sessions [default: all sessions]
    pub(crate) sessions: Vec<SessionId>,

    /// Rename unreadable files, to use the sessions again
    #[arg(long, help_heading = TARGET)]
    pub(crate) repair: bool,

    /// Print the plan of the collection, and change nothing
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) dry_run: bool,

    /// Also failed runs that ended longer ago, as 7d
    #[arg(long, value_parser = age, value_name = "AGE", conflicts_with = "all", help_heading = TARGET)]
    pub(crate) older_than: Option<Duration>,

    /// Also remove failed runs
    #[arg(long, help_heading = TARGET)]
    pub(crate) all: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StopArgs {
    /// The sessions [default: in a project, all sessions, in reverse order of `after`]
    pub(crate) sessions: Vec<SessionId>,

    /// All sessions
    #[arg(long, conflicts_with = "sessions", help_heading = TARGET)]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) ending: Ending,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RmArgs {
    /// The sessions
    #[arg(required = true)]
    pub(crate) sessions: Vec<SessionId>,

    /// Also remove a failed run, with its logs
    #[arg(long, help_heading = TARGET)]
    pub(crate) force: bool,
}
