//! What can be said to `rekindle lifecycle`.

use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum LifecycleVerb {
    /// Take the lock for a process, or for as long as a program runs
    #[command(override_usage = "rekindle lifecycle acquire [OPTIONS] [-- PROGRAM [ARG]...]")]
    #[command(
        after_help = "With a PROGRAM the lock is held exactly as long as it runs. Signals are passed on to it and its \
        exit status is passed back (128+n for signal n). Should rekindle itself be killed, the kernel kills the \
        program too, and until it is gone it holds the lock itself. As pid 1 of a container rekindle reaps orphans \
        meanwhile. What is said with --json then goes to stderr, as \
        stdout is the program's.\n\n\
        Without one the lock is held by --pid, until that process ends or `release` is called for it.\n\n\
        Exit codes: 3 another holds it; 4 the program never started.\n\n\
        Example: rekindle lifecycle acquire --path /run/mydaemon.lock -- mydaemon --foreground"
    )]
    Acquire {
        #[command(flatten)]
        place: MarkerPath,

        /// The process that is to hold it [default: the parent process]
        #[arg(long, conflicts_with = "command")]
        pid: Option<i32>,

        /// A program to run under the lock, after `--`
        #[arg(last = true, value_name = "PROGRAM")]
        command: Vec<String>,
    },
    /// Say who holds the lock, and why that is believed
    Status {
        #[command(flatten)]
        place: MarkerPath,
    },
    /// Give the lock up, if the process holds it; nobody else's is touched
    Release {
        #[command(flatten)]
        place: MarkerPath,

        /// The process that holds it [default: the parent process]
        #[arg(long)]
        pid: Option<i32>,
    },
    /// Remove the marker whatever it says, and print what it said; not from under a process that has its lock in use
    ForceUnlock {
        #[command(flatten)]
        place: MarkerPath,
    },
}

// Where a lifecycle lock's marker is. No doc comment: that would take the place of what the verb is about.
#[derive(Debug, clap::Args)]
pub(crate) struct MarkerPath {
    /// The marker [default: .locked in the state directory]
    #[arg(long, value_name = "FILE")]
    pub(crate) path: Option<PathBuf>,
}
