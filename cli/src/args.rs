//! What can be said on the command line. Every text here is what `--help` teaches.

mod lifecycle;
mod pool;
mod values;

use crate::given::Given;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use rekindle::Intent;
use rekindle::SessionId;
use rekindle::protocol::Version;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use values::{Graces, age, duration, handed_output, json, ready, ready_help, variable};

pub(crate) use lifecycle::{LifecycleVerb, MarkerPath};
pub(crate) use pool::{AnswerTime, PoolVerb, ReachTime, WorkTime};

/// Start or resume a background worker for a session exactly once, and never lose one.
///
/// A session is a name of your choice; its worker is one program that listens on a socket. `up` makes sure that the
/// worker runs, however many callers ask at once and whatever crashed before, and prints where it answers.
#[derive(Debug, Parser)]
#[command(name = "rekindle", version, max_term_width = 100, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done; 1 failed or unknown session; 2 usage; 3 refused. For `up` also 4 the program \
    never started; 5 it ended before it was ready; 6 the claim is retained.\n\n\
    Start here: rekindle demo"
)]
pub(crate) struct Args {
    /// State directory [default: $REKINDLE_DIR, $XDG_STATE_HOME/rekindle, ~/.local/state/rekindle]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// Print one JSON object a line on stdout, for failures too
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Say more on stderr; twice for more still
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

// Deferred: of all that can be said, one start needs to know only what is.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Verb {
    /// Make sure that a session's worker runs, and print where it answers
    Up(Box<UpArgs>),
    /// List the sessions, without connecting to any
    Ls,
    /// Show all that is known of a session: its record, its claim and its lifeline
    Show {
        /// The session
        session: SessionId,
    },
    /// End workers with all their processes: SIGTERM, then SIGKILL
    Stop(StopArgs),
    /// Send one JSON line to a worker's socket and print the one that comes back
    Call(CallArgs),
    /// Judge a socket path: alive, dead, indeterminate or forged, and why
    Probe {
        /// The socket
        path: PathBuf,
    },
    /// Clear a claim that was left behind
    Unlock(UnlockArgs),
    /// Remove sessions whose worker is provably gone, with their records and logs
    Gc(GcArgs),
    /// Say what is held, by whom, since when, why that is believed, and what to type next
    Doctor {
        /// The session [default: all of them]
        session: Option<SessionId>,
    },
    /// Run pieces of work in workers of their own, pause them for an answer, continue them from anywhere
    #[command(subcommand)]
    Pool(PoolVerb),
    /// Hold a daemon's singleton marker: one file that says who runs, and a lock that decides who may
    #[command(subcommand)]
    Lifecycle(LifecycleVerb),
    /// Run a program that speaks over stdin and stdout, and end it in order
    Supervise(SuperviseArgs),
    /// Be a worker: the reference that the demo and the tests start
    Worker(WorkerArgs),
    /// Take a guided tour on real processes in a temporary directory
    Demo,
}

#[derive(Debug, clap::Args)]
#[command(override_usage = "rekindle up [OPTIONS] <SESSION> [-- PROGRAM [ARG]...]")]
#[command(
    after_help = "In the program's arguments {session}, {socket} and {prompt} are filled in; nothing is split, and \
    no shell is involved. The worker also gets REKINDLE_SESSION, REKINDLE_SOCKET, REKINDLE_GENERATION and \
    REKINDLE_NONCE.\n\n\
    Other users can read the arguments of a program while it runs, ours and the worker's, and not its environment. A \
    prompt that is a secret is given with --prompt-file, and taken from REKINDLE_PROMPT: {prompt} in an argument shows it. \
    One newline at the end of the file is left out.\n\n\
    Which --ready: `connect` for any program that opens {socket} and needs to know nothing of rekindle. `notify` for \
    one that tells systemd when it is ready (sd_notify, NOTIFY_SOCKET): it counts as ready when it has said so and \
    listens, may ask for more time, up to ten times the --timeout, and says how it is should it fail. `listen` for one \
    that takes its socket from systemd (LISTEN_FDS): it gets {socket} as descriptor 3, clients find it listening \
    from birth, and the path may be longer than 107 bytes; it counts as ready once its program runs.\n\n\
    A worker that ends when its first client leaves is not for `up` with --ready connect: the connection that proves \
    that it answers closes when `up` ends. The library hands that connection on. With notify and listen nobody \
    connects to it.\n\n\
    Example: rekindle up cache -- redis-server --port 0 --unixsocket {socket} --save ''"
)]
pub(crate) struct UpArgs {
    /// The session: up to 64 of the characters A-Z a-z 0-9 . _ -
    pub(crate) session: SessionId,

    /// ensure: start or attach; attach: never start; resume: must start; restart: end the worker that runs, then start
    #[arg(long, value_enum, default_value_t = IntentArg::Ensure)]
    pub(crate) intent: IntentArg,

    #[arg(long, help = ready_help(), value_parser = ready, default_value_t, value_name = "KIND")]
    pub(crate) ready: rekindle::ReadyKind,

    /// The version of the pool protocol that we speak, with --ready handshake
    #[arg(long, required_if_eq("ready", "handshake"), value_name = "VERSION")]
    pub(crate) speak: Option<Version>,

    /// Where the worker answers [default: the session's own directory]
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,

    /// How long waiting and starting may take together
    #[arg(long, value_parser = duration, default_value = "30s", value_name = "TIME")]
    pub(crate) timeout: Duration,

    #[command(flatten)]
    pub(crate) graces: Graces,

    /// The worker's working directory [default: this one]
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,

    /// Set a variable in the worker's environment; may be repeated
    #[arg(long, value_parser = OsStringValueParser::new().try_map(|text| variable(&text)), value_name = "K=V")]
    pub(crate) env: Vec<(String, OsString)>,

    /// Start from an empty environment instead of this one
    #[arg(long)]
    pub(crate) clear_env: bool,

    /// What {prompt} stands for
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<OsString>,

    /// Read the prompt from a file, or from standard input (`-`); the worker finds it in REKINDLE_PROMPT
    #[arg(long, value_parser = OsStringValueParser::new().map(Given::from_path), conflicts_with = "prompt", value_name = "FILE")]
    pub(crate) prompt_file: Option<Given>,

    /// Print what would be done and the plan; take, create and start nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// The program and its arguments, after `--`; may be left out with --intent attach
    #[arg(last = true, value_name = "PROGRAM")]
    pub(crate) command: Vec<OsString>,
}

/// `rekindle unlock`
#[derive(Debug, clap::Args)]
pub(crate) struct UnlockArgs {
    /// The session
    pub(crate) session: SessionId,

    /// Clear any claim that no launcher holds at this moment, also one whose holder cannot be judged
    #[arg(long)]
    pub(crate) force: bool,

    /// Clear the whole session, of whose worker nothing can be proved from here: set its record aside, signal nobody, and
    /// say what could not be proved. For a session that `up` and `stop` refuse with `worker-unknown`
    #[arg(long, conflicts_with = "force")]
    pub(crate) forget: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The last run of a session is kept if it failed: it ended before it was ready, or by itself and not with \
    status 0. A session that was stopped is removed.\n\n\
    Exit codes: 0 done; 1 a session was kept because it could not be worked with."
)]
pub(crate) struct GcArgs {
    /// Only these sessions [default: all of them]
    pub(crate) sessions: Vec<SessionId>,

    /// Give files that cannot be read another name, so that their sessions can be used again
    #[arg(long)]
    pub(crate) repair: bool,

    /// Say what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Remove runs that failed too, if they ended longer ago than this, such as 7d or 12h
    #[arg(long, value_parser = age, value_name = "AGE", conflicts_with = "all")]
    pub(crate) older_than: Option<Duration>,

    /// Remove runs that failed too
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StopArgs {
    /// The sessions
    #[arg(required_unless_present = "all")]
    pub(crate) sessions: Vec<SessionId>,

    /// All of them
    #[arg(long, conflicts_with = "sessions")]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) graces: Graces,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CallArgs {
    /// The session
    pub(crate) session: SessionId,

    /// The JSON to send, on one line
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
    (128 + N if signal N ended it; 1 if it succeeded and its output could not be written). The end of our stdin begins \
    the stop, and so do SIGTERM, SIGINT, SIGHUP and a stdout that nobody reads any more; a third such signal kills at \
    once. If we are killed, the program ends all the same.\n\n\
    Every descendant of the program ends with it, also a daemon or a browser with a session of its own; \
    --leave-detached leaves those alone. A worker that the program started with `rekindle up` always goes on. As pid 1 \
    of a container `supervise` reaps orphans.\n\n\
    A stop closes the program's stdin and sends SIGTERM once --stdin-grace is over, then SIGKILL. With the default of \
    0s the stop begins when the program has read all of its input and then been silent on stdout for 2 s; or when it \
    has read nothing for 10 s, or answered for 60 s. If we ended the program, one line on stderr says so. Name a grace \
    for a program that needs more time for its last answer or for its own end:\n\n\
    Example: printf '%s\\n' \"$REQUEST\" | rekindle supervise --stdin-grace 30s -- my-mcp-server --stdio\n\n\
    With --json stderr carries events, one object a line: started, stopping, signalled, exited, ended-by-us, \
    output-lost, stopped. The program writes to stderr too, and could forge events; with --events-fd it cannot:\n\n\
    Example: rekindle supervise --json --events-fd 3 -- my-mcp-server 3>events"
)]
pub(crate) struct SuperviseArgs {
    /// How long it may take to end by itself after its stdin was closed
    #[arg(long, value_parser = duration, default_value = "0s", value_name = "TIME")]
    pub(crate) stdin_grace: Duration,

    #[command(flatten)]
    pub(crate) graces: Graces,

    /// Leave descendants alone that began a session of their own (daemons, browsers), and name them
    #[arg(long)]
    pub(crate) leave_detached: bool,

    /// Write events to descriptor N, which the program does not inherit, instead of to stderr
    #[arg(long, value_parser = handed_output, value_name = "N")]
    pub(crate) events_fd: Option<Arc<OwnedFd>>,

    /// The program and its arguments, after `--`
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    /// Where to answer [default: $REKINDLE_SOCKET]
    #[arg(long, env = "REKINDLE_SOCKET", hide_env_values = true, value_name = "PATH")]
    pub(crate) socket: PathBuf,

    /// What to speak
    #[arg(long, value_enum, default_value_t = Protocol::Echo)]
    pub(crate) protocol: Protocol,

    /// pool: the version that a handshake is answered with
    #[arg(long, default_value = "1", value_name = "VERSION")]
    pub(crate) version_string: Version,

    /// pool: end after this time with neither a client nor a session [default: never]
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(crate) idle_timeout: Option<Duration>,

    /// Misbehave: end only when killed
    #[arg(long)]
    pub(crate) ignore_term: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// Send every line back as it came
    Echo,
    /// Run small scripts that ask their host: `name = ask("Who?")`, then `done("Hello {name}")`
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
        assert!(error.to_string().contains("use connect, handshake, notify or listen"), "{error}");
        assert_eq!(error.exit_code(), 2);
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
