//! A test environment: a private directory, and all processes that were started in it.
//!
//! # Invariants
//! 1. Every process of a test environment can be found: what it was given names the test environment's directory, or it has something of it
//!    open.
//! 2. When a test environment goes, by a panic too, so do its processes; that nobody holds a lifeline any more is then checked.

use crate::account::{self, Account};
use crate::cli::{self, Launcher, Reply};
use crate::procs::{self, Pid};
use crate::wait;
use nix::sys::signal::Signal;
use rekindle::SessionId;
use rekindle::adapters::{StateRoot, lifeline};
use rekindle::core::Lifeline;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use tempfile::TempDir;

/// The variable that names the test environment of a process.
pub const CANARY: &str = "REKINDLE_SMOKE_SCENE";

/// What rekindle itself looks at; a test environment decides it, not whoever runs the suite.
const DECIDED_HERE: [&str; 5] =
    ["REKINDLE_DIR", "XDG_STATE_HOME", "REKINDLE_SESSION", "REKINDLE_SOCKET", "REKINDLE_NONCE"];

/// A directory of its own with a state directory to be, and what runs there.
#[derive(Debug)]
pub struct TestEnv {
    dir: TempDir,
    account: Account,
}

/// The directory in which all test environments of this run are; its name is in the environment of all that they start.
fn all_scenes() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir =
            tempfile::Builder::new().prefix("rk-").tempdir().expect("the temporary directory is writable");
        dir.keep()
    })
}

/// Where the command under test is copied to for users who cannot reach the target directory.
fn copy_of_binary() -> PathBuf {
    all_scenes().join("rekindle")
}

/// Ends whatever is left of all test environments of this run, and says what that was: after a test that hung, say.
pub fn end_all_of_this_run() -> Vec<String> {
    let describe = |pid: Pid| format!("process {pid}: {}", procs::command_line(pid));
    let mut left: Vec<String> = procs::touching(all_scenes()).into_iter().map(describe).collect();
    if !kill_all(all_scenes()) {
        left.push("and not all of them could be killed".to_owned());
    }
    // The directory is empty by now but for the copy of the command, or holds what a failure is looked into with.
    let _ = fs::remove_file(copy_of_binary());
    let _ = fs::remove_dir(all_scenes());
    left
}

/// Whether all processes of a test environment are gone after they were killed.
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
    /// An empty test environment; its directory is ours alone.
    ///
    /// # Panics
    /// If the directory cannot be made.
    pub fn new() -> Self {
        Self::owned_by(Account::Ours)
    }

    /// An empty test environment of a user, who runs its commands.
    ///
    /// # Panics
    /// If the directory cannot be made, or cannot be given to that user.
    pub fn owned_by(account: Account) -> Self {
        let dir = tempfile::Builder::new().prefix("s").rand_bytes(4).tempdir_in(all_scenes());
        let dir = dir.expect("the directory of all envs is writable");
        account.take_over(dir.path());
        Self { dir, account }
    }

    /// Lets other users pass through its directory, as through a home directory of mode 0711.
    ///
    /// # Panics
    /// If that is impossible.
    pub fn let_others_pass(&self) {
        account::make_passable(self.dir());
    }

    /// Whose it is.
    pub fn account(&self) -> Account {
        self.account
    }

    /// The command under test, where the test environment's user can execute it.
    pub fn binary(&self) -> PathBuf {
        self.account.executable(cli::binary(), copy_of_binary())
    }

    /// The same, as an argument.
    ///
    /// # Panics
    /// If its path is not UTF-8.
    pub fn binary_arg(&self) -> String {
        self.binary().into_os_string().into_string().expect("the command's path is UTF-8")
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A path in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Writes a file into its directory.
    ///
    /// # Panics
    /// If that is impossible.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("a env's directory is writable");
        path
    }

    /// The state directory, which does not exist until somebody starts something.
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// A file of a session.
    pub fn of(&self, session: &str, file: &str) -> PathBuf {
        self.state().join(session).join(file)
    }

    /// The socket that a session has unless told otherwise.
    pub fn socket(&self, session: &str) -> PathBuf {
        self.of(session, "sock")
    }

    /// The record of a session.
    ///
    /// # Panics
    /// If there is none that can be read.
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

    /// Changes one JSON file of a session, as a hand or a later version would.
    ///
    /// # Panics
    /// If it is not there or no JSON.
    pub fn edit(&self, session: &str, file: &str, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let path = self.of(session, file);
        let bytes = fs::read(&path).expect("the file is there");
        let mut value = serde_json::from_slice(&bytes).expect("the file is JSON");
        change(&mut value);
        let bytes = serde_json::to_vec(&value).expect("JSON can be written");
        fs::write(&path, &bytes).expect("the file can be written");
        bytes
    }

    /// A command whose process belongs to the test environment.
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

    /// Runs `rekindle` to its end.
    pub fn rekindle<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Reply {
        self.launch(args).finish()
    }

    /// Starts `rekindle` and does not wait for it.
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

    /// `rekindle up`, not waited for.
    pub fn launch_up(&self, session: &str, options: &[&str], command: &[&str]) -> Launcher {
        self.launch([&["up"], options, &[session, "--"], command].concat())
    }

    /// `rekindle stop SESSION`.
    pub fn stop(&self, session: &str) -> Reply {
        self.rekindle(["stop", session])
    }

    /// What the kernel says of a session's lifeline.
    ///
    /// # Panics
    /// If the session has no directory.
    pub fn lifeline(&self, session: &str) -> Lifeline {
        let root = StateRoot::open(self.state()).expect("a env's state directory is ours");
        let session: SessionId = session.parse().expect("the session has a valid name");
        let dir = root.session(&session).expect("the session's directory is ours");
        lifeline::ask(&dir.expect("the session has a directory"))
    }

    /// Waits until a session's worker has written its pid into its lifeline: it is about to become its program.
    pub fn worker_pid(&self, session: &str) -> Pid {
        let lifeline = self.of(session, "lifeline");
        wait::for_some("the worker has marked its lifeline", || {
            let mark: Value = serde_json::from_slice(&fs::read(&lifeline).ok()?).ok()?;
            mark["pid"].as_i64()?.try_into().ok()
        })
    }

    /// The processes of the test environment that run.
    pub fn processes(&self) -> Vec<Pid> {
        procs::touching(self.dir())
    }

    /// Asserts that nothing of a session is left but its record and its logs, and no process in the test environment.
    ///
    /// # Panics
    /// If something is.
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
    /// If one does.
    pub fn assert_no_process(&self) {
        let describe = |pid: &Pid| format!("{pid}: {}", procs::command_line(*pid));
        let left: Vec<String> = self.processes().iter().map(describe).collect();
        assert!(left.is_empty(), "processes are left: {left:?}");
    }

    /// The sessions whose lifeline somebody holds, though no process of the test environment can be seen.
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
        // A process that dies loses its locks last, when there is nothing else left to find it by.
        let gone = kill_all(self.dir()) && wait::comes_true(|| self.held_lifelines().is_empty());
        // One panic tells more than two.
        if !gone && !thread::panicking() {
            let (left, held) = (self.processes(), self.held_lifelines());
            panic!("the env does not end: processes {left:?}, lifelines held {held:?}");
        }
    }
}
