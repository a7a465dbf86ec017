//! A sentinel: a process that nobody may touch, and that writes down every signal it gets.

use crate::cli::Launcher;
use crate::container::{Place, unused};
use crate::procs::{self, Pid};
use crate::test_env::TestEnv;
use crate::{programs, wait};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Becomes the sentinel. Arguments: where it writes who it is, what kind of process it is to be, and its pid, or 0.
///
/// A signal that was sent before the last of all signals is written down before the answer to that one: Python runs
/// its handlers in the order of the signals' numbers.
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

/// What kind of process a sentinel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentinelKind {
    /// One among several of its session.
    Plain,
    /// The leader of a session of its own, as a worker is.
    SessionLeader,
}

impl SentinelKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Plain, Self::SessionLeader];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::SessionLeader => "session-leader",
        }
    }
}

/// A process that is to live on untouched. It ends with its test environment.
#[derive(Debug)]
pub struct Sentinel {
    base: PathBuf,
    pid: Pid,
    start_time: u64,
    pid_outside: Pid,
    /// What started it, and ends when it does.
    _parent: Launcher,
}

impl Sentinel {
    /// Starts one.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(env: &TestEnv, place: Place<'_>, kind: SentinelKind) -> Self {
        Self::with_pid(env, place, kind, 0)
    }

    /// Starts one that has this very pid where it runs, or any if that is 0.
    ///
    /// # Panics
    /// If it cannot be started, or the pid is another's.
    pub fn with_pid(env: &TestEnv, place: Place<'_>, kind: SentinelKind, pid: Pid) -> Self {
        let base = unused(env, "sentinel");
        fs::write(&base, "").expect("a env's directory is writable");
        env.account().take_over(&base);
        let mut command = place.command(env, programs::python());
        command.arg("-c").arg(SCRIPT).arg(&base).arg(kind.name()).arg(pid.to_string());
        // Whoever signals its group is to hit nobody else.
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

    /// Its pid where it runs.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Its start time where it runs, in clock ticks since boot.
    pub fn start_time(&self) -> u64 {
        self.start_time
    }

    /// What was done to it; `None` if nothing was.
    pub fn harm(&self) -> Option<String> {
        let answers = || fs::read(with_suffix(&self.base, ".answers")).map_or(0, |bytes| bytes.len());
        let before = answers();
        let lives = || procs::is_running(self.pid_outside);
        // It answers once it has written down all that came before.
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

    /// Asserts that nothing was done to it by `what`.
    ///
    /// # Panics
    /// If something was.
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

/// Sends the signal with the highest number, which nix has no name for.
fn send_last(pid: Pid) {
    // A builtin of every shell, which knows all the numbers.
    let _ = Command::new("sh").args(["-c", "kill -64 \"$0\" 2>/dev/null", &pid.to_string()]).status();
}
