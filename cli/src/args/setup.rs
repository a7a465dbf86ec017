//! The verbs that install the command: completions and manual pages.

use clap::ValueEnum;
use std::ffi::OsString;

#[derive(Debug, clap::Args)]
#[command(override_usage = "rekindle completions [OPTIONS] <SHELL>")]
#[command(
    after_help = "The script asks the command at each completion, so it stays right after an update. Names of sessions \
    come from the state directory, of a `--dir` typed before if there is one.\n\n\
    Examples:\n  \
    rekindle completions bash > ~/.local/share/bash-completion/completions/rekindle\n  \
    rekindle completions zsh > ~/.zfunc/_rekindle   # with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc\n  \
    rekindle completions fish > ~/.config/fish/completions/rekindle.fish"
)]
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
#[command(
    after_help = "--dir names no state directory here: with --dir DIR the pages of all verbs are written into DIR, which \
    is made if it is missing.\n\n\
    Exit codes: 0 done; 1 a page could not be written; 2 no such verb.\n\n\
    Examples:\n  \
    rekindle man up | man -l -\n  \
    rekindle man --dir ~/.local/share/man/man1"
)]
pub(crate) struct ManArgs {
    /// Only the page of this verb, such as `up` or `pool run`
    pub(crate) verb: Vec<String>,
}
