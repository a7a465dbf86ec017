//! The grammar of the command line. Every text here is shown by `--help`.

mod lifecycle;
mod pool;
mod values;

use crate::given::Given;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use rekindle::SessionId;
use rekindle::protocol::Version;
use rekindle::{Address, Intent};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use values::{Graces, age, duration, handed_output, json, ready, variable};

pub(crate) use lifecycle::{LifecycleVerb, MarkerPath};
pub(crate) use pool::{AnswerTime, PoolVerb, ReachTime, WorkTime};

/// Start or resume a background worker for a session exactly once, and never lose a worker.
///
/// A session is a name of your choice; the session's worker is a program that listens on a
/// socket or a TCP port, or a program without any address. `up` makes sure that
/// the worker runs, however many callers ask at once and whichever process crashed before, and prints the address of
/// the worker.
#[derive(Debug, Parser)]
#[command(name = "rekindle", version, max_term_width = 100, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done; 1 failed or unknown session; 2 usage; 3 refused. For `up` also 4 the program \
    never started; 5 the program ended before readiness; 6 the claim is retained.\n\n\
    Start here: rekindle demo"
)]
pub(crate) struct Args {
    /// State directory [default: $REKINDLE_DIR, $XDG_STATE_HOME/rekindle, ~/.local/state/rekindle]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// Print JSON objects on stdout, one per line, also for failures
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Increase log verbosity on stderr (-v info, -vv debug)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

// `defer`: clap builds the grammar of a verb only when the command line names the verb.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Verb {
    /// Make sure that a session's worker runs, and print the worker's address
    Up(Box<UpArgs>),
    /// List the sessions, without connecting to any
    Ls,
    /// Show a session: record, claim and lifeline
    Show {
        /// The session
        session: SessionId,
    },
    /// End workers with all their processes: SIGTERM, then SIGKILL
    Stop(StopArgs),
    /// Send one JSON line to a worker and print the line of the answer
    Call(CallArgs),
    /// Judge a socket or a TCP port: alive, dead, indeterminate or forged, and why
    Probe {
        /// The path of a socket, or tcp:PORT or tcp:HOST:PORT for a port of this machine
        #[arg(value_name = "PATH|ADDRESS")]
        target: OsString,
    },
    /// Clear a leftover claim
    Unlock(UnlockArgs),
    /// Remove sessions with a provably gone worker, with their records and logs
    Gc(GcArgs),
    /// Diagnose sessions: claim holders, evidence, and the next command
    Doctor {
        /// The session [default: all sessions]
        session: Option<SessionId>,
    },
    /// Run pieces of work, each in a separate worker; pause for an answer, continue from any process
    #[command(subcommand)]
    Pool(PoolVerb),
    /// Hold a daemon's lifecycle lock: a marker file names the holder, and a kernel lock admits one holder
    #[command(subcommand)]
    Lifecycle(LifecycleVerb),
    /// Run a program as a child over stdin and stdout, and end the program in order
    Supervise(SuperviseArgs),
    /// Run a reference worker, to try the other verbs
    Worker(WorkerArgs),
    /// Take a guided tour on real processes in a temporary directory
    Demo,
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "rekindle up [OPTIONS] <SESSION> [-- PROGRAM [ARG]...]", after_help = UP_HELP)]
pub(crate) struct UpArgs {
    /// The session: up to 64 of the characters A-Z a-z 0-9 . _ -
    pub(crate) session: SessionId,

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

    /// The condition, of the list below [default: connect; without an address: running]
    #[arg(long, value_parser = ready, value_name = "KIND[=PARAM]", help_heading = READINESS)]
    pub(crate) ready: Option<rekindle::Readiness>,

    /// For --ready running: how long the program has to run [default: 200ms]
    #[arg(long, value_parser = duration, value_name = "TIME", help_heading = READINESS)]
    pub(crate) settle: Option<Duration>,

    /// For --ready handshake: the host's version of the pool protocol
    #[arg(long, required_if_eq("ready", "handshake"), value_name = "VERSION", help_heading = READINESS)]
    pub(crate) speak: Option<Version>,

    /// How long waiting and starting may take together
    #[arg(long, value_parser = duration, default_value = "30s", value_name = "TIME", help_heading = READINESS)]
    pub(crate) timeout: Duration,

    #[command(flatten)]
    pub(crate) graces: Graces,

    /// The working directory [default: the current directory]
    #[arg(long, value_name = "DIR", help_heading = PROGRAM)]
    pub(crate) cwd: Option<PathBuf>,

    /// Set a variable in the environment; may be repeated
    #[arg(long, value_parser = OsStringValueParser::new().try_map(|text| variable(&text)), value_name = "K=V")]
    #[arg(help_heading = PROGRAM)]
    pub(crate) env: Vec<(String, OsString)>,

    /// Begin with an empty environment, not with the caller's
    #[arg(long, help_heading = PROGRAM)]
    pub(crate) clear_env: bool,

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

    /// The program and its arguments, after `--`; may be left out with --intent attach
    #[arg(last = true, value_name = "PROGRAM")]
    pub(crate) command: Vec<OsString>,
}

/// The headings of the options of `up`.
const ADDRESS: &str = "Where the worker answers";
const READINESS: &str = "When the worker is ready";
const PROGRAM: &str = "How the program runs";

/// The end of the help of `up`. A test compares the kinds with the table of the core: to put the text together at run
/// time would delay every `up`.
const UP_HELP: &str = "\
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
    /// The sessions
    #[arg(required_unless_present = "all")]
    pub(crate) sessions: Vec<SessionId>,

    /// All sessions
    #[arg(long, conflicts_with = "sessions")]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) graces: Graces,
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use rekindle::ReadyKind;

    #[test]
    fn the_grammar_holds_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn options_stand_anywhere_before_the_dashes() {
        let args =
            Args::try_parse_from(["rekindle", "up", "s", "--json", "--dir", "/d", "--", "p", "--json"])
                .unwrap();
        assert!(args.json);
        let Verb::Up(up) = args.verb else { panic!("another verb") };
        assert_eq!(up.command, ["p", "--json"]);
    }

    #[test]
    fn readiness_that_is_not_known_says_which_is() {
        let error = Args::try_parse_from(["rekindle", "up", "s", "--ready", "hope", "--", "p"]).unwrap_err();
        assert!(
            error.to_string().contains("use connect, http=PATH, handshake, notify, listen, line=REGEX"),
            "{error}"
        );
        assert_eq!(error.exit_code(), 2);
    }

    /// The table of the core owns the words. Code quotes are for pages.
    #[test]
    fn the_help_of_up_has_the_words_of_the_table() {
        let rows = ReadyKind::ALL.map(ReadyKind::row);
        let width = rows.iter().map(|row| row.spelling().len()).max().unwrap_or(0);
        let lines =
            rows.map(|row| format!("  {:width$}  {}\n", row.spelling(), row.ready_when.replace('`', "")));
        assert!(UP_HELP.contains(&format!("Kinds of --ready:\n{}\n", lines.concat())), "{}", lines.concat());
    }

    #[test]
    fn a_handshake_needs_a_version_to_speak() {
        let parse = |options: &[&str]| {
            Args::try_parse_from([&["rekindle", "up", "s"], options, &["--", "p"]].concat())
        };
        assert!(parse(&["--ready", "handshake", "--speak", "1"]).is_ok());
        for wrong in [&["--ready", "handshake"][..], &["--ready", "handshake", "--speak", ""]] {
            assert_eq!(parse(wrong).unwrap_err().exit_code(), 2, "{wrong:?}");
        }
    }

    #[test]
    fn wrong_session_ids_are_usage_errors() {
        let long = "a".repeat(65);
        for id in ["../x", "a/b", ".", "", "a\nb", long.as_str()] {
            let error = Args::try_parse_from(["rekindle", "up", id, "--", "p"]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{id:?}");
        }
    }

    #[test]
    fn help_teaches() {
        insta::assert_snapshot!("help", Args::command().render_long_help());
        let mut command = Args::command();
        let up = command.find_subcommand_mut("up").unwrap();
        insta::assert_snapshot!("help_up", up.render_help());
        let supervise = command.find_subcommand_mut("supervise").unwrap();
        insta::assert_snapshot!("help_supervise", supervise.render_help());
    }
}
