//! Runs `rekindle` and reads what it answered.

use crate::procs::{self, Pid};
use crate::wait::FACT_TIMEOUT;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::env;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::thread;

/// How many times a fact's time-out a command may take: it may have time-outs and graces of its own.
const COMMAND_FACTS_MAX: u32 = 3;

/// Where the command under test is: `$REKINDLE_BIN`, or beside this test in the target directory.
///
/// # Panics
/// If it is not there.
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

/// The command under test, as an argument.
///
/// # Panics
/// As [`binary`], or if its path is not UTF-8.
pub fn binary_arg() -> String {
    binary().into_os_string().into_string().expect("the target directory has a name in UTF-8")
}

/// A `rekindle` that runs. One that is dropped is killed and reaped.
#[derive(Debug)]
pub struct Launcher {
    child: Option<Child>,
    pid: Pid,
}

impl Launcher {
    /// Starts a command.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        let pid = child.id().try_into().expect("a pid is an i32");
        Self { child: Some(child), pid }
    }

    /// Its pid.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends it a signal; it is our child and not reaped before [`Self::finish`].
    pub fn signal(&self, signal: Signal) {
        procs::send(self.pid, signal);
    }

    /// Waits for its end and for everybody who can write to its output: a worker that holds it open is a failure.
    ///
    /// # Panics
    /// If that takes too long.
    pub fn finish(mut self) -> Reply {
        let pid = self.pid;
        let child = self.child.take().expect("it is finished only once");
        let (sender, receiver) = channel();
        thread::spawn(move || sender.send(child.wait_with_output()));
        let Ok(output) = receiver.recv_timeout(FACT_TIMEOUT * COMMAND_FACTS_MAX) else {
            let running = procs::is_running(pid);
            panic!("rekindle (pid {pid}) did not end, or its output is held open (it runs: {running})");
        };
        Reply::from(output.expect("a child can be waited for"))
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; all that matters is that no zombie of ours stays.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What `rekindle` answered.
#[derive(Debug)]
pub struct Reply {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The first line of its output, if that is JSON; else null.
    pub json: Value,
    /// All of its output.
    pub stdout: String,
    /// What it said besides.
    pub stderr: String,
}

impl From<Output> for Reply {
    fn from(output: Output) -> Self {
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
    /// Asserts the exit code and the outcome, and hands itself on.
    ///
    /// # Panics
    /// If they are others.
    #[track_caller]
    pub fn expect(self, code: i32, outcome: &str) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        assert_eq!(self.json["outcome"], outcome, "{self}");
        self
    }

    /// Asserts that a worker runs and that this is how it was come by.
    ///
    /// # Panics
    /// If it is not so.
    #[track_caller]
    pub fn expect_running(self, how: &str) -> Self {
        let reply = self.expect(0, how);
        assert!(procs::is_running(reply.pid()), "{reply}");
        reply
    }

    /// Asserts that it refused, and why.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn expect_rejected(self, reason: &str) -> Self {
        self.expect(3, "rejected").because(reason)
    }

    /// Asserts that it failed with an error, and why.
    ///
    /// # Panics
    /// If it did not.
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

    /// The pid it named.
    ///
    /// # Panics
    /// If it named none.
    #[track_caller]
    pub fn pid(&self) -> Pid {
        let pid = self.json["pid"].as_i64().and_then(|pid| pid.try_into().ok());
        pid.unwrap_or_else(|| panic!("no pid: {self}"))
    }

    /// What it advised: the command to type next, and what else there is to know.
    pub fn advice(&self) -> String {
        format!("{} {}", self.text("next"), self.text("hint")).trim().to_owned()
    }

    /// A text it gave, or an empty one.
    pub fn text(&self, field: &str) -> &str {
        self.json[field].as_str().unwrap_or_default()
    }
}
