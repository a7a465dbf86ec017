//! The grammar of the command line. Every text here is shown by `--help`.

mod end;
mod lifecycle;
mod look;
pub(crate) mod pages;
mod pool;
mod programs;
mod start;
mod values;

use clap::{ArgAction, Parser, Subcommand};
use rekindle::SessionId;
use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) use end::{GcArgs, StopArgs, UnlockArgs};
pub(crate) use lifecycle::{LifecycleVerb, MarkerPath};
pub(crate) use look::LsArgs;
pub(crate) use pool::{AnswerTime, PoolVerb, ReachTime, WorkTime};
pub(crate) use programs::{Protocol, SuperviseArgs, WorkerArgs};
pub(crate) use start::{CallArgs, UpArgs};

/// Start or resume a session's background worker exactly once, and never lose it
///
/// A session is a name of your choice; the session's worker is a program that listens on a
/// socket or a TCP port, or a program without any address. `up` makes sure that
/// the worker runs, however many callers ask at once and whichever process crashed before, and prints the address of
/// the worker.
#[derive(Debug, Parser)]
#[command(name = "rekindle", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Args {
    /// State directory [default: ~/.local/state/rekindle]
    ///
    /// The default is $REKINDLE_DIR, else $XDG_STATE_HOME/rekindle, else ~/.local/state/rekindle.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// Print JSON, also for failures
    ///
    /// Objects on stdout, one a line. Text is for people; scripts read JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Log more on stderr (-v info, -vv debug)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

// `defer`: clap builds the grammar of a verb only when the command line names the verb.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Verb {
    /// Make sure that a session's worker runs, and print its address
    Up(Box<UpArgs>),
    /// List the sessions, with their state or how they ended
    Ls(LsArgs),
    /// Show a session: its state or end, its logs, what to type next
    Show {
        /// The session
        session: SessionId,
    },
    /// End workers with all their processes: SIGTERM, then SIGKILL
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
    /// Run a program over stdin and stdout, and end it in order
    Supervise(SuperviseArgs),
    /// Run a reference worker, to try the other verbs
    Worker(WorkerArgs),
    /// Take a guided tour on real processes in a temporary directory
    Demo,
}

impl Verb {
    /// Whether a program of the caller runs in the foreground, so that the exit code is the program's: failures of ours
    /// then have exit codes of their own.
    pub(crate) fn runs_program(&self) -> bool {
        match self {
            Self::Supervise(_) => true,
            Self::Lifecycle(verb) => verb.runs_program(),
            Self::Up(_)
            | Self::Ls(_)
            | Self::Show { .. }
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
