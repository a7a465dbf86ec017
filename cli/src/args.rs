//! The grammar of the command line. Every text here is shown by `--help`.

mod end;
mod lifecycle;
mod logs;
mod look;
pub(crate) mod pages;
mod pool;
mod programs;
mod setup;
mod start;
mod values;
mod watch;

use clap::builder::PossibleValuesParser;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};
use rekindle::SessionId;
use rekindle::json::schemas::SCHEMAS;
use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::path::PathBuf;

pub(crate) use end::{GcArgs, RmArgs, StopArgs, UnlockArgs};
pub(crate) use lifecycle::{LifecycleVerb, MarkerPath};
pub(crate) use logs::LogsArgs;
pub(crate) use look::LsArgs;
pub(crate) use pool::{AnswerTime, PoolVerb, ReachTime, WorkTime};
pub(crate) use programs::{ClaimArgs, Protocol, SuperviseArgs, WorkerArgs};
pub(crate) use setup::{CompletionsArgs, ManArgs, Shell};
pub(crate) use start::{CallArgs, RestartArgs, UpArgs};
pub(crate) use watch::{EventsArgs, SignalArgs, StatusArgs, WaitArgs, WaitFor};

/// Start or resume a session's background worker exactly once, and never lose it
///
/// A session is a name of your choice; the session's worker is a program that listens on a
/// socket or a TCP port, or a program without any address. `up` makes sure that
/// the worker runs, however many callers ask at once and whichever process crashed before, and prints the address of
/// the worker.
#[derive(Debug, Parser)]
#[command(name = "rekindle", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

// The options of every verb. No doc comment: clap would show a doc comment in place of the command's text.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// State directory [default: ~/.local/state/rekindle]
    ///
    /// The default is $REKINDLE_DIR, else the own directory of a project, else $XDG_STATE_HOME/rekindle, else ~/.local/state/rekindle.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// Project file [default: rekindle.toml, here or above]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// Print JSON, also for failures
    ///
    /// Objects on stdout, one a line. Text is for people; scripts read JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Log more on stderr (-v info, -vv debug)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

// The grammar of `up` alone. clap copies the options of every verb into each verb: for a live session the whole grammar
// would cost more than all other work of the call.
#[derive(Debug, Parser)]
#[command(name = "rekindle", disable_help_flag = true, disable_help_subcommand = true)]
struct UpAlone {
    #[command(flatten)]
    common: Common,

    #[command(subcommand)]
    verb: OnlyUp,
}

#[derive(Debug, Subcommand)]
#[command(disable_help_flag = true)]
enum OnlyUp {
    Up(Box<UpArgs>),
}

impl Args {
    /// Parses a command line of `up` by the grammar of `up` alone; `None` for any other line, and for a wrong one: the whole
    /// grammar has the words for a refusal.
    pub(crate) fn of_up(line: &[OsString]) -> Option<Self> {
        if !line.iter().take_while(|word| *word != "--").any(|word| word == "up") {
            return None;
        }
        // Never dropped, as the whole grammar.
        let mut grammar = ManuallyDrop::new(UpAlone::command());
        let mut matches = grammar.try_get_matches_from_mut(line).ok()?;
        let UpAlone { common, verb: OnlyUp::Up(up) } = UpAlone::from_arg_matches_mut(&mut matches).ok()?;
        Some(Self { common, verb: Verb::Up(up) })
    }
}

// `defer`: clap builds the grammar of a verb only when the command line names the verb.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Verb {
    /// Make sure that a session's worker runs, and print its address
    Up(Box<UpArgs>),
    /// List the sessions, with their state or how they ended
    #[command(visible_alias = "ps")]
    Ls(LsArgs),
    /// Show a session: its state or end, its logs, what to type next
    #[command(visible_alias = "describe")]
    Show {
        /// The session
        session: SessionId,
    },
    /// End the worker, and start it again as recorded
    Restart(RestartArgs),
    /// Tell whether workers are live, with an exit code for scripts
    Status(StatusArgs),
    /// Wait until a worker has ended or is ready; exit with its code
    Wait(WaitArgs),
    /// Follow what happens to sessions, one line for each event
    Events(EventsArgs),
    /// Send a signal to a worker
    Signal(SignalArgs),
    /// Print what a worker wrote, and follow it
    Logs(LogsArgs),
    /// End workers with all their processes: SIGTERM, then SIGKILL
    #[command(visible_alias = "down")]
    Stop(StopArgs),
    /// Send one JSON line to a worker, and print its answer
    Call(CallArgs),
    /// Judge a socket or a TCP port: alive, dead, indeterminate, forged
    Probe {
        /// The path of a socket; tcp:PORT or tcp:HOST:PORT for a port of this machine
        #[arg(value_name = "PATH|ADDRESS")]
        target: OsString,
    },
    /// Clear a leftover claim
    Unlock(UnlockArgs),
    /// Remove named sessions whose worker is provably gone
    Rm(RmArgs),
    /// Remove sessions whose worker is provably gone, with their logs
    Gc(GcArgs),
    /// Diagnose sessions: claim holders, evidence, and the next command
    Doctor {
        /// The session [default: all sessions]
        session: Option<SessionId>,
    },
    /// Run pieces of work in separate workers, with pauses for answers
    ///
    /// A piece of work pauses for an answer, and any process can continue it.
    #[command(subcommand)]
    Pool(PoolVerb),
    /// Hold a daemon's lifecycle lock, which admits one holder
    ///
    /// A marker file names the holder, and a kernel lock admits one holder.
    #[command(subcommand)]
    Lifecycle(LifecycleVerb),
    /// Run a program under the claim of a session
    ///
    /// No process starts or replaces the worker meanwhile.
    Claim(ClaimArgs),
    /// Run a program over stdin and stdout, and end it in order
    Supervise(SuperviseArgs),
    /// Run a reference worker, to try the other verbs
    Worker(WorkerArgs),
    /// List the JSON schemas of the verbs, or print one
    Schema {
        /// The verb, as `rekindle schema` lists it [default: list them]
        #[arg(value_name = "VERB", value_parser = PossibleValuesParser::new(SCHEMAS.iter().map(|it| it.name)))]
        #[arg(hide_possible_values = true)]
        name: Option<String>,
    },
    /// Write an example of a project file, rekindle.toml
    Init,
    /// Take a guided tour on real processes in a temporary directory
    Demo,
    /// Print the completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write all pages into --dir
    Man(ManArgs),
}

impl Verb {
    /// Whether a program of the caller runs in the foreground, so that the exit code is the program's: failures of ours
    /// then have exit codes of their own.
    pub(crate) fn runs_program(&self) -> bool {
        match self {
            Self::Supervise(_) | Self::Claim(_) => true,
            Self::Lifecycle(verb) => verb.runs_program(),
            Self::Up(_)
            | Self::Ls(_)
            | Self::Show { .. }
            | Self::Restart(_)
            | Self::Status(_)
            | Self::Wait(_)
            | Self::Events(_)
            | Self::Signal(_)
            | Self::Logs(_)
            | Self::Rm(_)
            | Self::Schema { .. }
            | Self::Init
            | Self::Completions(_)
            | Self::Man(_)
            | Self::Stop(_)
            | Self::Call(_)
            | Self::Probe { .. }
            | Self::Unlock(_)
            | Self::Gc(_)
            | Self::Doctor { .. }
            | Self::Pool(_)
            | Self::Worker(_)
            | Self::Demo => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_holds_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn up_alone_is_parsed_as_by_the_whole_grammar() {
        let lines = [
            "rekindle up s",
            "rekindle --dir up up s --json -vv -- up",
            "rekindle up",
            "rekindle --json up s --intent attach --file f",
            "rekindle up s --env A=1 --timeout 3s --address tcp:0 -- p --json",
        ];
        for line in lines {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let (alone, whole) = (Args::of_up(&words).unwrap(), Args::try_parse_from(&words).unwrap());
            assert_eq!(format!("{alone:?}"), format!("{whole:?}"), "{line}");
        }
        for line in [
            "rekindle ls",
            "rekindle stop up",
            "rekindle up s --help",
            "rekindle up --wrong",
            "rekindle --dir up ls",
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert!(Args::of_up(&words).is_none(), "{line}");
        }
    }

    #[test]
    fn options_stand_anywhere_before_the_dashes() {
        let args =
            Args::try_parse_from(["rekindle", "up", "s", "--json", "--dir", "/d", "--", "p", "--json"])
                .unwrap();
        assert!(args.common.json);
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
}
