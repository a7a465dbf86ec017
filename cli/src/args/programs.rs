//! The verbs that run a program in the foreground.

use super::values::{Graces, OUTPUT, PROCESS, READINESS, TARGET, duration, handed_output};
use clap::ValueEnum;
use rekindle::SessionId;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, clap::Args)]
#[command(override_usage = "rekindle supervise [OPTIONS] -- PROGRAM [ARG]...")]
pub(crate) struct SuperviseArgs {
    /// Time to end once stdin is closed
    #[arg(long, value_parser = duration, default_value = "0s", value_name = "TIME", help_heading = PROCESS)]
    pub(crate) stdin_grace: Duration,

    #[command(flatten)]
    pub(crate) graces: Graces,

    /// Let detached descendants live, and name them
    ///
    /// Daemons and browsers: processes with their own process session.
    #[arg(long, help_heading = PROCESS)]
    pub(crate) leave_detached: bool,

    /// Write events to descriptor N instead of stderr
    ///
    /// The program does not inherit descriptor N.
    #[arg(long, value_parser = handed_output, value_name = "N", help_heading = OUTPUT)]
    pub(crate) events_fd: Option<Arc<OwnedFd>>,

    /// The program and its arguments, after `--`
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "rekindle claim [OPTIONS] SESSION -- PROGRAM [ARG]...")]
pub(crate) struct ClaimArgs {
    /// The session
    pub(crate) session: SessionId,

    /// Connect to the worker first
    ///
    /// The verdict is in REKINDLE_LIVENESS: alive, dead, indeterminate or forged.
    #[arg(long, help_heading = READINESS)]
    pub(crate) probe: bool,

    /// Time to wait for a claim that is held
    #[arg(long, value_parser = duration, default_value = "0s", value_name = "TIME", help_heading = READINESS)]
    pub(crate) wait: Duration,

    /// The program and its arguments, after `--`
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    /// The worker's socket [default: $REKINDLE_SOCKET]
    #[arg(long, env = "REKINDLE_SOCKET", hide_env_values = true, hide_env = true, value_name = "PATH")]
    #[arg(help_heading = TARGET)]
    pub(crate) socket: PathBuf,

    /// The worker's protocol
    #[arg(long, value_enum, default_value_t = Protocol::Echo, help_heading = PROCESS)]
    pub(crate) protocol: Protocol,

    /// pool: end after TIME without client and session [default: never]
    #[arg(long, value_parser = duration, value_name = "TIME", help_heading = PROCESS)]
    pub(crate) idle_timeout: Option<Duration>,

    /// Misbehave: end only when killed
    #[arg(long, help_heading = PROCESS)]
    pub(crate) ignore_term: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// Send every line back unchanged
    Echo,
    /// Ask the code as a question, and complete with the response; the version is 1
    Pool,
}
