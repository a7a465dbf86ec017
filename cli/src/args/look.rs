//! The verbs that show sessions.

use super::values::{OUTPUT, TARGET};

#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    /// Cut nothing, even if a line is wider than the terminal
    #[arg(short, long, help_heading = OUTPUT)]
    pub(crate) wide: bool,

    /// List the sessions of every state root
    ///
    /// The default root, and the root of each project.
    #[arg(long, conflicts_with = "dir", help_heading = TARGET)]
    pub(crate) all: bool,
}
