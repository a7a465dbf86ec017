//! The verbs that install the command: completions and manual pages.

use clap::ValueEnum;
use std::ffi::OsString;

#[derive(Debug, clap::Args)]
#[command(override_usage = "rekindle completions [OPTIONS] <SHELL>")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,

    // The question of a script: the words of the command line, up to the cursor. bash gives the whole line as one word,
    // and the part of the last word that bash would replace.
    #[arg(last = true, hide = true)]
    pub(crate) words: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// Only the page of this verb, such as `up` or `pool run`
    pub(crate) verb: Vec<String>,
}
