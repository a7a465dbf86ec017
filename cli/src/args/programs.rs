//! The verbs that run a program in the foreground.

use super::values::{Graces, duration, handed_output};
use clap::ValueEnum;
use rekindle::SessionId;
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
#[command(override_usage = "rekindle claim [OPTIONS] SESSION -- PROGRAM [ARG]...")]
#[command(
    after_help = "For a program that sends to the worker. While the program runs, `up`, `restart`, `gc` and `unlock` of the \
    session wait or refuse; `stop` needs no claim, and ends the worker all the same. The program has REKINDLE_SESSION, \
    REKINDLE_STATE, REKINDLE_GENERATION, REKINDLE_ADDRESS, REKINDLE_LIVENESS (with --probe), and REKINDLE_SOCKET or \
    REKINDLE_PORT. The claim is released when the program has ended, whatever its status. If rekindle is killed, the \
    program goes on and keeps the claim to its end.\n\n\
    Signals are passed on to the program. With --json our output goes to stderr, since stdout belongs to the program.\n\n\
    Exit codes: the program's own (128+n for signal n); 124 another process has the claim after --wait; 125 another \
    process has the claim, the session is unknown, or rekindle failed; 126 the program cannot be executed; 127 the \
    program was not found.\n\n\
    Example: rekindle claim web --probe --wait 10s -- sh -c 'curl --unix-socket \"$REKINDLE_SOCKET\" http://web/reload'"
)]
pub(crate) struct ClaimArgs {
    /// The session
    pub(crate) session: SessionId,

    /// Connect to the worker first, and put the verdict into REKINDLE_LIVENESS: alive, dead, indeterminate or forged
    #[arg(long)]
    pub(crate) probe: bool,

    /// How long to wait for a claim that another process holds
    #[arg(long, value_parser = duration, default_value = "0s", value_name = "TIME")]
    pub(crate) wait: Duration,

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
