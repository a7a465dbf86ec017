//! The verbs that start or use a worker.

use super::values::{Ending, OUTPUT, PROCESS, READINESS, TARGET, duration, json, ready, variable};
use crate::given::Given;
use clap::ValueEnum;
use clap::builder::{OsStringValueParser, TypedValueParser};
use rekindle::protocol::Version;
use rekindle::{Address, Intent, LogMax, SessionId};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, clap::Args)]
#[command(override_usage = "rekindle up [OPTIONS] [SESSION] [-- PROGRAM [ARG]...]")]
pub(crate) struct UpArgs {
    /// The session [default: all of rekindle.toml]
    ///
    /// Up to 64 of the characters A-Z a-z 0-9 . _ - name a session. Without a session, all sessions of rekindle.toml are started in the order of `after`.
    pub(crate) session: Option<SessionId>,

    /// ensure (default), attach, resume or restart
    ///
    /// ensure: start or attach; attach: never start; resume: must start; restart: end the worker that runs, then start.
    #[arg(long, value_enum, default_value_t = IntentArg::Ensure, hide_default_value = true)]
    #[arg(hide_possible_values = true, help_heading = TARGET)]
    pub(crate) intent: IntentArg,

    /// unix (default), unix:PATH, tcp:PORT or none
    ///
    /// unix is the socket `sock` in the session's directory. tcp:HOST:PORT is another address of this machine. With tcp:0 a free port is chosen, and kept for later starts.
    /// none is for a program without an address.
    #[arg(long, value_parser = OsStringValueParser::new().try_map(|text| Address::from_text(&text)), value_name = "ADDRESS")]
    #[arg(help_heading = TARGET)]
    pub(crate) address: Option<Address>,

    /// Short for --address unix:PATH
    #[arg(long, value_name = "PATH", conflicts_with = "address", help_heading = TARGET)]
    pub(crate) socket: Option<PathBuf>,

    /// Take any listener on the port for the worker's
    ///
    /// For a relay, such as a container's.
    #[arg(long, help_heading = TARGET)]
    pub(crate) allow_foreign_listener: bool,

    /// Refuse a worker that no record names
    #[arg(long, help_heading = TARGET)]
    pub(crate) managed_only: bool,

    /// When the worker is ready [default: connect]
    ///
    /// A kind of the list below. The default for a worker without an address is running.
    #[arg(long, value_parser = ready, value_name = "KIND[=PARAM]", help_heading = READINESS)]
    pub(crate) ready: Option<rekindle::Readiness>,

    /// Time to run, for --ready running [default: 200ms]
    #[arg(long, value_parser = duration, value_name = "TIME", help_heading = READINESS)]
    pub(crate) settle: Option<Duration>,

    /// Pool protocol's version, for --ready handshake
    #[arg(long, required_if_eq("ready", "handshake"), value_name = "VERSION", help_heading = READINESS)]
    pub(crate) speak: Option<Version>,

    /// Time for the whole start [default: 30s]
    ///
    /// Waiting for another launcher counts.
    #[arg(long, value_parser = duration, value_name = "TIME", help_heading = READINESS)]
    pub(crate) timeout: Option<Duration>,

    #[command(flatten)]
    pub(crate) ending: Ending,

    /// Working directory [default: the current one]
    #[arg(long, value_name = "DIR", help_heading = PROCESS)]
    pub(crate) cwd: Option<PathBuf>,

    /// Set a variable; may be repeated
    #[arg(long, value_parser = OsStringValueParser::new().try_map(|text| variable(&text)), value_name = "K=V")]
    #[arg(help_heading = PROCESS)]
    pub(crate) env: Vec<(String, OsString)>,

    /// Read variables from a dotenv file; may be repeated
    ///
    /// Every start reads the file. The record has the path, and never a value.
    #[arg(long, value_name = "FILE", help_heading = PROCESS)]
    pub(crate) env_file: Vec<PathBuf>,

    /// Pass on only these variables of the caller
    #[arg(long, value_delimiter = ',', conflicts_with = "clear_env", value_name = "NAME,...", help_heading = PROCESS)]
    pub(crate) env_only: Vec<String>,

    /// Begin with an empty environment
    #[arg(long, help_heading = PROCESS)]
    pub(crate) clear_env: bool,

    /// Bound of each log: 512k, 1g, 0 [default: 64m]
    ///
    /// The oldest lines of a longer log are removed. 0 is no bound.
    #[arg(long, value_name = "SIZE", help_heading = OUTPUT)]
    pub(crate) log_max: Option<LogMax>,

    /// The text for {prompt}
    #[arg(long, value_name = "TEXT", help_heading = PROCESS)]
    pub(crate) prompt: Option<OsString>,

    /// Read the prompt from a file, or from stdin (`-`)
    ///
    /// The worker also receives the prompt in REKINDLE_PROMPT. Other users cannot read it there.
    #[arg(long, value_parser = OsStringValueParser::new().map(Given::from_path), conflicts_with = "prompt", value_name = "FILE")]
    #[arg(help_heading = PROCESS)]
    pub(crate) prompt_file: Option<Given>,

    /// Print the decision and the plan; change nothing
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) dry_run: bool,

    /// The program and its arguments, after `--`
    ///
    /// Without a program the session is started as rekindle.toml says, else as its record says, but for the options named here.
    #[arg(last = true, value_name = "PROGRAM")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RestartArgs {
    /// The session
    pub(crate) session: SessionId,

    /// Start nothing if the session does not run
    #[arg(long, help_heading = TARGET)]
    pub(crate) if_running: bool,

    /// Time for the whole start [default: as recorded]
    ///
    /// Waiting for another launcher counts.
    #[arg(long, value_parser = duration, value_name = "TIME", help_heading = READINESS)]
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

    /// Time for the answer
    #[arg(long, value_parser = duration, default_value = "30s", value_name = "TIME", help_heading = READINESS)]
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
