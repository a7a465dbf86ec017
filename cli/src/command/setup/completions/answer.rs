//! What may stand under the cursor.
//!
//! The grammar of the command line decides; [`finish`] adds to the grammar what only a completion needs, so no other verb
//! pays for it.

use super::sessions;
use crate::args::pages;
use clap::builder::ValueParser;
use clap::{Arg, Command, ValueHint, value_parser};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete};
use rekindle::{ReadyKind, SessionId, SessionState};
use std::ffi::OsStr;
use std::sync::Arc;

/// The verbs that need a worker: a session whose worker is gone is not offered.
const NEEDS_A_WORKER: [&str; 3] = ["stop", "call", "signal"];

/// The options and arguments with a directory.
const DIRECTORIES: [&str; 3] = ["dir", "cwd", "lib_path"];

/// The arguments with the path of a file, whose type does not say so.
const FILES: [&str; 2] = ["prompt_file", "target"];

/// The addresses that need no further word.
const ADDRESSES: [(&str, &str); 3] = [
    ("unix", "the socket in the session's directory"),
    ("tcp:0", "a free port of this machine"),
    ("none", "a worker that listens nowhere"),
];

/// Marks that stand for a whole answer. No value begins with the control character.
const FILES_MARK: &str = "\u{1}files";
const DIRECTORIES_MARK: &str = "\u{1}dirs";

/// Who completes the word, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// These words.
    Words(Vec<Candidate>),
    /// The shell, with paths of files.
    Files,
    /// The shell, with paths of directories.
    Directories,
    /// The shell: the words after `--` are the command line of another program.
    Program,
}

/// A word to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) value: String,
    /// A description, or empty.
    pub(super) help: String,
}

/// The answer for the last of the words; the first is the name of the command.
pub(super) fn answer(words: &[String]) -> Answer {
    let Some((current, before)) = words.split_last() else { return Answer::Words(Vec::new()) };
    if before.iter().any(|word| word == "--") {
        return Answer::Program;
    }
    let mut command = pages::command();
    command.build();
    let mut command = finish(command, &Arc::from(words));
    let asked = words.iter().map(Into::into).collect();
    let found = complete(&mut command, asked, words.len().saturating_sub(1), None).unwrap_or_default();
    let ends_with = |mark: &str| found.iter().any(|it| it.get_value().to_string_lossy().ends_with(mark));
    if ends_with(DIRECTORIES_MARK) {
        return Answer::Directories;
    }
    if ends_with(FILES_MARK) {
        return Answer::Files;
    }
    let mut candidates: Vec<Candidate> = found.iter().map(|it| candidate(it, current)).collect();
    // Options only after a dash, and a session only once.
    candidates.retain(|it| current.starts_with('-') || !it.value.starts_with('-') || it.value == "--");
    candidates.retain(|it| it.value.starts_with('-') || !before.contains(&it.value) || it.value == *current);
    Answer::Words(candidates)
}

fn candidate(found: &CompletionCandidate, current: &str) -> Candidate {
    let value = found.get_value().to_string_lossy().into_owned();
    // A verb with two names is offered once: by its own name, unless another was begun.
    let own = found.get_id().and_then(|id| id.strip_prefix("command::"));
    let value = own.filter(|own| own.starts_with(current)).map_or(value, str::to_owned);
    let help = found.get_help().map(ToString::to_string).unwrap_or_default();
    Candidate { value, help: help.lines().next().unwrap_or_default().to_owned() }
}

/// The built grammar, with a completer for each argument whose values the grammar does not know.
fn finish(command: Command, words: &Arc<[String]>) -> Command {
    let needs_a_worker = NEEDS_A_WORKER.contains(&command.get_name());
    command
        .mut_args(|arg| match completer(&arg, words, needs_a_worker) {
            Some(completer) => arg.add(completer),
            None => arg,
        })
        .mut_subcommands(|verb| finish(verb, words))
}

fn completer(arg: &Arg, words: &Arc<[String]>, needs_a_worker: bool) -> Option<ArgValueCompleter> {
    let id = arg.get_id().as_str();
    let session = ValueParser::from(value_parser!(SessionId));
    let is_session = arg.get_value_parser().type_id() == session.type_id() || id == "sid";
    if is_session {
        let words = Arc::clone(words);
        Some(ArgValueCompleter::new(move |current: &OsStr| sessions_for(&words, needs_a_worker, current)))
    } else if arg.is_last_set() {
        Some(ArgValueCompleter::new(|current: &OsStr| {
            offered([("--", "the program and its arguments follow")], current)
        }))
    } else if DIRECTORIES.contains(&id) {
        Some(ArgValueCompleter::new(|_: &OsStr| vec![CompletionCandidate::new(DIRECTORIES_MARK)]))
    } else if FILES.contains(&id) || arg.get_value_hint() == ValueHint::AnyPath {
        Some(ArgValueCompleter::new(|_: &OsStr| vec![CompletionCandidate::new(FILES_MARK)]))
    } else if id == "address" {
        Some(ArgValueCompleter::new(|current: &OsStr| offered(ADDRESSES, current)))
    } else if id == "ready" {
        Some(ArgValueCompleter::new(|current: &OsStr| {
            let rows = ReadyKind::ALL.map(ReadyKind::row);
            let words = rows.iter().map(|row| match row.parameter {
                Some(_) => (format!("{}=", row.name), row.best_for),
                None => (row.name.to_owned(), row.best_for),
            });
            offered(words, current)
        }))
    } else {
        None
    }
}

/// The words that continue what was typed.
fn offered<V: AsRef<str>>(
    words: impl IntoIterator<Item = (V, &'static str)>,
    current: &OsStr,
) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let fitting = words.into_iter().filter(|(word, _)| word.as_ref().starts_with(current.as_ref()));
    fitting
        .enumerate()
        .map(|(order, (word, help))| {
            CompletionCandidate::new(word.as_ref()).help(Some(help.into())).display_order(Some(order))
        })
        .collect()
}

/// The sessions that continue what was typed: those with a worker first.
fn sessions_for(words: &[String], needs_a_worker: bool, current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let all = sessions::named(words).into_iter();
    let fitting = all.filter(|(name, state)| {
        name.starts_with(current.as_ref()) && !(needs_a_worker && *state == SessionState::Exited)
    });
    fitting
        .map(|(name, state)| {
            let order = usize::from(state == SessionState::Exited);
            CompletionCandidate::new(name).help(Some(state.to_string().into())).display_order(Some(order))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Answer {
        // A state directory that is not there: no session, and no failure.
        let words = [&["rekindle", "--dir", "/nonexistent"], words].concat();
        answer(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    fn values(words: &[&str]) -> Vec<String> {
        let Answer::Words(candidates) = of(words) else { panic!("{words:?} is left to the shell") };
        candidates.into_iter().map(|it| it.value).collect()
    }

    #[test]
    fn a_verb_is_offered_once_and_by_the_name_that_was_begun() {
        let verbs = values(&[""]);
        for verb in ["up", "ls", "show", "stop"] {
            assert_eq!(verbs.iter().filter(|it| *it == verb).count(), 1, "{verbs:?}");
        }
        for alias in ["ps", "down", "describe"] {
            assert!(!verbs.iter().any(|it| it == alias), "{verbs:?}");
        }
        assert_eq!(values(&["dow"]), ["down"]);
        assert_eq!(values(&["descr"]), ["describe"]);
        assert_eq!(values(&["pool", "ru"]), ["run"]);
    }

    #[test]
    fn options_are_offered_after_a_dash() {
        assert_eq!(values(&["stop", "--al"]), ["--all"]);
        assert_eq!(values(&["stop", ""]), [""; 0], "no session, and no option");
        assert_eq!(values(&["up", "s", "--intent", "re"]), ["resume", "restart"]);
        assert_eq!(values(&["up", "s", "--intent=at"]), ["--intent=attach"]);
    }

    #[test]
    fn conditions_and_addresses_are_offered() {
        assert_eq!(values(&["up", "s", "--ready", "l"]), ["listen", "line="]);
        assert_eq!(values(&["up", "s", "--address", ""]), ["unix", "tcp:0", "none"]);
    }

    #[test]
    fn a_program_follows_the_dashes() {
        assert_eq!(values(&["up", "s", ""]), ["--"]);
        assert_eq!(of(&["up", "s", "--", ""]), Answer::Program);
        assert_eq!(of(&["supervise", "--", "a", "b"]), Answer::Program);
    }

    #[test]
    fn paths_are_left_to_the_shell() {
        assert_eq!(of(&["up", "--socket", ""]), Answer::Files);
        assert_eq!(of(&["up", "--socket=x"]), Answer::Files);
        assert_eq!(of(&["lifecycle", "status", "--path", "x"]), Answer::Files);
        assert_eq!(of(&["up", "s", "--cwd", "x"]), Answer::Directories);
        assert_eq!(of(&["--dir", ""]), Answer::Directories);
        assert_eq!(of(&["man", "--dir=x"]), Answer::Directories);
    }
}
