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
use crate::text::{Line, Page};
use anstream::{AutoStream, ColorChoice};
use clap::error::ErrorKind;
use rekindle::ChildExit;
use rekindle::frontend::ByteText;
use rekindle::frontend::{Shown, is_obeyed, terminal_safe};
use rekindle::json::failure::ErrorJson;
use rekindle::json::{Advised, Next, Versioned};
use rekindle::{Advice, LeftOut, SpawnError, Step};
use serde::Serialize;
use std::cell::Cell;
use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
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
    /// A wrapper of the caller's program failed or was refused: no exit code of the program itself.
    WrapperFailed,
    /// A wrapper found the caller's program, and the program cannot be executed.
    CannotExecute,
    /// A wrapper did not find the caller's program.
    NotFound,
    /// The exit code of the caller's program.
    Program(u8),
}

impl Exit {
    /// The exit code for a program's exit, as a shell gives it: the status, or 128 plus the number of the signal.
    pub(crate) fn of_exit(exit: ChildExit) -> Self {
        let code = match exit {
            ChildExit::Code(code) => code,
            ChildExit::Signal(signal) | ChildExit::CoreDumped(signal) => 128 + signal,
            ChildExit::Unknown => return Self::WrapperFailed,
        };
        u8::try_from(code).map_or(Self::WrapperFailed, Self::Program)
    }

    /// The exit code of a wrapper whose program never started, as a shell and `env` give it.
    pub(crate) fn of_spawn_error(error: &SpawnError) -> Self {
        match error {
            SpawnError::ProgramNotFound { .. } | SpawnError::NoProgram => Self::NotFound,
            SpawnError::NotExecutable { .. } | SpawnError::InterpreterNotFound { .. } => Self::CannotExecute,
            SpawnError::NoWorkingDirectory
            | SpawnError::Directory { .. }
            | SpawnError::EnvironmentFile { .. }
            | SpawnError::HoldsNul { .. }
            | SpawnError::Abandoned { .. }
            | SpawnError::Os(_) => Self::WrapperFailed,
        }
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
            Self::WrapperFailed => 125,
            Self::CannotExecute => 126,
            Self::NotFound => 127,
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

    /// Whether a write to stdout failed, so further results would be lost too.
    pub(crate) fn has_lost_output(&self) -> bool {
        self.output_lost.get()
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

    /// Writes bytes of a worker to stdout as they are; `false` if no more can be written.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> bool {
        let mut stdout = stdout();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        let is_written = written.is_ok();
        self.wrote(written);
        is_written
    }

    /// One object of a stream of objects, on one line.
    pub(crate) fn line_of(&self, object: impl Serialize) -> String {
        one_line(&Versioned::new(object))
    }

    /// Whether stdout is a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        stdout().is_terminal()
    }

    /// Whether output is for programs (`--json`).
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// A result: text for people, JSON for programs. Only the wanted form is made.
    pub(crate) fn result(&self, text: &dyn Display, json: impl Serialize) {
        if self.json { self.print(&one_line(&json)) } else { self.print(&printable(&text.to_string())) }
    }

    /// A result: text for people; for programs an object with the version of its form.
    pub(crate) fn answer(&self, text: &dyn Display, answer: impl Serialize) {
        self.result(text, Versioned::new(answer));
    }

    /// A result with the next step as fields of the object.
    pub(crate) fn advised(&self, text: &dyn Display, advice: &Advice, answer: impl Serialize) {
        self.answer(text, Advised { answer, next: self.next(advice) });
    }

    /// The advice as fields of an object: `next` is a command or empty, and `hint` is a sentence or empty.
    pub(crate) fn next(&self, advice: &Advice) -> Next {
        Next {
            next: advice.step.as_ref().map(|step| self.type_out(step)).unwrap_or_default(),
            hint: advice.hint.clone(),
        }
    }

    /// A result: lines with styles for people, JSON for programs. Only the wanted form is made.
    pub(crate) fn page(&self, page: impl FnOnce() -> Page, answer: impl Serialize) {
        if self.json {
            self.print(&one_line(&Versioned::new(answer)));
        } else {
            let lines: Vec<String> = page().iter().map(Line::to_ansi).collect();
            let mut stdout = AutoStream::new(stdout(), color_choice());
            self.wrote(writeln!(stdout, "{}", lines.join("\n")).and_then(|()| stdout.flush()));
        }
    }

    /// A result for people only.
    pub(crate) fn note(&self, text: &str) {
        if !self.json {
            self.print(&printable(text));
        }
    }

    /// An event while a program of the caller owns stdout: with `--json`, on stderr.
    pub(crate) fn event(&self, event: impl Serialize) {
        if self.json {
            let _ = writeln!(io::stderr().lock(), "{}", one_line(&Versioned::new(event)));
        }
    }

    /// A failure while a program of the caller owns stdout: on stderr in both forms.
    pub(crate) fn complain(
        &self,
        message: &str,
        advice: &Advice,
        answer: impl Serialize,
        exit: Exit,
    ) -> Exit {
        if self.json {
            self.event(Advised { answer, next: self.next(advice) });
        } else {
            complain(message);
            self.advice_lines(advice).iter().for_each(|line| complain(line));
        }
        exit
    }

    /// A failure with a JSON object of its own.
    pub(crate) fn failed(&self, message: &str, advice: &Advice, answer: impl Serialize, exit: Exit) -> Exit {
        if self.json {
            self.advised(&"", advice, answer);
        } else {
            complain(message);
            self.advice_lines(advice).iter().for_each(|line| complain(line));
        }
        exit
    }

    /// A failure with a reason and a message only.
    pub(crate) fn failure(&self, reason: &str, message: &str, advice: &Advice, exit: Exit) -> Exit {
        self.failed(message, advice, ErrorJson::new(reason, message), exit)
    }

    /// A failure of the library.
    pub(crate) fn error(&self, error: &rekindle::Error) -> Exit {
        let exit = if error.is_refusal() { Exit::Refused } else { Exit::Failed };
        self.failed(&error.to_string(), &error.advice(), error, exit)
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

/// The width of the terminal, if stdout is a terminal.
pub(crate) fn terminal_width() -> Option<usize> {
    terminal_size::terminal_size_of(stdout()).map(|(width, _)| usize::from(width.0))
}

/// The width of a table: the terminal's, or 80 columns where no terminal says otherwise.
pub(crate) fn table_width() -> usize {
    const WIDTH_DEFAULT: usize = 80;
    terminal_width().unwrap_or(WIDTH_DEFAULT)
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "rekindle: {}", printable(text));
}

/// Why an answer cannot fail to become JSON.
const SERIALIZES: &str = "an answer has text keys, and its paths are byte texts";

/// JSON on one line, safe for a terminal.
pub(crate) fn one_line(json: &impl Serialize) -> String {
    terminal_safe(serde_json::to_string(json).expect(SERIALIZES))
}

/// JSON laid out for people, safe for a terminal.
pub(crate) fn laid_out(json: &impl Serialize) -> String {
    terminal_safe(serde_json::to_string_pretty(json).expect(SERIALIZES))
}

/// A path for JSON. A path by itself would not serialize unless it is UTF-8.
pub(crate) fn path_text(path: &Path) -> ByteText<'_> {
    ByteText(path.as_os_str())
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

/// Whether codes for styles go to stdout: not to a pipe, not with `NO_COLOR`, and not to a terminal that knows none.
/// `anstream` alone trusts a variable `CI` more than `TERM=dumb`.
fn color_choice() -> ColorChoice {
    let choice = AutoStream::choice(&stdout());
    if anstyle_query::clicolor_force() || anstyle_query::term_supports_color() {
        choice
    } else {
        ColorChoice::Never
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
    use serde_json::{Value, json};
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
        let path = |bytes: &'static [u8]| json!(path_text(Path::new(OsStr::from_bytes(bytes))));
        assert_eq!(path(b"/tmp/a\nb"), json!("/tmp/a\nb"), "machines get what there is");
        assert_eq!(path(b"/\xe9"), json!({ "bytes": "2fe9" }));
    }
}
