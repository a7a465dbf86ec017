//! How outcomes are shown, to people and to machines, and which exit code they have.
//!
//! Results go to stdout. Failures go to stderr for people, and to stdout as one JSON object for machines.
//!
//! # Invariants
//! 1. Only a [`Report`] writes to stdout, and only [`Report::finish`] makes the exit code: a write that failed is always
//!    part of it. `clippy.toml` forbids every other use of stdout.
//! 2. Success is never reported for output that was lost.
//!
//! Checked below, and by `smoke/tests/smoke/command/output.rs`.

use crate::caller::Caller;
use clap::error::ErrorKind;
use rekindle::ChildExit;
use rekindle::frontend::ByteText;
use rekindle::frontend::{Shown, is_obeyed, terminal_safe};
use rekindle::{Advice, LeftOut, Step};
use serde::Serialize;
use serde_json::{Value, json};
use std::cell::Cell;
use std::env;
use std::io::{self, Write};
use std::path::Path;
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

    /// The one with the greater number: a failure rather than a success.
    pub(crate) fn or_worse(self, other: Self) -> Self {
        if other.code() > self.code() { other } else { self }
    }

    /// The number that the shell sees.
    fn code(self) -> u8 {
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

/// Where and how to show things, and whether all of it could be written.
#[derive(Debug)]
pub(crate) struct Report {
    json: bool,
    caller: Caller,
    output_lost: Cell<bool>,
}

impl Report {
    pub(crate) fn new(json: bool, caller: Caller) -> Self {
        Self { json, caller, output_lost: Cell::new(false) }
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

    /// The exit code of this process. Output that was lost makes a failure of a success.
    #[must_use = "the exit code says whether the output was written"]
    pub(crate) fn finish(self, exit: Exit) -> ExitCode {
        ExitCode::from(self.judged(exit).code())
    }

    fn judged(&self, exit: Exit) -> Exit {
        if self.output_lost.get() { exit.or_worse(Exit::Failed) } else { exit }
    }

    /// Notes how a write to stdout went. The first failure is told on stderr.
    pub(crate) fn wrote(&self, written: io::Result<()>) {
        match written {
            Ok(()) => {}
            // The reader left because it had read enough (`rekindle ls | head -1`). It lost nothing that it wanted, so
            // the exit code says how the work went, as if all had been read.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => {
                if !self.output_lost.replace(true) {
                    complain(&format!("failed to write the standard output: {error}"));
                }
            }
        }
    }

    fn print(&self, text: &str) {
        let mut stdout = stdout();
        self.wrote(writeln!(stdout, "{text}").and_then(|()| stdout.flush()));
    }

    /// Whether machines are spoken to.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// A result: text for people, JSON for machines.
    pub(crate) fn result(&self, text: &str, json: &Value) {
        if self.json { self.print(&one_line(json)) } else { self.print(&printable(text)) }
    }

    /// A result that only people need to be told.
    pub(crate) fn note(&self, text: &str) {
        if !self.json {
            self.print(&printable(text));
        }
    }

    /// What happens while somebody else has stdout: for machines, on stderr.
    pub(crate) fn event(&self, json: &Value) {
        if self.json {
            let _ = writeln!(io::stderr().lock(), "{}", one_line(json));
        }
    }

    /// A failure that has more to say to machines.
    pub(crate) fn failed(&self, message: &str, advice: &Advice, mut json: Value, exit: Exit) -> Exit {
        if self.json {
            self.advise(&mut json, advice);
            self.print(&one_line(&json));
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

    /// An object that begins with `fields`, with those of an outcome: the caller's own, then the library's.
    pub(crate) fn with(mut fields: Value, outcome: &impl Serialize) -> Value {
        if let (Value::Object(all), Value::Object(more)) = (&mut fields, json!(outcome)) {
            all.extend(more);
        }
        fields
    }

    /// A failure of the library.
    pub(crate) fn error(&self, error: &rekindle::Error) -> Exit {
        let exit = if error.is_refusal() { Exit::Refused } else { Exit::Failed };
        self.failed(&error.to_string(), &error.advice(), json!(error), exit)
    }

    /// What a look at several sessions could not see: told on stderr, and a failure if there is anything.
    pub(crate) fn left_out(&self, left_out: &[LeftOut]) -> Exit {
        left_out.iter().for_each(|left_out| complain(&left_out.to_string()));
        if left_out.is_empty() { Exit::Done } else { Exit::Failed }
    }

    /// A command line that cannot be understood, or asks for help or the version.
    pub(crate) fn usage(&self, error: &clap::Error) -> Exit {
        if !error.use_stderr() {
            self.wrote(error.print().and_then(|()| stdout().flush()));
            return Exit::Done;
        }
        if error.kind() == ErrorKind::InvalidUtf8 {
            let message = format!("an argument that has to be text is not UTF-8: {}", not_utf8());
            return self.failure("usage", &message, &Step::Help(None).into(), Exit::Usage);
        }
        if !self.json {
            // Nothing can be done about a terminal that is gone.
            let _ = error.print();
            return Exit::Usage;
        }
        let text = error.to_string();
        // What follows the first paragraph is the synopsis.
        let message = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
        self.failure("usage", message, &Step::Help(None).into(), Exit::Usage)
    }

    /// Progress, on stderr.
    pub(crate) fn progress(&self, text: &str) {
        complain(text);
    }
}

/// Whether `--json` was asked for, on a command line that may be wrong.
pub(crate) fn asks_for_json() -> bool {
    env::args_os().take_while(|arg| arg != "--").any(|arg| arg == "--json")
}

/// The arguments of ours that are not UTF-8. Which of them had to be, clap does not say.
fn not_utf8() -> String {
    let arguments = env::args_os().skip(1).take_while(|arg| arg != "--").filter(|arg| arg.to_str().is_none());
    let shown: Vec<_> = arguments.map(|arg| format!("`{}`", Shown(&arg))).collect();
    shown.join(" or ")
}

#[expect(clippy::disallowed_methods, reason = "a report is what owns the standard output")]
fn stdout() -> io::StdoutLock<'static> {
    io::stdout().lock()
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "rekindle: {}", printable(text));
}

/// A value on one line, in which no string holds what a terminal would obey.
pub(crate) fn one_line(json: &Value) -> String {
    terminal_safe(json.to_string())
}

/// A value laid out for people, in which no string holds what a terminal would obey.
pub(crate) fn laid_out(json: &Value) -> String {
    terminal_safe(format!("{json:#}"))
}

/// A path for machines. `json!` would panic on one that is not UTF-8.
pub(crate) fn path_text(path: &Path) -> Value {
    json!(ByteText(path.as_os_str()))
}

/// The log on stderr: one line an event, whatever it tells of.
#[derive(Debug)]
pub(crate) struct Log;

impl Write for Log {
    /// Called once an event, with all of it and the line's end.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event.strip_suffix(b"\n").unwrap_or(event));
        writeln!(io::stderr().lock(), "{}", Shown(text.as_ref()))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Text from workers and files, without the characters that a terminal would obey. It may have several lines: what is put
/// into it and must stay on one line is [`Shown`].
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed(c) && c != '\n' && c != '\t' {
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
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    /// How an exit is judged after a write that ended so.
    fn after(written: io::Result<()>, exit: Exit) -> Exit {
        let report = Report::new(true, Caller::default());
        report.wrote(written);
        report.judged(exit)
    }

    #[test]
    fn lost_output_is_a_failure_unless_it_is_worse() {
        let full = || Err(io::ErrorKind::StorageFull.into());
        assert_eq!(after(full(), Exit::Done), Exit::Failed);
        assert_eq!(after(full(), Exit::Program(0)), Exit::Failed);
        assert_eq!(after(full(), Exit::Refused), Exit::Refused);
        assert_eq!(after(full(), Exit::Program(7)), Exit::Program(7));
        assert_eq!(after(Ok(()), Exit::Done), Exit::Done);
    }

    #[test]
    fn a_reader_that_left_changes_nothing() {
        assert_eq!(after(Err(io::ErrorKind::BrokenPipe.into()), Exit::Done), Exit::Done);
        assert_eq!(after(Err(io::ErrorKind::BrokenPipe.into()), Exit::Refused), Exit::Refused);
    }

    #[test]
    fn escape_sequences_are_shown_and_not_obeyed() {
        assert_eq!(printable("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb\nc");
        assert_eq!(printable("\u{9b}31m\u{202e}"), "\\u{9b}31m\\u{202e}");
        let json = json!({ "text": "\u{9b}31m\u{202e}\n\u{7f}" });
        assert_eq!(one_line(&json), r#"{"text":"\u009b31m\u202e\n\u007f"}"#);
        assert_eq!(serde_json::from_str::<Value>(&laid_out(&json)).unwrap(), json, "it still means the same");
    }

    #[test]
    fn a_path_that_is_not_utf_8_is_told_in_bytes() {
        let path = |bytes: &'static [u8]| path_text(Path::new(OsStr::from_bytes(bytes)));
        assert_eq!(path(b"/tmp/a\nb"), json!("/tmp/a\nb"), "machines get what there is");
        assert_eq!(path(b"/\xe9"), json!({ "bytes": "2fe9" }));
    }
}
