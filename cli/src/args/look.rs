//! The verbs that show sessions.

#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    /// Cut nothing, even if a line is wider than the terminal
    #[arg(short, long)]
    pub(crate) wide: bool,
}
