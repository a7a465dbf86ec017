//! A sentinel: a process that must stay untouched, and that writes down every received signal.

use crate::cli::Launcher;
use crate::container::{Place, unused};
use crate::procs::{self, Pid};
use crate::test_env::TestEnv;
use crate::{programs, wait};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Becomes the sentinel. Arguments: the base path of the sentinel's files, the kind of process, and the pid, or 0.
///
/// A signal sent before the last of all signals is written down before the answer to the last: Python runs handlers in
/// the order of the signals' numbers.
const SCRIPT: &str = r#"
import os, signal, sys
base, kind, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3])
LAST = signal.SIGRTMAX

def write(name, text):
    with open(base + name, "a") as file:
        file.write(text)

def become(tell):
    if kind == "session-leader":
        os.setsid()
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP, LAST}:
        signal.signal(number, lambda number, frame: write(".heard", f"{number}\n"))
    signal.signal(LAST, lambda number, frame: write(".answers", "x"))
    start_time = open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19]
    write(".tmp", f"{os.getpid()} {start_time}")
    os.rename(base + ".tmp", base + ".ready")
    os.write(tell, b"x")
    while True:
        signal.pause()

for _ in range(200):
    if wanted:
        with open("/proc/sys/kernel/ns_last_pid", "w") as last:
            last.write(str(wanted - 1))
    hear, tell = os.pipe()
    go, let = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(let)
        if os.read(go, 1):
            become(tell)
        os._exit(0)
    if wanted in (0, child):
        os.write(let, b"x")
        break
    os.close(let)
    os.waitpid(child, 0)
    for end in (hear, tell, go):
        os.close(end)
else:
    sys.exit(f"pid {wanted} is not to be had")
os.waitpid(child, 0)
"#;

/// The kind of a sentinel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentinelKind {
    /// One of several processes in its process session.
    Plain,
    /// The leader of a new process session, like a worker.
    SessionLeader,
}

impl SentinelKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Plain, Self::SessionLeader];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::SessionLeader => "session-leader",
        }
    }
}

/// A process that must live on untouched, and ends with its test environment.
#[derive(Debug)]
pub struct Sentinel {
    base: PathBuf,
    pid: Pid,
    start_time: u64,
    pid_outside: Pid,
    /// The parent, which ends when the sentinel does.
    _parent: Launcher,
}

impl Sentinel {
    /// Starts a sentinel.
    ///
    /// # Panics
    /// If the sentinel cannot be started.
    pub fn start(env: &TestEnv, place: Place<'_>, kind: SentinelKind) -> Self {
        Self::with_pid(env, place, kind, 0)
    }

    /// Starts a sentinel with this pid at its place, or with any pid if `pid` is 0.
    ///
    /// # Panics
    /// If the sentinel cannot be started, or the pid is in use.
    pub fn with_pid(env: &TestEnv, place: Place<'_>, kind: SentinelKind, pid: Pid) -> Self {
        let base = unused(env, "sentinel");
        fs::write(&base, "").expect("a test environment's directory is writable");
        env.account().take_over(&base);
        let mut command = place.command(env, programs::python());
        command.arg("-c").arg(SCRIPT).arg(&base).arg(kind.name()).arg(pid.to_string());
        // A signal to the group must hit no other process.
        command.process_group(0);
        let parent = Launcher::start(command);
        let ready = with_suffix(&base, ".ready");
        wait::until("the sentinel is ready, or cannot be", || {
            ready.exists() || !procs::is_running(parent.pid())
        });
        if !ready.exists() {
            panic!("there is no sentinel: {}", parent.finish());
        }
        let text = fs::read_to_string(&ready).expect("the sentinel wrote it");
        let (pid, start_time) = text.split_once(' ').expect("two numbers");
        let pid: Pid = pid.parse().expect("a pid is an i32");
        let start_time = start_time.parse().expect("a start time is a number");
        let name = base.to_string_lossy().into_owned();
        let is_it =
            |it: &Pid| procs::innermost_pid(*it) == Some(pid) && procs::command_line(*it).contains(&name);
        let pid_outside = wait::for_some("the sentinel is seen", || procs::others().into_iter().find(is_it));
        Self { base, pid, start_time, pid_outside, _parent: parent }
    }

    /// The pid at the sentinel's place.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The start time at the sentinel's place, in clock ticks since boot.
    pub fn start_time(&self) -> u64 {
        self.start_time
    }

    /// The harm done to the sentinel; `None` if untouched.
    pub fn harm(&self) -> Option<String> {
        let answers = || fs::read(with_suffix(&self.base, ".answers")).map_or(0, |bytes| bytes.len());
        let before = answers();
        let lives = || procs::is_running(self.pid_outside);
        // The answer follows after all earlier signals have been written down.
        send_last(self.pid_outside);
        let answered = wait::comes_true(|| answers() > before || !lives());
        let heard = fs::read_to_string(with_suffix(&self.base, ".heard")).unwrap_or_default();
        match (lives(), answered, heard.as_str()) {
            (true, true, "") => None,
            (true, true, heard) => {
                Some(format!("it got the signals {:?}", heard.lines().collect::<Vec<_>>()))
            }
            (true, false, _) => Some(format!("it is stopped: state {:?}", procs::state(self.pid_outside))),
            (false, _, heard) => Some(format!("it was killed; before that it got {heard:?}")),
        }
    }

    /// Asserts that `what` has not touched the sentinel.
    ///
    /// # Panics
    /// If the sentinel was touched.
    #[track_caller]
    pub fn assert_untouched(&self, what: &str) {
        if let Some(harm) = self.harm() {
            panic!("a process that is nobody's worker (pid {}) was touched: {harm}; by: {what}", self.pid);
        }
    }
}

fn with_suffix(base: &Path, suffix: &str) -> PathBuf {
    let mut path = base.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Sends the signal with the highest number; nix has no name for the signal.
fn send_last(pid: Pid) {
    // `kill` is a builtin of every shell, and knows all numbers.
    let _ = Command::new("sh").args(["-c", "kill -64 \"$0\" 2>/dev/null", &pid.to_string()]).status();
}
