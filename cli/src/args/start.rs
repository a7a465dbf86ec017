//! The verbs that start or use a worker.

use super::values::{Ending, duration, json, ready, variable};
use crate::given::Given;
use clap::ValueEnum;
use clap::builder::{OsStringValueParser, TypedValueParser};
use rekindle::protocol::Version;
use rekindle::{Address, Intent, LogMax, SessionId};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, clap::Args)]
#[command(override_usage = "rekindle up [OPTIONS] [SESSION] [-- PROGRAM [ARG]...]", after_help = UP_HELP)]
pub(crate) struct UpArgs {
    /// The session: up to 64 of the characters A-Z a-z 0-9 . _ - [default: all sessions of rekindle.toml, in the order of
    /// `after`]
    pub(crate) session: Option<SessionId>,

    /// ensure: start or attach; attach: never start; resume: must start; restart: end the worker that runs, then start
    #[arg(long, value_enum, default_value_t = IntentArg::Ensure)]
    pub(crate) intent: IntentArg,

    /// unix (the socket `sock` in the session's directory), unix:PATH, tcp:PORT, tcp:HOST:PORT or none. With port 0 a free
    /// port is chosen, and kept for later starts [default: unix]
    #[arg(long, value_parser = OsStringValueParser::new().try_map(|text| Address::from_text(&text)), value_name = "ADDRESS")]
    #[arg(help_heading = ADDRESS)]
    pub(crate) address: Option<Address>,

    /// Short for --address unix:PATH
    #[arg(long, value_name = "PATH", conflicts_with = "address", help_heading = ADDRESS)]
    pub(crate) socket: Option<PathBuf>,

    /// Take any listener on the TCP port for the worker's: for a relay, such as a container's
    #[arg(long, help_heading = ADDRESS)]
    pub(crate) allow_foreign_listener: bool,

    /// Refuse what answers at the address, if no record names it
    #[arg(long, help_heading = ADDRESS)]
    pub(crate) managed_only: bool,

    /// The condition, of the list below [default: connect; without an address: running]
    #[arg(long, value_parser = ready, value_name = "KIND[=PARAM]", help_heading = READINESS)]
    pub(crate) ready: Option<rekindle::Readiness>,

    /// For --ready running: how long the program has to run [default: 200ms]
    #[arg(long, value_parser = duration, value_name = "TIME", help_heading = READINESS)]
    pub(crate) settle: Option<Duration>,

    /// For --ready handshake: the host's version of the pool protocol
    #[arg(long, required_if_eq("ready", "handshake"), value_name = "VERSION", help_heading = READINESS)]
    pub(crate) speak: Option<Version>,

    /// How long waiting and starting may take together [default: 30s]
    #[arg(long, value_parser = duration, value_name = "TIME", help_heading = READINESS)]
    pub(crate) timeout: Option<Duration>,

    #[command(flatten)]
    pub(crate) ending: Ending,

    /// The working directory [default: the current directory]
    #[arg(long, value_name = "DIR", help_heading = PROGRAM)]
    pub(crate) cwd: Option<PathBuf>,

    /// Set a variable in the environment; may be repeated
    #[arg(long, value_parser = OsStringValueParser::new().try_map(|text| variable(&text)), value_name = "K=V")]
    #[arg(help_heading = PROGRAM)]
    pub(crate) env: Vec<(String, OsString)>,

    /// Read variables from a file, in the syntax of dotenv, at every start; may be repeated. The record has the path only
    #[arg(long, value_name = "FILE", help_heading = PROGRAM)]
    pub(crate) env_file: Vec<PathBuf>,

    /// Pass on only these variables of the caller
    #[arg(long, value_delimiter = ',', conflicts_with = "clear_env", value_name = "NAME,...", help_heading = PROGRAM)]
    pub(crate) env_only: Vec<String>,

    /// Begin with an empty environment, not with the caller's
    #[arg(long, help_heading = PROGRAM)]
    pub(crate) clear_env: bool,

    /// The bound of each of the program's two logs, such as 512k, 64m or 1g; 0 is no bound. The oldest lines go first [default: 64m]
    #[arg(long, value_name = "SIZE", help_heading = PROGRAM)]
    pub(crate) log_max: Option<LogMax>,

    /// The text for {prompt}
    #[arg(long, value_name = "TEXT", help_heading = PROGRAM)]
    pub(crate) prompt: Option<OsString>,

    /// Read the prompt from a file, or from standard input (`-`); the worker receives the prompt in REKINDLE_PROMPT
    #[arg(long, value_parser = OsStringValueParser::new().map(Given::from_path), conflicts_with = "prompt", value_name = "FILE")]
    #[arg(help_heading = PROGRAM)]
    pub(crate) prompt_file: Option<Given>,

    /// Print the decision and the plan; take, create and start nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// The program and its arguments, after `--`. Without a program the session is started as its record says, but for
    /// the options named here
    #[arg(last = true, value_name = "PROGRAM")]
    pub(crate) command: Vec<OsString>,
}

/// The headings of the options of `up`.
const ADDRESS: &str = "Where the worker answers";
const READINESS: &str = "When the worker is ready";
const PROGRAM: &str = "How the program runs";

/// The end of the help of `up`. A test compares the kinds with the table of the core: to put the text together at run
/// time would delay every `up`.
pub(super) const UP_HELP: &str = "\
Kinds of --ready:
  connect       the endpoint accepts a connection
  http=PATH     GET PATH is answered with a status from 200 to 399
  handshake     the worker answers a handshake in the version of --speak
  notify        the worker sent READY=1, and a process listens at the endpoint, if there is one
  listen        the program runs; its socket listens from birth
  line=REGEX    a line of this start's standard output or standard error matches REGEX
  exec=COMMAND  /bin/sh -c COMMAND exits with 0, in the worker's environment and directory
  running       the program runs, and still runs after --settle

In the program's arguments {socket}, {port}, {host}, {address}, {session} and {prompt} are filled in; no \
    shell is involved. The environment has REKINDLE_SOCKET, REKINDLE_PORT and PORT, as far as the address has \
    them, and REKINDLE_ADDRESS, REKINDLE_SESSION, REKINDLE_GENERATION and REKINDLE_NONCE.

A TCP listener has to be a process of the worker: another program on the port is named and refused.

For a worker that ends when its first client leaves, choose a kind that makes no connection: notify, \
    listen, line, exec or running.

Other users can read arguments, but not the environment: give a secret by --prompt-file, and leave \
    {prompt} out.

Examples:
  rekindle up web --address tcp:0 --ready http=/ -- python3 -m http.server {port}
  rekindle up cache -- redis-server --port 0 --unixsocket {socket} --save ''
  rekindle up bot --address none -- my-bot";

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The new worker has the recorded program, options, environment and address, also a port that was chosen. A \
    session that does not run is started. To change an option: rekindle up SESSION --intent restart OPTION...\n\n\
    Exit codes: as for `up`; with --if-running 0 if nothing runs."
)]
pub(crate) struct RestartArgs {
    /// The session
    pub(crate) session: SessionId,

    /// Start nothing if the session does not run
    #[arg(long)]
    pub(crate) if_running: bool,

    /// How long the start may take, and the wait for another launcher [default: as recorded]
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(crate) timeout: Option<Duration>,

    #[command(flatten)]
    pub(crate) ending: Ending,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CallArgs {
    /// The session
    pub(crate) session: SessionId,

    /// The JSON value to send, on one line
    #[arg(value_parser = json)]
    pub(crate) json_line: serde_json::Value,

    /// How long the answer may take
    #[arg(long, value_parser = duration, default_value = "30s", value_name = "TIME")]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IntentArg {
    Ensure,
    Attach,
    Resume,
    Restart,
}

impl From<IntentArg> for Intent {
    fn from(intent: IntentArg) -> Self {
        match intent {
            IntentArg::Ensure => Self::Ensure,
            IntentArg::Attach => Self::Attach,
            IntentArg::Resume => Self::Resume,
            IntentArg::Restart => Self::Restart,
        }
    }
}
