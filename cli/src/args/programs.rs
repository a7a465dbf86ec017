//! The verbs that run a program in the foreground.

use super::values::{Graces, duration, handed_output};
use clap::ValueEnum;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, clap::Args)]
#[command(override_usage = "rekindle supervise [OPTIONS] -- PROGRAM [ARG]...")]
#[command(
    after_help = "stdin, stdout and stderr pass through unchanged, and the program's exit status becomes ours \
    (128 + N if signal N ended the program; 1 if the program succeeded but its output could not be written). The end of \
    our stdin begins the stop, and so do SIGTERM, SIGINT, SIGHUP and a closed stdout; a third such signal kills at \
    once. If we are killed, the program ends as well.\n\n\
    All descendants end with the program, also a daemon or a browser with its own process session; --leave-detached \
    lets detached descendants live. A worker started with `rekindle up` always goes on. As pid 1 of a container \
    `supervise` reaps orphans.\n\n\
    A stop closes the program's stdin and sends SIGTERM once --stdin-grace is over, then SIGKILL. With the default of \
    0s the stop begins when the program has read all of its input and has then been silent on stdout for 2 s; or when \
    the program has read nothing for 10 s, or answered for 60 s. If we ended the program, a line on stderr reports the \
    end. Give a grace to a program with a slow last answer or a slow end:\n\n\
    Example: printf '%s\\n' \"$REQUEST\" | rekindle supervise --stdin-grace 30s -- my-mcp-server --stdio\n\n\
    With --json stderr carries events, one object a line: started, stopping, signalled, exited, ended-by-us, \
    output-lost, stopped. The program writes to stderr too, and could forge events; with --events-fd no forgery is possible:\n\n\
    Example: rekindle supervise --json --events-fd 3 -- my-mcp-server 3>events"
)]
pub(crate) struct SuperviseArgs {
    /// How long the program may take to end by itself after its stdin was closed
    #[arg(long, value_parser = duration, default_value = "0s", value_name = "TIME")]
    pub(crate) stdin_grace: Duration,

    #[command(flatten)]
    pub(crate) graces: Graces,

    /// Let detached descendants live (daemons, browsers: processes with their own process session), and name them
    #[arg(long)]
    pub(crate) leave_detached: bool,

    /// Write events to descriptor N instead of stderr; the program does not inherit descriptor N
    #[arg(long, value_parser = handed_output, value_name = "N")]
    pub(crate) events_fd: Option<Arc<OwnedFd>>,

    /// The program and its arguments, after `--`
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    /// The worker's socket [default: $REKINDLE_SOCKET]
    #[arg(long, env = "REKINDLE_SOCKET", hide_env_values = true, value_name = "PATH")]
    pub(crate) socket: PathBuf,

    /// The worker's protocol
    #[arg(long, value_enum, default_value_t = Protocol::Echo)]
    pub(crate) protocol: Protocol,

    /// pool: end after TIME with neither a client nor a session [default: never]
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(crate) idle_timeout: Option<Duration>,

    /// Misbehave: end only when killed
    #[arg(long)]
    pub(crate) ignore_term: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// Send every line back unchanged
    Echo,
    /// Ask the code as a question, and complete with the response; the version is 1
    Pool,
}
