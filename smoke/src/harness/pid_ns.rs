//! A pid namespace with this program inside, running one job after the other.
//!
//! A launcher inside sees only its own worker in `/proc`, so its system calls repeat from run to run; and when the
//! namespace ends, all of its processes end.

use super::fuzz;
use super::job::Job;
use super::trouble::{Trouble, TroubleKind};
use crate::{TestEnv, programs, test_env};
use serde_json::{Value, json};
use std::env;
use std::io::{BufRead, BufReader, Write, stdin};
use std::panic::{self, AssertUnwindSafe};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The variable that tells this program to run jobs in a pid namespace.
const PID_NS: &str = "REKINDLE_SMOKE_PID_NS";

/// The options for a pid namespace: as root, or as an ordinary user where allowed.
const NAMESPACES: [&[&str]; 2] = [
    &["--pid", "--mount-proc", "--fork", "--kill-child"],
    &["--map-root-user", "--pid", "--mount-proc", "--fork", "--kill-child"],
];

/// The first process of a pid namespace: like any init, it reaps orphans while waiting for this program.
const INIT: [&str; 4] = ["sh", "-c", "\"$@\"; exit $?", "sh"];

/// A pid namespace, seen from outside. When dropped, all processes inside end.
#[derive(Debug)]
pub struct PidNamespace {
    child: Child,
    jobs: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// The files of the namespace are dropped together with the namespace.
    _env: TestEnv,
}

impl PidNamespace {
    /// Starts a pid namespace.
    ///
    /// # Panics
    /// If no process can be started in a new pid namespace.
    pub fn start() -> Self {
        let env = TestEnv::new();
        let mut command = in_a_namespace();
        command.arg(env::current_exe().expect("this program knows where it is"));
        command.env(PID_NS, "1").env("TMPDIR", env.dir()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a pid_ns can be started");
        let jobs = child.stdin.take().expect("its input is piped");
        let answers = BufReader::new(child.stdout.take().expect("its output is piped"));
        Self { child, jobs, answers, _env: env }
    }

    /// Runs a job.
    ///
    /// # Errors
    /// The broken promise, or that the pid namespace is gone.
    pub fn run(&mut self, job: &Job) -> Result<Value, Trouble> {
        let mut answer = String::new();
        let asked = writeln!(self.jobs, "{job}").and_then(|()| self.answers.read_line(&mut answer));
        let answer: Value = match asked.map(|_| serde_json::from_str(&answer)) {
            Ok(Ok(answer)) => answer,
            unclear => {
                return Err(Trouble::new(TroubleKind::Other, format!("the pid_ns broke: {unclear:?}")));
            }
        };
        match answer["trouble"].as_str() {
            None => Ok(answer["found"].clone()),
            Some(text) => {
                let kind = TroubleKind::named(answer["kind"].as_str().unwrap_or_default());
                Err(Trouble::new(kind, text))
            }
        }
    }
}

impl Drop for PidNamespace {
    fn drop(&mut self) {
        // The end of the namespace's first process ends all processes inside.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `unshare` for a pid namespace, with the options allowed here; the next argument is the program for pid 1.
///
/// # Panics
/// If no process can be started in a new pid namespace.
pub fn unshare() -> Command {
    let unshare = programs::find("unshare", "util-linux");
    let is_allowed = |options: &&&[&str]| {
        let tried = Command::new(&unshare).args(**options).arg("true").output();
        tried.is_ok_and(|output| output.status.success())
    };
    let options = NAMESPACES.iter().find(is_allowed);
    let options = options.expect("a pid namespace can be had: as root, or where user namespaces are allowed");
    let mut command = Command::new(unshare);
    command.args(*options);
    command
}

fn in_a_namespace() -> Command {
    let mut command = unshare();
    command.args(INIT);
    command
}

/// Runs jobs or acts as a hostile peer, if this process was started for either: for the start of `main`.
pub fn serve_if_in_pid_ns() -> Option<ExitCode> {
    if let Some(exit) = fuzz::serve_if_peer() {
        return Some(exit);
    }
    env::var_os(PID_NS)?;
    panic::set_hook(Box::new(|info| *last_panic() = info.to_string()));
    for line in stdin().lines() {
        let Ok(line) = line else { break };
        let done = panic::catch_unwind(AssertUnwindSafe(|| line.parse::<Job>()?.run()));
        let done = done.unwrap_or_else(|_| Err(Trouble::new(TroubleKind::Other, last_panic().clone())));
        let answer = match done {
            Ok(found) => json!({ "found": found }),
            Err(Trouble { kind, text }) => json!({ "kind": kind.name(), "trouble": text }),
        };
        println!("{answer}");
    }
    test_env::end_all_of_this_run();
    Some(ExitCode::SUCCESS)
}

fn last_panic() -> MutexGuard<'static, String> {
    static LAST: Mutex<String> = Mutex::new(String::new());
    LAST.lock().unwrap_or_else(PoisonError::into_inner)
}
