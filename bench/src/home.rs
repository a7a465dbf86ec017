//! A state directory to measure in, and the project's own way to start processes there.

use crate::floor;
use crate::harness::Effort;
use rekindle::{SessionId, Sessions};
use rekindle_adapters::claim_lock::{ClaimAttempt, try_claim};
use rekindle_adapters::spawn::{Provision, SpawnRequest, spawn};
use rekindle_adapters::{HeldClaim, StateRoot, Worker, clock, lifeline, procfs, random};
use rekindle_core::{Generation, Host, Nonce, SpawnBgPlan};
use std::fs;
use std::path::{Path, PathBuf};

/// The smallest program that can be started; see `programs/child.c`.
pub(crate) const CHILD: &str = env!("BENCH_CHILD");

/// A static hello-world, built as the command is.
pub(crate) const HELLO: &str = env!("BENCH_HELLO");

/// What every row needs.
#[derive(Debug)]
pub(crate) struct Bench {
    /// How long to measure.
    pub(crate) effort: Effort,
    /// The command, as it is shipped.
    pub(crate) rekindle: PathBuf,
    /// A directory on a disk, for what is about files.
    pub(crate) dir: PathBuf,
    /// A directory in memory, for what is about processes: ext4 looks through all inodes that were deleted in the last
    /// five seconds whenever it makes a file, and a benchmark deletes more of them than anybody does.
    pub(crate) memory: PathBuf,
}

/// A place of one's own below `parent`.
fn emptied(parent: &Path, name: &str) -> PathBuf {
    let path = parent.join(name);
    if path.exists() {
        fs::remove_dir_all(&path).expect("a directory of ours can be removed");
    }
    fs::create_dir(&path).expect("a directory of ours can be made");
    path
}

impl Bench {
    /// An empty directory on the disk.
    pub(crate) fn on_disk(&self, name: &str) -> PathBuf {
        emptied(&self.dir, name)
    }

    /// An empty directory in memory.
    pub(crate) fn in_memory(&self, name: &str) -> PathBuf {
        emptied(&self.memory, name)
    }
}

/// A state directory, with this process as a launcher.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) root: StateRoot,
    pub(crate) here: Host,
    pub(crate) nonce: Nonce,
}

impl Home {
    /// An empty state directory below `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
        let root = StateRoot::open(dir.join("state")).expect("a directory of ours can be used");
        let nonce = random::nonce().expect("the kernel has random numbers");
        Self { root, here: procfs::this_host(), nonce }
    }

    /// The library on the same directory.
    pub(crate) fn sessions(&self) -> Sessions {
        let sessions = Sessions::open(self.root.path()).expect("a directory of ours can be used");
        sessions.spawn_on_calling_thread()
    }

    /// The claim on a session, which nobody else wants.
    pub(crate) fn claim(&self, session: &SessionId) -> HeldClaim {
        match try_claim(&self.root, session, &self.here).expect("a directory of ours can be used") {
            ClaimAttempt::Held(held) => *held,
            ClaimAttempt::Conflict { why, .. } => panic!("nobody else claims it: {why:?}"),
        }
    }

    /// The plan to run the smallest program.
    pub(crate) fn plan(&self, session: &SessionId, arguments: &[&str]) -> SpawnBgPlan {
        let command: Vec<String> = [&[CHILD], arguments].concat().iter().map(|it| (*it).to_owned()).collect();
        let socket = self.socket(session);
        SpawnBgPlan::new(session.clone(), socket, PathBuf::from("/"), &command, None)
    }

    /// Where a session's worker answers.
    pub(crate) fn socket(&self, session: &SessionId) -> PathBuf {
        self.root.path().join(session.as_str()).join("sock")
    }

    /// Prepares a start, so that only the start itself remains.
    pub(crate) fn prepare<'a>(&'a self, plan: &'a SpawnBgPlan, claim: &'a HeldClaim) -> SpawnRequest<'a> {
        let lifeline = lifeline::renew(claim.dir()).expect("the claim is ours");
        let generation = Generation::new(1);
        SpawnRequest {
            plan,
            claim,
            generation,
            nonce: &self.nonce,
            lifeline,
            host: &self.here,
            provision: Provision::Nothing,
            started_at: clock::now(),
        }
    }
}

/// Starts what was prepared.
pub(crate) fn start(request: SpawnRequest<'_>) -> Worker {
    spawn(request).expect("the smallest program can be started")
}

/// A session by its number.
pub(crate) fn session(number: usize) -> SessionId {
    format!("s{number}").parse().expect("a letter and digits are an id")
}

/// A runtime as a program with nothing else to do has it.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be had")
}

/// Ends a process that we can only name, and waits until it is gone.
pub(crate) fn end(pid: rekindle_core::Pid) {
    let pidfd = floor::pidfd(pid.as_raw());
    floor::signal(pid.as_raw(), libc::SIGKILL);
    floor::poll(&pidfd);
}

/// How many bytes this process has allocated, and how many descriptors and threads it has.
pub(crate) fn own_resources() -> (f64, f64, f64) {
    let status = fs::read_to_string("/proc/self/status").expect("/proc is there");
    let field = |name: &str| -> f64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok());
        number.expect("the kernel shows it")
    };
    let descriptors = fs::read_dir("/proc/self/fd").expect("/proc is there").count();
    (floor::allocated() as f64, descriptors as f64, field("Threads:"))
}
