//! The grammar of `rekindle lifecycle`.

use clap::Subcommand;
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum LifecycleVerb {
    /// Take the lock for a process, or for as long as a program runs
    #[command(override_usage = "rekindle lifecycle acquire [OPTIONS] [-- PROGRAM [ARG]...]")]
    #[command(
        after_help = "With a PROGRAM the lock is held exactly as long as the program runs. Signals are passed on to the \
        program, and its exit status is passed back (128+n for signal n). If rekindle is killed, the kernel kills the \
        program too, and the program keeps the lock to its end. As pid 1 of a container rekindle reaps orphans \
        meanwhile. With --json our output goes to stderr, since stdout belongs to the program.\n\n\
        Without a PROGRAM the process of --pid holds the lock, until the process ends or `release` is called for it.\n\n\
        Exit codes: 3 another process holds the lock; 4 the program never started.\n\n\
        Example: rekindle lifecycle acquire --path /run/mydaemon.lock -- mydaemon --foreground"
    )]
    Acquire {
        #[command(flatten)]
        place: MarkerPath,

        /// The process to hold the lock [default: the parent process]
        #[arg(long, conflicts_with = "command")]
        pid: Option<i32>,

        /// A program to run under the lock, after `--`
        #[arg(last = true, value_name = "PROGRAM")]
        command: Vec<OsString>,
    },
    /// Show the holder of the lock, and the evidence
    Status {
        #[command(flatten)]
        place: MarkerPath,
    },
    /// Release the lock, if the process holds the lock; never another holder's lock
    Release {
        #[command(flatten)]
        place: MarkerPath,

        /// The holder of the lock [default: the parent process]
        #[arg(long)]
        pid: Option<i32>,
    },
    /// Remove the marker and print its content, unless a process uses the lock
    ForceUnlock {
        #[command(flatten)]
        place: MarkerPath,
    },
}

// The place of a marker. No doc comment: clap would show a doc comment in place of the verb's text.
#[derive(Debug, clap::Args)]
pub(crate) struct MarkerPath {
    /// The marker [default: .locked in the state directory]
    #[arg(long, value_name = "FILE")]
    pub(crate) path: Option<PathBuf>,
}
