//! The JSON of the verbs that install the command.

use rekindle_core::byte_text::ByteText;
use serde::Serialize;

/// `rekindle completions`
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CompletionsJson<'a> {
    /// `bash`, `zsh` or `fish`.
    pub shell: &'a str,
    /// The script for the shell.
    pub script: &'a str,
}

/// `rekindle man`
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ManJson<'a> {
    /// The pages.
    pub pages: Vec<PageJson<'a>>,
}

/// A manual page.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PageJson<'a> {
    /// The name of the page's file, such as `rekindle-up.1`.
    pub name: &'a str,
    /// The file that was written; `null` without `--dir`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::standin::Text>"))]
    pub path: Option<ByteText<'a>>,
    /// The page, for `man -l`; `null` with `--dir`.
    pub text: Option<&'a str>,
}
