//! How outcomes are shown to people and to programs, and the exit code of each.
//!
//! Results go to stdout. Failures go to stderr for people, and with `--json` to stdout as one JSON object.
//!
//! # Invariants
//! 1. Only a [`Report`] writes to stdout, and only [`Report::finish`] makes the exit code, so a failed write always
//!    counts. `clippy.toml` forbids every other use of stdout.
//! 2. Success is never reported for lost output.
//!
//! Checked below, and by `smoke/tests/smoke/command/output.rs`.

use crate::caller::Caller;
use clap::error::ErrorKind;
use rekindle::ChildExit;
use rekindle::frontend::ByteText;
use rekindle::frontend::{Shown, is_obeyed, terminal_safe};
use rekindle::json::{Next, Versioned};
use rekindle::{Advice, LeftOut, Step};
use serde::Serialize;
use serde_json::{Value, json};
use std::cell::Cell;
use std::env;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// The outcome of the process, as an exit code.
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
    /// The exit code of the caller's program.
    Program(u8),
}

impl Exit {
    /// The exit code for a program's exit, as a shell gives it: the status, or 128 plus the number of the signal.
    pub(crate) fn of_exit(exit: ChildExit) -> Self {
        let code = match exit {
            ChildExit::Code(code) => code,
            ChildExit::Signal(signal) => 128 + signal,
            ChildExit::Unknown => return Self::Failed,
        };
        u8::try_from(code).map_or(Self::Failed, Self::Program)
    }

    /// The exit with the greater number: a failure rather than a success.
    pub(crate) fn or_worse(self, other: Self) -> Self {
        if other.code() > self.code() { other } else { self }
    }

    /// The number for the shell.
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

/// Shows results and failures, and remembers whether a write failed.
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

    /// The command for a step, as the caller would type it.
    pub(crate) fn type_out(&self, step: &Step) -> String {
        self.caller.type_out(step)
    }

    /// Adds advice to a JSON object: `next` is a command or empty, and `hint` is a sentence or empty.
    pub(crate) fn advise(&self, json: &mut Value, advice: &Advice) {
        let next = advice.step.as_ref().map(|step| self.type_out(step)).unwrap_or_default();
        json["next"] = next.into();
        json["hint"] = advice.hint.as_str().into();
    }

    /// Advice for people, one line each.
    pub(crate) fn advice_lines(&self, advice: &Advice) -> Vec<String> {
        let next = advice.step.as_ref().map(|step| format!("next: {}", self.type_out(step)));
        let hint = Some(&advice.hint).filter(|hint| !hint.is_empty()).map(|hint| format!("hint: {hint}"));
        next.into_iter().chain(hint).collect()
    }

    /// The exit code of this process. Lost output turns a success into a failure.
    #[must_use = "the exit code says whether the output was written"]
    pub(crate) fn finish(self, exit: Exit) -> ExitCode {
        ExitCode::from(self.judged(exit).code())
    }

    fn judged(&self, exit: Exit) -> Exit {
        if self.output_lost.get() { exit.or_worse(Exit::Failed) } else { exit }
    }

    /// Notes the result of a write to stdout. The first failure is reported on stderr.
    pub(crate) fn wrote(&self, written: io::Result<()>) {
        match written {
            Ok(()) => {}
            // The reader has read enough and left (`rekindle ls | head -1`). The rest of the output was not wanted, so
            // the exit code stays as if all had been read.
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

    /// Whether output is for programs (`--json`).
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// A result: text for people, JSON for programs. Only the wanted form is made.
    pub(crate) fn result(&self, text: &dyn Display, json: impl FnOnce() -> Value) {
        if self.json { self.print(&one_line(&json())) } else { self.print(&printable(&text.to_string())) }
    }

    /// A result: text for people; for programs an object with the version of its form.
    pub(crate) fn answer(&self, text: &dyn Display, answer: impl Serialize) {
        self.result(text, || json!(Versioned::new(answer)));
    }

    /// The advice as fields of an object.
    pub(crate) fn next(&self, advice: &Advice) -> Next {
        Next {
            next: advice.step.as_ref().map(|step| self.type_out(step)).unwrap_or_default(),
            hint: advice.hint.clone(),
        }
    }

    /// A result for people only.
    pub(crate) fn note(&self, text: &str) {
        if !self.json {
            self.print(&printable(text));
        }
    }

    /// An event while a program of the caller owns stdout: with `--json`, on stderr.
    pub(crate) fn event(&self, json: &Value) {
        if self.json {
            let _ = writeln!(io::stderr().lock(), "{}", one_line(json));
        }
    }

    /// A failure while a program of the caller owns stdout: on stderr in both forms.
    pub(crate) fn complain(&self, message: &str, advice: &Advice, json: impl FnOnce() -> Value) {
        if self.json {
            self.event(&json());
        } else {
            complain(message);
            self.advice_lines(advice).iter().for_each(|line| complain(line));
        }
    }

    /// A failure with a JSON object of its own.
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

    /// A failure with a reason and a message only.
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

    /// The parts of a listing that could not be read: reported on stderr, and a failure if there are any.
    pub(crate) fn left_out(&self, left_out: &[LeftOut]) -> Exit {
        left_out.iter().for_each(|left_out| complain(&left_out.to_string()));
        if left_out.is_empty() { Exit::Done } else { Exit::Failed }
    }

    /// A wrong command line, or a request for help or the version.
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
            // A failed write to a closed terminal needs no reaction.
            let _ = error.print();
            return Exit::Usage;
        }
        let text = error.to_string();
        // The synopsis follows the first paragraph.
        let message = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
        self.failure("usage", message, &Step::Help(None).into(), Exit::Usage)
    }

    /// Progress, on stderr.
    pub(crate) fn progress(&self, text: &str) {
        complain(text);
    }
}

/// Whether the command line has `--json`, even if the command line is wrong.
pub(crate) fn asks_for_json() -> bool {
    env::args_os().take_while(|arg| arg != "--").any(|arg| arg == "--json")
}

/// Our arguments that are not UTF-8. clap does not name the wrong argument, so all of them are candidates.
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

/// A JSON value on one line, safe for a terminal.
pub(crate) fn one_line(json: &Value) -> String {
    terminal_safe(json.to_string())
}

/// A JSON value laid out for people, safe for a terminal.
pub(crate) fn laid_out(json: &Value) -> String {
    terminal_safe(format!("{json:#}"))
}

/// A path for JSON. `json!` would panic on a non-UTF-8 path.
pub(crate) fn path_text(path: &Path) -> Value {
    json!(ByteText(path.as_os_str()))
}

/// The log on stderr: one line per event, whatever text the event contains.
#[derive(Debug)]
pub(crate) struct Log;

impl Write for Log {
    /// tracing calls `write` once per event, with the whole event and the newline.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event.strip_suffix(b"\n").unwrap_or(event));
        writeln!(io::stderr().lock(), "{}", Shown(text.as_ref()))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Text from workers and files, with control characters escaped. The text may have several lines; use [`Shown`] for
/// text inside a line.
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

    /// The exit after a write with this result.
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
