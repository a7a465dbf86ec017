//! The grammar of `rekindle lifecycle`.

use super::values::{PROCESS, TARGET};
use clap::Subcommand;
use std::ffi::OsString;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum LifecycleVerb {
    /// Take the lock for a process, or for as long as a program runs
    #[command(override_usage = "rekindle lifecycle acquire [OPTIONS] [-- PROGRAM [ARG]...]")]
    Acquire {
        #[command(flatten)]
        place: MarkerPath,

        /// The process to hold the lock [default: the parent process]
        #[arg(long, conflicts_with = "command", help_heading = PROCESS)]
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
        #[arg(long, help_heading = PROCESS)]
        pid: Option<i32>,
    },
    /// Remove the marker and print its content, unless a process uses the lock
    ForceUnlock {
        #[command(flatten)]
        place: MarkerPath,
    },
}

impl LifecycleVerb {
    /// Whether a program of the caller runs, so that the exit code is the program's.
    pub(crate) fn runs_program(&self) -> bool {
        match self {
            Self::Acquire { command, .. } => !command.is_empty(),
            Self::Status { .. } | Self::Release { .. } | Self::ForceUnlock { .. } => false,
        }
    }
}

// The place of a marker. No doc comment: clap would show a doc comment in place of the verb's text.
#[derive(Debug, clap::Args)]
pub(crate) struct MarkerPath {
    /// The marker [default: .locked in the state directory]
    #[arg(long, value_name = "FILE", help_heading = TARGET)]
    pub(crate) path: Option<PathBuf>,
}
