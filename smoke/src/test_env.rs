//! A test environment: a private directory, and all processes started there.
//!
//! # Invariants
//! 1. Every process of a test environment can be found: its environment or arguments name the directory, or it has a
//!    file there open.
//! 2. When a test environment is dropped, also by a panic, its processes end; then a check proves that no process holds
//!    a lifeline.

use crate::account::{self, Account};
use crate::cli::{self, Launcher, Reply};
use crate::procs::{self, Pid};
use crate::wait;
use nix::sys::signal::Signal;
use rekindle::SessionId;
use rekindle_adapters::{StateRoot, lifeline};
use rekindle_core::Lifeline;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use tempfile::TempDir;

/// The variable with the directory of a process's test environment.
pub const CANARY: &str = "REKINDLE_SMOKE_ENV";

/// The variables that rekindle reads; the test environment sets them, not the user of the suite.
const DECIDED_HERE: [&str; 5] =
    ["REKINDLE_DIR", "XDG_STATE_HOME", "REKINDLE_SESSION", "REKINDLE_SOCKET", "REKINDLE_NONCE"];

/// A private directory with room for a state directory, and the processes there.
#[derive(Debug)]
pub struct TestEnv {
    dir: TempDir,
    account: Account,
}

/// The directory of all test environments of this run; every process started there has the name in its environment.
fn all_envs() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir =
            tempfile::Builder::new().prefix("rk-").tempdir().expect("the temporary directory is writable");
        dir.keep()
    })
}

/// The path of the command's copy, for users without access to the target directory.
fn copy_of_binary() -> PathBuf {
    all_envs().join("rekindle")
}

/// Ends all processes left in test environments of this run, and describes them: after a hanging test, for example.
pub fn end_all_of_this_run() -> Vec<String> {
    let describe = |pid: Pid| format!("process {pid}: {}", procs::command_line(pid));
    let mut left: Vec<String> = procs::touching(all_envs()).into_iter().map(describe).collect();
    if !kill_all(all_envs()) {
        left.push("and not all of them could be killed".to_owned());
    }
    // The directory is empty except for the copy of the command, unless a failed test left files for examination.
    let _ = fs::remove_file(copy_of_binary());
    let _ = fs::remove_dir(all_envs());
    left
}

/// Kills all processes of a test environment; returns whether all are gone.
fn kill_all(dir: &Path) -> bool {
    wait::comes_true(|| {
        let left = procs::touching(dir);
        left.iter().for_each(|pid| procs::send(*pid, Signal::SIGKILL));
        left.is_empty()
    })
}

impl Default for TestEnv {
    fn default() -> Self {
        Self::new()
    }
}

impl TestEnv {
    /// An empty test environment in a private directory.
    ///
    /// # Panics
    /// If the directory cannot be made.
    pub fn new() -> Self {
        Self::owned_by(Account::Ours)
    }

    /// An empty test environment of a user; commands run as this user.
    ///
    /// # Panics
    /// If the directory cannot be made, or cannot be given to the user.
    pub fn owned_by(account: Account) -> Self {
        let dir = tempfile::Builder::new().prefix("s").rand_bytes(4).tempdir_in(all_envs());
        let dir = dir.expect("the directory of all envs is writable");
        account.take_over(dir.path());
        Self { dir, account }
    }

    /// Lets other users pass through the directory, as through a home directory of mode 0711.
    ///
    /// # Panics
    /// If the mode cannot be changed.
    pub fn let_others_pass(&self) {
        account::make_passable(self.dir());
    }

    /// The account of the owner.
    pub fn account(&self) -> Account {
        self.account
    }

    /// The command under test, executable for the test environment's user.
    pub fn binary(&self) -> PathBuf {
        self.account.executable(cli::binary(), copy_of_binary())
    }

    /// The command under test, as an argument.
    ///
    /// # Panics
    /// If the path is not UTF-8.
    pub fn binary_arg(&self) -> String {
        self.binary().into_os_string().into_string().expect("the command's path is UTF-8")
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Writes a file in the directory.
    ///
    /// # Panics
    /// If the write fails.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("a test environment's directory is writable");
        path
    }

    /// The state directory, which does not exist before the first start.
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// A file of a session.
    pub fn of(&self, session: &str, file: &str) -> PathBuf {
        self.state().join(session).join(file)
    }

    /// The default socket of a session.
    pub fn socket(&self, session: &str) -> PathBuf {
        self.of(session, "sock")
    }

    /// The record of a session.
    ///
    /// # Panics
    /// If no readable record exists.
    pub fn record(&self, session: &str) -> Value {
        let bytes = fs::read(self.of(session, "session.json")).expect("the session has a record");
        serde_json::from_slice(&bytes).expect("a record is JSON")
    }

    /// Makes the record of a session one of schema 1, as an earlier version wrote it.
    ///
    /// # Panics
    /// If there is no record of schema 2.
    pub fn make_schema_1(&self, session: &str) {
        self.edit(session, "session.json", |record| {
            let fields = record.as_object_mut().expect("a record is an object");
            let plan = fields.remove("plan").expect("a record of schema 2 has its plan");
            let command = plan["launch_args"].as_array().expect("a command is a list");
            fields.insert("schema_version".into(), 1.into());
            fields.insert("program".into(), command[0].clone());
            fields.insert("arguments".into(), command[1..].into());
            fields.insert("cwd".into(), plan["cwd"].clone());
            fields.insert("readiness".into(), plan["ready"].clone());
            if let Some(version) = plan["speaking"].get("version") {
                fields.insert("speak".into(), version.clone());
            }
        });
    }

    /// Changes one JSON file of a session, as a person or a later version would.
    ///
    /// # Panics
    /// If the file is missing or not JSON.
    pub fn edit(&self, session: &str, file: &str, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let path = self.of(session, file);
        let bytes = fs::read(&path).expect("the file is there");
        let mut value = serde_json::from_slice(&bytes).expect("the file is JSON");
        change(&mut value);
        let bytes = serde_json::to_vec(&value).expect("JSON can be written");
        fs::write(&path, &bytes).expect("the file can be written");
        bytes
    }

    /// A command with a process that belongs to the test environment.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let prefix = self.account.prefix();
        let mut command = match prefix.split_first() {
            None => Command::new(program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        command.env(CANARY, self.dir()).current_dir(self.dir()).stdin(Stdio::null());
        for name in DECIDED_HERE {
            command.env_remove(name);
        }
        command
    }

    /// `rekindle --json` on the test environment's state directory.
    pub fn rekindle_command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(self.binary());
        command.arg("--json").arg("--dir").arg(self.state()).args(args);
        command
    }

    /// Runs `rekindle` to the end.
    pub fn rekindle<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Reply {
        self.launch(args).finish()
    }

    /// Starts `rekindle` without waiting.
    pub fn launch<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Launcher {
        Launcher::start(self.rekindle_command(args))
    }

    /// `rekindle up SESSION -- COMMAND`.
    pub fn up(&self, session: &str, command: &[&str]) -> Reply {
        self.up_with(session, &[], command)
    }

    /// `rekindle up OPTIONS SESSION -- COMMAND`.
    pub fn up_with(&self, session: &str, options: &[&str], command: &[&str]) -> Reply {
        self.launch_up(session, options, command).finish()
    }

    /// Starts `rekindle up` without waiting.
    pub fn launch_up(&self, session: &str, options: &[&str], command: &[&str]) -> Launcher {
        self.launch([&["up"], options, &[session, "--"], command].concat())
    }

    /// `rekindle stop SESSION`.
    pub fn stop(&self, session: &str) -> Reply {
        self.rekindle(["stop", session])
    }

    /// The kernel's answer about a session's lifeline.
    ///
    /// # Panics
    /// If the session has no directory.
    pub fn lifeline(&self, session: &str) -> Lifeline {
        let root = StateRoot::open(self.state()).expect("a test environment's state directory is ours");
        let session: SessionId = session.parse().expect("the session has a valid name");
        let dir = root.session(&session).expect("the session's directory is ours");
        lifeline::ask(&dir.expect("the session has a directory"))
    }

    /// Waits until a session's worker has marked its lifeline: exec follows.
    pub fn worker_pid(&self, session: &str) -> Pid {
        let lifeline = self.of(session, "lifeline");
        wait::for_some("the worker has marked its lifeline", || {
            let mark: Value = serde_json::from_slice(&fs::read(&lifeline).ok()?).ok()?;
            mark["pid"].as_i64()?.try_into().ok()
        })
    }

    /// The running processes of the test environment.
    pub fn processes(&self) -> Vec<Pid> {
        procs::touching(self.dir())
    }

    /// Asserts that only record and logs of a session are left, and no process in the test environment.
    ///
    /// # Panics
    /// If anything else is left.
    pub fn assert_nothing_left(&self, session: &str) {
        self.assert_no_process();
        for file in ["claim", "sock"] {
            assert!(self.of(session, file).symlink_metadata().is_err(), "`{file}` is left");
        }
        let lifeline = self.lifeline(session);
        assert!(matches!(lifeline, Lifeline::Free | Lifeline::Missing), "its lifeline is {lifeline:?}");
    }

    /// Asserts that no process of the test environment runs.
    ///
    /// # Panics
    /// If a process runs.
    pub fn assert_no_process(&self) {
        let describe = |pid: &Pid| format!("{pid}: {}", procs::command_line(*pid));
        let left: Vec<String> = self.processes().iter().map(describe).collect();
        assert!(left.is_empty(), "processes are left: {left:?}");
    }

    /// The sessions with a held lifeline, although no process of the test environment is visible.
    fn held_lifelines(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.state()) else { return Vec::new() };
        let root = StateRoot::open(self.state());
        let held = |session: &SessionId| {
            let dir = root.as_ref().ok().and_then(|root| root.session(session).ok().flatten());
            dir.is_some_and(|dir| lifeline::ask(&dir) == Lifeline::Held)
        };
        let sessions = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        sessions.filter(held).map(|session| session.to_string()).collect()
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        // A dying process loses its locks last, after all other traces are gone.
        let gone = kill_all(self.dir()) && wait::comes_true(|| self.held_lifelines().is_empty());
        // A second panic would hide the first.
        if !gone && !thread::panicking() {
            let (left, held) = (self.processes(), self.held_lifelines());
            panic!("the env does not end: processes {left:?}, lifelines held {held:?}");
        }
    }
}
