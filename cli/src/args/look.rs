//! The verbs that show sessions.

#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    /// Cut nothing, even if a line is wider than the terminal
    #[arg(short, long)]
    pub(crate) wide: bool,

    /// List every state root: the default root, and the root of each project
    #[arg(long, conflicts_with = "dir")]
    pub(crate) all: bool,
}
