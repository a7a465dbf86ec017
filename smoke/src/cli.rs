//! Runs `rekindle` and reads the reply.

use crate::procs::{self, Pid};
use crate::schema::Form;
use crate::wait::FACT_TIMEOUT;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::env;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::thread;

/// The limit for one command, as a multiple of [`wait::FACT_TIMEOUT`]: a command has time-outs and graces inside.
const COMMAND_FACTS_MAX: u32 = 3;

/// The path of the command under test: `$REKINDLE_BIN`, or the binary beside this test in the target directory.
///
/// # Panics
/// If the file does not exist.
pub fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY
        .get_or_init(|| {
            let named = env::var_os("REKINDLE_BIN").map(PathBuf::from);
            let beside = || {
                let us = env::current_exe().ok()?;
                Some(us.parent()?.parent()?.join("rekindle"))
            };
            let path = named.or_else(beside).expect("this test knows where it is");
            assert!(
                path.is_file(),
                "`{}` is not there; build it first: cargo build -p rekindle-cli",
                path.display()
            );
            path
        })
        .clone()
}

/// The path of the command under test, as an argument.
///
/// # Panics
/// As [`binary`], or if the path is not UTF-8.
pub fn binary_arg() -> String {
    binary().into_os_string().into_string().expect("the target directory has a name in UTF-8")
}

/// PATH, with the directory of the command under test in front.
///
/// # Panics
/// If a directory has a colon in its name.
pub fn path_with(binary: &Path) -> OsString {
    let own = binary.parent().expect("the command is in a directory").to_owned();
    let all = env::var_os("PATH").unwrap_or_default();
    env::join_paths([own].into_iter().chain(env::split_paths(&all)))
        .expect("no directory has a colon in its name")
}

/// A running `rekindle`, killed and reaped when dropped.
#[derive(Debug)]
pub struct Launcher {
    child: Option<Child>,
    form: Option<Form>,
    pid: Pid,
}

impl Launcher {
    /// Starts a command.
    ///
    /// # Panics
    /// If the command cannot be started.
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        let pid = child.id().try_into().expect("a pid is an i32");
        Self { child: Some(child), form: Form::of(&command), pid }
    }

    /// The pid.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal. The process is our child, and not reaped before [`Self::finish`].
    pub fn signal(&self, signal: Signal) {
        procs::send(self.pid, signal);
    }

    /// Waits for the end of the process and of every other writer to the output: a worker with an open copy is a
    /// failure.
    ///
    /// # Panics
    /// If the wait takes too long, or if an answer is not in its schema.
    pub fn finish(mut self) -> Reply {
        let pid = self.pid;
        let child = self.child.take().expect("it is finished only once");
        let (sender, receiver) = channel();
        thread::spawn(move || sender.send(child.wait_with_output()));
        let Ok(output) = receiver.recv_timeout(FACT_TIMEOUT * COMMAND_FACTS_MAX) else {
            let running = procs::is_running(pid);
            panic!("rekindle (pid {pid}) did not end, or its output is held open (it runs: {running})");
        };
        Reply::of(self.form, &output.expect("a child can be waited for"))
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // The process may have ended by itself; the point is that no zombie of ours stays.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The reply of `rekindle`.
#[derive(Debug)]
pub struct Reply {
    /// The exit code; `None` after a death by signal.
    pub code: Option<i32>,
    /// The signal that ended the process.
    pub signal: Option<i32>,
    /// The first line of stdout, if valid JSON; else null.
    pub json: Value,
    /// The whole stdout.
    pub stdout: String,
    /// The whole stderr.
    pub stderr: String,
}

impl Reply {
    /// The reply to a command that prints answers of this form.
    ///
    /// # Panics
    /// If an answer is not in its schema.
    pub fn of(form: Option<Form>, output: &Output) -> Self {
        let reply = Self::read(output);
        if let Some(form) = form {
            form.check(&reply.stdout, reply.code);
        }
        reply
    }

    /// Runs a command to the end.
    ///
    /// # Panics
    /// If the command cannot be started, or if an answer is not in its schema.
    pub fn to(mut command: Command) -> Self {
        let output =
            command.output().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        Self::of(Form::of(&command), &output)
    }

    fn read(output: &Output) -> Self {
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let first = stdout.lines().next().unwrap_or_default();
        Self {
            code: output.status.code(),
            signal: output.status.signal(),
            json: serde_json::from_str(first).unwrap_or_default(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            stdout,
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, signal, stdout, stderr, .. } = self;
        write!(f, "exit {code:?} signal {signal:?}\n  stdout: {stdout}\n  stderr: {stderr}")
    }
}

impl Reply {
    /// Asserts the exit code and the outcome; returns `self`.
    ///
    /// # Panics
    /// If either differs.
    #[track_caller]
    pub fn expect(self, code: i32, outcome: &str) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        assert_eq!(self.json["outcome"], outcome, "{self}");
        self
    }

    /// Asserts that a worker runs, and that the outcome is `how`.
    ///
    /// # Panics
    /// If either is false.
    #[track_caller]
    pub fn expect_running(self, how: &str) -> Self {
        let reply = self.expect(0, how);
        assert!(procs::is_running(reply.pid()), "{reply}");
        reply
    }

    /// Asserts a rejection with this reason.
    ///
    /// # Panics
    /// If the reply differs.
    #[track_caller]
    pub fn expect_rejected(self, reason: &str) -> Self {
        self.expect(3, "rejected").because(reason)
    }

    /// Asserts an error with this exit code and reason.
    ///
    /// # Panics
    /// If the reply differs.
    #[track_caller]
    pub fn expect_error(self, code: i32, reason: &str) -> Self {
        self.expect(code, "error").because(reason)
    }

    #[track_caller]
    fn because(self, reason: &str) -> Self {
        assert_eq!(self.json["reason"], reason, "{self}");
        assert_ne!(self.text("message"), "", "{self}");
        assert_ne!(self.advice(), "", "a refusal says what to do next: {self}");
        self
    }

    /// The pid in the reply.
    ///
    /// # Panics
    /// If the reply has no pid.
    #[track_caller]
    pub fn pid(&self) -> Pid {
        let pid = self.json["pid"].as_i64().and_then(|pid| pid.try_into().ok());
        pid.unwrap_or_else(|| panic!("no pid: {self}"))
    }

    /// The advice: the next command, and the hint.
    pub fn advice(&self) -> String {
        format!("{} {}", self.text("next"), self.text("hint")).trim().to_owned()
    }

    /// A text field of the reply, or an empty text.
    pub fn text(&self, field: &str) -> &str {
        self.json[field].as_str().unwrap_or_default()
    }
}
