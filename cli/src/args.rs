//! The grammar of the command line. Every text here is shown by `--help`.

mod end;
mod lifecycle;
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
pub(crate) use pool::{AnswerTime, PoolVerb, ReachTime, WorkTime};
pub(crate) use programs::{ClaimArgs, Protocol, SuperviseArgs, WorkerArgs};
pub(crate) use start::{CallArgs, UpArgs};

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
    /// Run a program under the claim of a session: no process starts or replaces the worker meanwhile
    Claim(ClaimArgs),
    /// Run a program as a child over stdin and stdout, and end the program in order
    Supervise(SuperviseArgs),
    /// Run a reference worker, to try the other verbs
    Worker(WorkerArgs),
    /// Take a guided tour on real processes in a temporary directory
    Demo,
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
        assert!(
            start::UP_HELP.contains(&format!("Kinds of --ready:\n{}\n", lines.concat())),
            "{}",
            lines.concat()
        );
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
