//! `rekindle completions`: the script for a shell, and the answer to the script's question.
//!
//! The first line of an answer says who completes: `words` are the lines that follow; `files`, `dirs` and `program`
//! are left to the shell, which knows more about them.
//!
//! # Invariants
//! 1. A question never fails, and reports nothing: the answer to a question about an unreadable state is empty.
//! 2. Nothing is created, changed or connected to.
//!
//! Checked below and by `smoke/tests/smoke/command/completions.rs`.

mod answer;
mod line;
mod sessions;

use crate::args::{CompletionsArgs, Shell};
use crate::report::{Exit, Report};
use answer::Answer;
use rekindle::json::setup::CompletionsJson;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

pub(crate) fn run(args: &CompletionsArgs, report: &Report) -> Exit {
    if args.words.is_empty() {
        let (shell, script) = script(args.shell);
        tracing::info!(shell, "prints the script");
        report.answer(&script.trim_end(), CompletionsJson { shell, script });
    } else {
        report.note(&lines(args.shell, &args.words).join("\n"));
    }
    Exit::Done
}

fn script(shell: Shell) -> (&'static str, &'static str) {
    match shell {
        Shell::Bash => ("bash", include_str!("completions/rekindle.bash")),
        Shell::Zsh => ("zsh", include_str!("completions/rekindle.zsh")),
        Shell::Fish => ("fish", include_str!("completions/rekindle.fish")),
    }
}

/// The answer to a question, in the form of the shell's script.
fn lines(shell: Shell, asked: &[OsString]) -> Vec<String> {
    let (words, kept) = match (shell, asked) {
        // bash cuts words at `=` and `:` and replaces only the part behind; `kept` is in front of that part.
        (Shell::Bash, [line, rest @ ..]) => {
            let words = line::words(&line.to_string_lossy());
            let replaced = rest.first().map_or(0, |part| part.as_bytes().len());
            let current = words.last().map_or(0, String::len);
            (words, current.saturating_sub(replaced))
        }
        (Shell::Bash | Shell::Zsh | Shell::Fish, words) => {
            (words.iter().map(|word| word.to_string_lossy().into_owned()).collect(), 0)
        }
    };
    match answer::answer(&words) {
        Answer::Files => vec!["files".to_owned()],
        Answer::Directories => vec!["dirs".to_owned()],
        Answer::Program => vec!["program".to_owned()],
        Answer::Words(candidates) => {
            let line = |it: &answer::Candidate| match (shell, it.help.as_str()) {
                (Shell::Bash, _) => it.value.get(kept..).unwrap_or_default().to_owned(),
                (Shell::Zsh, "") => it.value.replace(':', "\\:"),
                (Shell::Zsh, help) => format!("{}:{help}", it.value.replace(':', "\\:")),
                (Shell::Fish, "") => it.value.clone(),
                (Shell::Fish, help) => format!("{}\t{help}", it.value),
            };
            std::iter::once("words".to_owned()).chain(candidates.iter().map(line)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(shell: Shell, words: &[&str]) -> Vec<String> {
        lines(shell, &words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn bash_replaces_the_part_behind_a_colon_or_an_equals_sign() {
        assert_eq!(asked(Shell::Bash, &["rekindle up w --ready=ht", "ht"]), ["words", "http="]);
        assert_eq!(asked(Shell::Bash, &["rekindle up w --address tcp:", ""]), ["words", "0"]);
        assert_eq!(asked(Shell::Bash, &["rekindle up w --address tc", "tc"]), ["words", "tcp:0"]);
    }

    #[test]
    fn each_shell_has_its_own_form_of_a_description() {
        let words = ["rekindle", "up", "w", "--address", "tcp"];
        assert_eq!(asked(Shell::Fish, &words), ["words", "tcp:0\ta free port of this machine"]);
        assert_eq!(asked(Shell::Zsh, &words), ["words", "tcp\\:0:a free port of this machine"]);
    }
}
