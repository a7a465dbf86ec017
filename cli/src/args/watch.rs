//! The verbs that watch sessions, and the verb that signals a worker.

use super::values::{OUTPUT, READINESS, TARGET, duration};
use clap::ValueEnum;
use rekindle::{SessionId, SignalNumber};
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct WaitArgs {
    /// The session
    pub(crate) session: SessionId,

    /// exit (default) or ready
    ///
    /// exit: the worker has ended, with all its processes. ready: the worker is ready.
    #[arg(long = "for", value_enum, default_value_t = WaitFor::Exit, hide_default_value = true, hide_possible_values = true)]
    #[arg(value_name = "STATE", help_heading = READINESS)]
    pub(crate) state: WaitFor,

    /// Time to wait [default: no limit]
    #[arg(long, value_parser = duration, value_name = "TIME", help_heading = READINESS)]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WaitFor {
    Ready,
    Exit,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EventsArgs {
    /// Only these sessions, also if they do not exist yet [default: all sessions]
    pub(crate) sessions: Vec<SessionId>,

    /// Leave out the present state of the sessions
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) since_now: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// The sessions [default: all sessions]
    pub(crate) sessions: Vec<SessionId>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SignalArgs {
    /// The session
    pub(crate) session: SessionId,

    /// The signal: a name such as TERM, HUP or USR1, or a number
    pub(crate) signal: SignalNumber,

    /// Signal every process of the worker
    #[arg(long, help_heading = TARGET)]
    pub(crate) group: bool,
}
