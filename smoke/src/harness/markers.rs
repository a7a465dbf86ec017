//! Many daemons at once, for one lifecycle lock: round after round, over every possible leftover marker.

use crate::{Launcher, TestEnv, procs, wait};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// The file at the marker's path before a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Left {
    /// No file.
    Absent,
    /// A marker of ours; the holder is gone.
    Stale,
    /// A marker of another program, with the four required fields only; the holder is gone.
    StaleOfAnother,
    /// Half a marker.
    Corrupt,
}

impl Left {
    /// All leftovers.
    pub const ALL: [Self; 4] = [Self::Absent, Self::Stale, Self::StaleOfAnother, Self::Corrupt];

    /// The bytes of the file, if any.
    fn bytes(self, env: &TestEnv) -> Option<Vec<u8>> {
        let pid = gone(env);
        let four = json!({
            "pid": pid,
            "hostname": nix::unistd::gethostname().expect("this host has a name").to_string_lossy(),
            "started_at": "2026-01-02T03:04:05Z",
            "schema_version": 1,
        });
        let mut whole = four.clone();
        whole["start_time"] = 1.into();
        whole["nonce"] = "00112233445566778899aabbccddeeff".into();
        match self {
            Self::Absent => None,
            Self::Stale => Some(whole.to_string().into_bytes()),
            Self::StaleOfAnother => Some(four.to_string().into_bytes()),
            Self::Corrupt => Some(whole.to_string().into_bytes()[..40].to_vec()),
        }
    }
}

/// The pid of an ended process.
fn gone(env: &TestEnv) -> procs::Pid {
    let mut child = env.command("true").spawn().expect("`true` is a program");
    let pid = child.id().try_into().expect("a pid is an i32");
    child.wait().expect("a child can be waited for");
    pid
}

/// The way of holding the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// With `--pid`, for this process.
    Pid,
    /// For the duration of a program; the program reports its start and waits for us.
    Program,
}

/// The results of the rounds over one kind of leftover.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    /// The leftover.
    pub left: Left,
    /// The number of rounds.
    pub rounds: usize,
    /// The number of contenders that got the lock.
    pub winners: usize,
    /// The number of rounds without exactly one winner, or with a loser not told of the holder.
    pub wrong: usize,
}

/// Lets `contenders` contend `rounds` times.
///
/// # Panics
/// If the contenders do not end.
pub fn run(rounds: usize, contenders: usize) -> Vec<Rounds> {
    let mut tally: Vec<Rounds> =
        Left::ALL.iter().map(|left| Rounds { left: *left, rounds: 0, winners: 0, wrong: 0 }).collect();
    for number in 0..rounds {
        let env = TestEnv::new();
        let kind = &mut tally[number % Left::ALL.len()];
        let by = if (number / Left::ALL.len()).is_multiple_of(2) { By::Pid } else { By::Program };
        let winners = round(&env, kind.left, by, contenders);
        kind.rounds += 1;
        kind.winners += winners.unwrap_or_default();
        if winners != Some(1) {
            kind.wrong += 1;
            println!("FAILED a round over {:?} by {by:?}: {winners:?} winners", kind.left);
        }
    }
    tally
}

/// One round; returns the number of winners. `None` if a loser was not told of the holder, or the leftover bytes were
/// lost.
fn round(env: &TestEnv, left: Left, by: By, contenders: usize) -> Option<usize> {
    let marker = env.path("marker");
    let bytes = left.bytes(env);
    if let Some(bytes) = &bytes {
        fs::write(&marker, bytes).expect("a test environment's directory is writable");
    }
    let winners = match by {
        By::Pid => by_pid(env, &marker, contenders),
        By::Program => by_program(env, &marker, contenders),
    };
    let kept = left != Left::Corrupt || kept_aside(env) == bytes;
    winners.filter(|_| kept)
}

fn by_pid(env: &TestEnv, marker: &Path, contenders: usize) -> Option<usize> {
    let pid = std::process::id().to_string();
    let ask = || {
        let mut command = env.rekindle_command(["lifecycle", "acquire", "--pid", &pid, "--path"]);
        command.arg(marker);
        Launcher::start(command)
    };
    let asking: Vec<Launcher> = (0..contenders).map(|_| ask()).collect();
    let replies: Vec<_> = asking.into_iter().map(Launcher::finish).collect();
    let winners = replies.iter().filter(|reply| reply.code == Some(0)).count();
    let told =
        |reply: &&crate::Reply| reply.code == Some(3) && reply.json["holder"]["pid"] == std::process::id();
    (winners + replies.iter().filter(told).count() == contenders).then_some(winners)
}

fn by_program(env: &TestEnv, marker: &Path, contenders: usize) -> Option<usize> {
    let (won, over) = (env.path("won"), env.path("over"));
    nix::unistd::mkfifo(&over, nix::sys::stat::Mode::S_IRWXU).expect("a test environment can hold a FIFO");
    let script = r#"echo won >>"$0"; read -r line <"$1""#;
    let ask = || {
        let mut command = env.rekindle_command(["lifecycle", "acquire", "--path"]);
        command.arg(marker).args(["--", "sh", "-c", script]).args([&won, &over]);
        Launcher::start(command)
    };
    let asking: Vec<Launcher> = (0..contenders).map(|_| ask()).collect();
    let winners = || fs::read_to_string(&won).unwrap_or_default().lines().count();
    let running = || asking.iter().filter(|asking| procs::is_running(asking.pid())).count();
    wait::until("all but the winners have ended", || running() <= winners());
    let counted = winners();
    end_programs(&over, &asking);
    let replies: Vec<_> = asking.into_iter().map(Launcher::finish).collect();
    let refused = replies.iter().filter(|reply| reply.code == Some(125) && !reply.json["holder"].is_null());
    (counted + refused.count() == contenders && !marker.exists()).then_some(counted)
}

/// Each open and close of the FIFO for writing releases one reader.
fn end_programs(over: &PathBuf, asking: &[Launcher]) {
    wait::until("the programs have ended", || {
        let flags = nix::fcntl::OFlag::O_WRONLY | nix::fcntl::OFlag::O_NONBLOCK;
        drop(nix::fcntl::open(over, flags, nix::sys::stat::Mode::empty()));
        !asking.iter().any(|asking| procs::is_running(asking.pid()))
    });
}

/// The bytes that were set aside; `None` unless there is exactly one such file.
fn kept_aside(env: &TestEnv) -> Option<Vec<u8>> {
    let entries = fs::read_dir(env.dir()).expect("a test environment's directory can be listed").flatten();
    let mut kept = entries.filter(|entry| entry.file_name().to_string_lossy().contains(".aside-"));
    let only = kept.next().filter(|_| kept.next().is_none())?;
    fs::read(only.path()).ok()
}
