//! The verbs that end a worker, and the verbs that clear what is left.

use super::values::{Ending, age};
use rekindle::SessionId;
use std::time::Duration;

/// `rekindle unlock`
#[derive(Debug, clap::Args)]
pub(crate) struct UnlockArgs {
    /// The session
    pub(crate) session: SessionId,

    /// Clear any claim except a launcher's current one, even if the claim's holder cannot be judged
    #[arg(long)]
    pub(crate) force: bool,

    /// Clear a whole session with an unjudged worker: set the record aside, signal no process, and report the missing
    /// proofs. Meant for a session refused by `up` and `stop` with `worker-unknown`
    #[arg(long, conflicts_with = "force")]
    pub(crate) forget: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The last run of a session is kept if the run failed: the worker ended before readiness, or ended by \
    itself with another status than 0. A stopped session is removed.\n\n\
    Exit codes: 0 done; 1 a session was kept because of an error."
)]
pub(crate) struct GcArgs {
    /// Only these sessions [default: all sessions]
    pub(crate) sessions: Vec<SessionId>,

    /// Rename unreadable files, so the sessions can be used again
    #[arg(long)]
    pub(crate) repair: bool,

    /// Print the plan of the collection, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Also remove failed runs, if they ended longer ago than AGE, such as 7d or 12h
    #[arg(long, value_parser = age, value_name = "AGE", conflicts_with = "all")]
    pub(crate) older_than: Option<Duration>,

    /// Also remove failed runs
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StopArgs {
    /// The sessions [default: in a project, all sessions, in reverse order of `after`]
    pub(crate) sessions: Vec<SessionId>,

    /// All sessions
    #[arg(long, conflicts_with = "sessions")]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) ending: Ending,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "A session with a worker that runs, or may run, is never removed: stop the worker before. The last run \
    of a session is kept if the run failed, unless --force is given.\n\n\
    Exit codes: 0 removed; 1 unknown session, or an error; 3 a session was kept."
)]
pub(crate) struct RmArgs {
    /// The sessions
    #[arg(required = true)]
    pub(crate) sessions: Vec<SessionId>,

    /// Also remove a failed run, with its logs
    #[arg(long)]
    pub(crate) force: bool,
}
