//! The verbs that watch sessions, and the verb that signals a worker.

use super::values::duration;
use clap::ValueEnum;
use rekindle::{SessionId, SignalNumber};
use std::time::Duration;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes for --for exit: the status of the worker, or 128 + N if signal N ended the worker; 124 the \
    time is up; 125 the exit cannot be known, or the wait failed. For --for ready: 0 ready; 1 the worker ended before; \
    124 and 125 as above.\n\n\
    The exit is known if the worker ends during the wait (for a worker of another process since Linux 6.15), or if the \
    record has the exit. The wait does not poll.\n\n\
    Examples:\n  rekindle wait build && echo done\n  rekindle wait web --for ready --timeout 30s"
)]
pub(crate) struct WaitArgs {
    /// The session
    pub(crate) session: SessionId,

    /// The awaited state: exit: the worker has ended, with all its processes; ready: the worker is ready
    #[arg(long = "for", value_enum, default_value_t = WaitFor::Exit, value_name = "STATE")]
    pub(crate) state: WaitFor,

    /// How long to wait [default: without a limit]
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WaitFor {
    Ready,
    Exit,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Events: starting (the first worker of a session), restarting (a later one), ready, exited, stopped, \
    retained, released, removed. An exit is known if the worker ends during the watch.\n\n\
    The watch ends with a signal, or when the reader of stdout leaves. It does not poll, and needs three descriptors \
    for each running worker.\n\n\
    Example: rekindle events --json --since-now | jq -r 'select(.event == \"exited\") | .session'"
)]
pub(crate) struct EventsArgs {
    /// Only these sessions, also if they do not exist yet [default: all sessions]
    pub(crate) sessions: Vec<SessionId>,

    /// Leave out the present state of the sessions
    #[arg(long)]
    pub(crate) since_now: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 all are live; 3 some are not running, or not ready yet; 4 some are unknown, do not \
    answer, or cannot be judged."
)]
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

    /// Signal every process of the worker, not only the started process
    #[arg(long)]
    pub(crate) group: bool,
}
