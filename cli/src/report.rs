//! How outcomes are shown, to people and to machines, and which exit code they have.
//!
//! Results go to stdout. Failures go to stderr for people, and to stdout as one JSON object for machines.

use crate::caller::Caller;
use rekindle::LeftOut;
use rekindle::core::ChildExit;
use rekindle::{Advice, Step};
use serde_json::{Value, json};
use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

/// What the exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    Failed,
    Usage,
    Refused,
    NeverStarted,
    EndedEarly,
    Retained,
    Interrupted,
    /// Whatever the program that was run for the caller returned.
    Program(u8),
}

impl Exit {
    /// That of a program that we stand in for, as a shell puts it: its status, or 128 and the number of its signal.
    pub(crate) fn of_exit(exit: ChildExit) -> Self {
        let code = match exit {
            ChildExit::Code(code) => code,
            ChildExit::Signal(signal) => 128 + signal,
            ChildExit::Unknown => return Self::Failed,
        };
        u8::try_from(code).map_or(Self::Failed, Self::Program)
    }

    /// The number that the shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::NeverStarted => 4,
            Self::EndedEarly => 5,
            Self::Retained => 6,
            Self::Interrupted => 130,
            Self::Program(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Where and how to show things.
#[derive(Debug)]
pub(crate) struct Report {
    json: bool,
    caller: Caller,
}

impl Report {
    pub(crate) fn new(json: bool, caller: Caller) -> Self {
        Self { json, caller }
    }

    /// A step, as the caller would type it.
    pub(crate) fn type_out(&self, step: &Step) -> String {
        self.caller.type_out(step)
    }

    /// Adds to an object what to do: `next`, a command or empty, and `hint`, words or empty.
    pub(crate) fn advise(&self, json: &mut Value, advice: &Advice) {
        let next = advice.step.as_ref().map(|step| self.type_out(step)).unwrap_or_default();
        json["next"] = next.into();
        json["hint"] = advice.hint.as_str().into();
    }

    /// The same for people, a line each.
    pub(crate) fn advice_lines(&self, advice: &Advice) -> Vec<String> {
        let next = advice.step.as_ref().map(|step| format!("next: {}", self.type_out(step)));
        let hint = Some(&advice.hint).filter(|hint| !hint.is_empty()).map(|hint| format!("hint: {hint}"));
        next.into_iter().chain(hint).collect()
    }

    /// Whether machines are spoken to.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// A result: text for people, JSON for machines.
    pub(crate) fn result(&self, text: &str, json: &Value) {
        if self.json { print(&json.to_string()) } else { print(&printable(text)) }
    }

    /// A result that only people need to be told.
    pub(crate) fn note(&self, text: &str) {
        if !self.json {
            print(text);
        }
    }

    /// What happens while somebody else has stdout: for machines, on stderr.
    pub(crate) fn event(&self, json: &Value) {
        if self.json {
            let _ = writeln!(io::stderr().lock(), "{json}");
        }
    }

    /// A failure that has more to say to machines.
    pub(crate) fn failed(&self, message: &str, advice: &Advice, mut json: Value, exit: Exit) -> Exit {
        if self.json {
            self.advise(&mut json, advice);
            print(&json.to_string());
        } else {
            complain(message);
            self.advice_lines(advice).iter().for_each(|line| complain(line));
        }
        exit
    }

    /// A failure that is fully described by its reason and its message.
    pub(crate) fn failure(&self, reason: &str, message: &str, advice: &Advice, exit: Exit) -> Exit {
        let json = json!({ "outcome": "error", "reason": reason, "message": message });
        self.failed(message, advice, json, exit)
    }

    /// A failure of the library.
    pub(crate) fn error(&self, error: &rekindle::Error) -> Exit {
        let exit = if error.is_refusal() { Exit::Refused } else { Exit::Failed };
        self.failure(error.reason(), &error.to_string(), &error.advice(), exit)
    }

    /// What a look at several sessions could not see: told on stderr, and a failure if there is anything.
    pub(crate) fn left_out(&self, left_out: &[LeftOut]) -> Exit {
        for LeftOut { session, why } in left_out {
            match session {
                Some(session) => complain(&format!("session {session} was left out: {why}")),
                None => complain(why),
            }
        }
        if left_out.is_empty() { Exit::Done } else { Exit::Failed }
    }

    /// Progress, on stderr.
    pub(crate) fn progress(&self, text: &str) {
        complain(text);
    }
}

/// A command line that cannot be understood, or asks for help. Understood too late for `--json` to be parsed.
pub(crate) fn usage(error: &clap::Error) -> Exit {
    let json = env::args_os().take_while(|arg| arg != "--").any(|arg| arg == "--json");
    if !error.use_stderr() || !json {
        // Nothing can be done about a terminal that is gone.
        let _ = error.print();
        return if error.use_stderr() { Exit::Usage } else { Exit::Done };
    }
    let text = error.to_string();
    // What follows the first paragraph is the synopsis.
    let message = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    let report = Report::new(true, Caller::of_this_process(None));
    report.failure("usage", message, &Step::Help(None).into(), Exit::Usage)
}

/// Whoever reads our output may leave; that is not a failure of ours.
fn print(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "rekindle: {}", printable(text));
}

/// Text from workers and files, without the control bytes that a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' && c != '\t' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_shown_and_not_obeyed() {
        assert_eq!(printable("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb\nc");
    }
}
