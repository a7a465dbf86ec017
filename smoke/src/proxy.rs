//! `rekindle supervise` as seen by a client.

use crate::cli;
use crate::procs::{self, Pid};
use crate::schema;
use crate::test_env::TestEnv;
use crate::wait::FACT_TIMEOUT;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};

/// A running `rekindle supervise --json`, killed and reaped when dropped.
#[derive(Debug)]
pub struct Proxy {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<BufReader<ChildStdout>>,
    stderr: Option<JoinHandle<String>>,
}

/// The result of a proxy's end.
#[derive(Debug)]
pub struct ProxyEnd {
    /// The exit code; `None` after a death by signal.
    pub code: Option<i32>,
    /// The signal that ended the process.
    pub signal: Option<i32>,
    /// The rest of stdout.
    pub stdout: Vec<u8>,
    /// The whole stderr.
    pub stderr: String,
}

impl ProxyEnd {
    /// The rest of stdout as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The events: the lines of stderr in JSON.
    pub fn events(&self) -> Vec<Value> {
        let events: Vec<Value> =
            self.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        schema::check_events(&events);
        events
    }

    /// The names of the events, in order.
    pub fn story(&self) -> Vec<String> {
        self.events().iter().map(|event| event["event"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// The command; the caller sets the streams.
pub fn command(env: &TestEnv, options: &[&str], program: &[&str]) -> Command {
    let mut command = env.command(cli::binary());
    command.args(["supervise", "--json"]).args(options).arg("--").args(program);
    command
}

impl Proxy {
    /// Starts the proxy between two pipes.
    ///
    /// # Panics
    /// If the proxy cannot be started.
    pub fn start(env: &TestEnv, options: &[&str], program: &[&str]) -> Self {
        let mut command = command(env, options, program);
        command.stdin(Stdio::piped());
        Self::start_command(command)
    }

    /// Starts a command with the caller's stdin.
    ///
    /// # Panics
    /// If the command cannot be started.
    pub fn start_command(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        let mut stderr = child.stderr.take().expect("it is a pipe");
        let complaints = thread::spawn(move || {
            let mut bytes = Vec::new();
            // Only bytes before an error can be read.
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Self {
            stdin: child.stdin.take(),
            stdout: child.stdout.take().map(BufReader::new),
            stderr: Some(complaints),
            child,
        }
    }

    /// The pid.
    pub fn pid(&self) -> Pid {
        self.child.id().try_into().expect("a pid is an i32")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        procs::send(self.pid(), signal);
    }

    /// Writes bytes to stdin.
    ///
    /// # Panics
    /// If the write fails.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().expect("its stdin is open");
        stdin.write_all(bytes.as_ref()).expect("it takes what is sent");
    }

    /// Reads the next line. Without a line the test fails by its time limit.
    ///
    /// # Panics
    /// If stdout ends.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        let stdout = self.stdout.as_mut().expect("its stdout is open");
        let len = stdout.read_line(&mut line).expect("it speaks UTF-8");
        assert!(len > 0, "its output has ended");
        line
    }

    /// Closes stdin.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Closes stdout.
    pub fn close_stdout(&mut self) {
        self.stdout = None;
    }

    /// Takes stdin, for a thread that writes.
    ///
    /// # Panics
    /// If stdin was taken before.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().expect("it is there once")
    }

    /// Waits for the end of the process, and of every other holder of its output.
    ///
    /// # Panics
    /// If the wait takes too long.
    pub fn finish(mut self) -> ProxyEnd {
        let (stdout, stderr) = (self.stdout.take(), self.stderr.take().expect("it is finished only once"));
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut stdout) = stdout {
                // Only bytes before an error can be read.
                let _ = stdout.read_to_end(&mut bytes);
            }
            sender.send((bytes, stderr.join().unwrap_or_default()))
        });
        let (stdout, stderr) = self.await_output(&receiver);
        let status = self.child.wait().expect("a child can be waited for");
        ProxyEnd { code: status.code(), signal: status.signal(), stdout, stderr }
    }

    fn await_output<T>(&self, output: &Receiver<T>) -> T {
        output.recv_timeout(FACT_TIMEOUT * 2).unwrap_or_else(|_| {
            let runs = procs::is_running(self.pid());
            panic!("the proxy (pid {}) did not end, or its output is held open (it runs: {runs})", self.pid())
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The process may have ended by itself; the point is that no zombie of ours stays.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
