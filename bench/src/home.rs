//! A state directory for measurements, and starts by rekindle in that directory.

use crate::floor;
use crate::harness::Effort;
use rekindle::{SessionId, Sessions};
use rekindle_adapters::claim_lock::{ClaimAttempt, try_claim};
use rekindle_adapters::spawn::{Provision, SpawnRequest, spawn};
use rekindle_adapters::{HeldClaim, StateRoot, Worker, clock, lifeline, procfs, random};
use rekindle_core::{Endpoint, Generation, Host, Nonce, SpawnBgPlan};
use std::fs;
use std::path::{Path, PathBuf};

/// The smallest program: `programs/child.c`.
pub(crate) const CHILD: &str = env!("BENCH_CHILD");

/// A static hello-world, with the build options of the command.
pub(crate) const HELLO: &str = env!("BENCH_HELLO");

/// The context of every row.
#[derive(Debug)]
pub(crate) struct Bench {
    /// The number of repetitions and rounds.
    pub(crate) effort: Effort,
    /// The release build of the command.
    pub(crate) rekindle: PathBuf,
    /// A directory on a disk, for rows about files.
    pub(crate) dir: PathBuf,
    /// A directory in memory, for rows about processes. Whenever ext4 creates a file, ext4 looks through all inodes
    /// deleted in the last five seconds, and a benchmark deletes far more files than normal use.
    pub(crate) memory: PathBuf,
}

/// Creates an empty directory below `parent`; an earlier directory of the same name is removed.
fn empty_dir(parent: &Path, name: &str) -> PathBuf {
    let path = parent.join(name);
    if path.exists() {
        fs::remove_dir_all(&path).expect("a directory of ours can be removed");
    }
    fs::create_dir(&path).expect("a directory of ours can be created");
    path
}

impl Bench {
    /// An empty directory on the disk.
    pub(crate) fn on_disk(&self, name: &str) -> PathBuf {
        empty_dir(&self.dir, name)
    }

    /// An empty directory in memory.
    pub(crate) fn in_memory(&self, name: &str) -> PathBuf {
        empty_dir(&self.memory, name)
    }
}

/// A state directory, with the current process as a launcher.
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

    /// Opens the library on the same directory.
    pub(crate) fn sessions(&self) -> Sessions {
        let sessions = Sessions::open(self.root.path()).expect("a directory of ours can be used");
        sessions.spawn_on_calling_thread()
    }

    /// Takes the claim on a session. There is no other launcher.
    pub(crate) fn claim(&self, session: &SessionId) -> HeldClaim {
        match try_claim(&self.root, session, &self.here).expect("a directory of ours can be used") {
            ClaimAttempt::Held(held) => *held,
            ClaimAttempt::Conflict { why, .. } => panic!("the claim has no other contender: {why:?}"),
        }
    }

    /// A plan for the smallest program.
    pub(crate) fn plan(&self, session: &SessionId, arguments: &[&str]) -> SpawnBgPlan {
        let command: Vec<String> =
            [&[CHILD], arguments].concat().iter().map(|word| (*word).to_owned()).collect();
        let socket = self.socket(session);
        SpawnBgPlan::new(session.clone(), Endpoint::Unix(socket), PathBuf::from("/"), &command, None)
    }

    /// The socket of a session's worker.
    pub(crate) fn socket(&self, session: &SessionId) -> PathBuf {
        self.root.path().join(session.as_str()).join("sock")
    }

    /// Does everything before the fork, so that a measurement covers the start alone.
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

/// Performs a prepared start.
pub(crate) fn start(request: SpawnRequest<'_>) -> Worker {
    spawn(request).expect("the smallest program can be started")
}

/// The id of session `number`.
pub(crate) fn session(number: usize) -> SessionId {
    format!("s{number}").parse().expect("a letter and digits are an id")
}

/// A single-threaded runtime, the usual choice of a small program.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built")
}

/// Kills a process by pid, and waits for the exit.
pub(crate) fn kill_and_wait(pid: rekindle_core::Pid) {
    let pidfd = floor::pidfd(pid.as_raw());
    floor::signal(pid.as_raw(), libc::SIGKILL);
    floor::poll(&pidfd);
}

/// The current process: allocated bytes, open descriptors, threads.
pub(crate) fn own_resources() -> (f64, f64, f64) {
    let status = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let field = |name: &str| -> f64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok());
        number.expect("the kernel shows the field")
    };
    let descriptors = fs::read_dir("/proc/self/fd").expect("/proc is mounted").count();
    (floor::allocated() as f64, descriptors as f64, field("Threads:"))
}
