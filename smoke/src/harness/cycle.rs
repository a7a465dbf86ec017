//! Four rounds of many launchers, released at once: on a session that is absent, live, stale and half-started.

use super::checks;
use super::rng::Rng;
use super::run::{SESSION, up_args_for, worker};
use super::trouble::TroubleKind::{Double, Lost, Other, Wedged};
use super::trouble::{Trouble, ensure};
use crate::cli::{self, Launcher, Reply};
use crate::procs::{self, Pid};
use crate::wait::FACT_TIMEOUT;
use crate::{TestEnv, programs, wait};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

/// The kinds of session, in the order of the rounds: each round continues from the state after the previous round.
pub(super) const KINDS: [&str; 4] = ["absent", "live", "stale", "half-started"];

/// The latest time of a launcher's kill, after the common release.
const KILL_AFTER_MAX: Duration = Duration::from_millis(25);

/// The latest time at which a half-started worker continues, after a launcher has taken the claim.
const LISTEN_AFTER_MAX: Duration = Duration::from_millis(60);

/// Reports its arrival, waits for the common release, and becomes the launcher.
const AT_THE_BARRIER: &str = r#"echo >&0; read -r _; exec "$@" </dev/null"#;

/// Waits for a write into a FIFO, and becomes the worker.
const GATED: &str = r#"read -r _ <"$1"; shift; exec "$@""#;

/// The kind of the contended session's endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// The socket in the session's directory.
    Socket,
    /// A port chosen by the launcher.
    Port,
}

/// Serves one client after the other.
const SERVER: &str = "
import socket, sys
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
while True:
    listener.accept()[0].close()
";

impl Site {
    /// The kind of a round, as printed.
    fn name(self, kind: &str) -> String {
        match self {
            Self::Socket => kind.to_owned(),
            Self::Port => format!("tcp {kind}"),
        }
    }

    pub(super) fn options(self) -> &'static [&'static str] {
        match self {
            Self::Socket => &[],
            Self::Port => &["--address", "tcp:0"],
        }
    }

    pub(super) fn worker(self) -> Vec<String> {
        match self {
            Self::Socket => worker().into(),
            Self::Port => [&programs::python(), "-c", SERVER, "{port}"].map(str::to_owned).into(),
        }
    }
}

/// The shared state of a cycle's rounds.
struct Cycle {
    env: TestEnv,
    rng: Rng,
    launchers: usize,
    site: Site,
}

/// The result of one round: winners, replies, and whether a launcher was killed.
struct Round {
    winners: usize,
    replies: Vec<Reply>,
    killed: bool,
}

/// A cycle of four rounds; in round number `kill_in` a launcher is killed.
pub(super) fn run(seed: u64, launchers: usize, kill_in: usize, site: Site) -> Result<Value, Trouble> {
    let mut cycle = Cycle { env: TestEnv::new(), rng: Rng::new(seed), launchers, site };
    let mut rounds = Vec::new();
    let mut before = None;
    for (number, kind) in KINDS.into_iter().enumerate() {
        let (round, worker) = cycle
            .round(kind, before, number == kill_in)
            .map_err(|Trouble { kind: of, text }| Trouble::new(of, format!("{kind}: {text}")))?;
        rounds.push(json!({
            "kind": site.name(kind),
            "winners": round.winners,
            "workers": checks::workers(&cycle.env).len(),
            "killed": round.killed,
        }));
        before = Some(worker);
    }
    checks::stop(&cycle.env)?;
    checks::nothing_unfinished(&cycle.env)?;
    checks::collect(&cycle.env)?;
    Ok(json!(rounds))
}

impl Cycle {
    fn round(&mut self, kind: &str, before: Option<Pid>, kill: bool) -> Result<(Round, Pid), Trouble> {
        let mut gate = None;
        let expected = match kind {
            "absent" => None,
            "live" => before,
            "stale" => {
                checks::crash_worker(&self.env);
                None
            }
            _ => {
                checks::crash_worker(&self.env);
                let (worker, opened) = self.half_start(before);
                gate = Some(opened);
                Some(worker)
            }
        };
        let round = self.contend(kill, gate.as_mut());
        let worker = self.check(&round, expected)?;
        let most = usize::from(kind != "live");
        // A killed launcher may have won without a reply; and a worker that listened before the first look needs no
        // winner.
        let least = usize::from(kind != "live" && kind != "half-started" && !round.killed);
        let broken = if round.winners > most { Double } else { Lost };
        let is_so = (least..=most).contains(&round.winners);
        ensure(is_so, broken, || format!("{} won: {:#?}", round.winners, round.said()))?;
        Ok((round, worker))
    }

    /// A worker that does not listen yet, with a killed launcher; and the gate that lets the worker continue.
    fn half_start(&self, before: Option<Pid>) -> (Pid, File) {
        let fifo = self.env.path("gate");
        mkfifo(&fifo, Mode::S_IRWXU).expect("a FIFO can be made in the env");
        // For reading as well: opened for writing only, the FIFO would wait for a reader.
        let gate = OpenOptions::new().read(true).write(true).open(&fifo).expect("the FIFO is ours");
        let fifo = fifo.display().to_string();
        let program = match self.site {
            Site::Socket => [&cli::binary_arg(), "worker", "--socket", "{socket}"].map(str::to_owned).into(),
            Site::Port => self.site.worker(),
        };
        let mut worker = vec!["sh", "-c", GATED, "sh", &fifo];
        worker.extend(program.iter().map(String::as_str));
        let launcher = self.env.launch_up(SESSION, self.site.options(), &worker);
        let pid = wait::for_some("another worker has marked its lifeline", || {
            Some(self.env.worker_pid(SESSION)).filter(|pid| Some(*pid) != before)
        });
        launcher.signal(Signal::SIGKILL);
        launcher.finish();
        (pid, gate)
    }

    /// Releases all launchers at once, and waits for their ends.
    fn contend(&mut self, kill: bool, gate: Option<&mut File>) -> Round {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets can be had");
        let launchers: Vec<Launcher> = (0..self.launchers).map(|_| self.at_the_barrier(&theirs)).collect();
        drop(theirs);
        ours.set_read_timeout(Some(FACT_TIMEOUT)).expect("a time-out can be set");
        let mut there = vec![0; self.launchers];
        (&ours).read_exact(&mut there).expect("all launchers come to the barrier");
        let victim = kill.then(|| (self.rng.below(self.launchers as u64), self.rng.pause(KILL_AFTER_MAX)));
        let listen_after = self.rng.pause(LISTEN_AFTER_MAX);
        ours.shutdown(Shutdown::Write).expect("the barrier can be opened");
        if let Some((victim, after)) = victim {
            thread::sleep(after);
            launchers[victim as usize].signal(Signal::SIGKILL);
        }
        if let Some(gate) = gate {
            let pids: Vec<Pid> = launchers.iter().map(Launcher::pid).collect();
            wait::until("a launcher has taken the claim", || {
                self.claimant().is_some_and(|it| pids.contains(&it))
            });
            thread::sleep(listen_after);
            gate.write_all(b"\n").expect("the gate can be opened");
        }
        let replies: Vec<Reply> = launchers.into_iter().map(Launcher::finish).collect();
        let won = |reply: &&Reply| ["started", "adopted"].contains(&reply.text("outcome"));
        let killed = replies.iter().any(|reply| reply.signal.is_some());
        Round { winners: replies.iter().filter(won).count(), killed, replies }
    }

    /// The process named in the claim's file.
    fn claimant(&self) -> Option<Pid> {
        let claim = fs::read(self.env.of(SESSION, "claim")).ok()?;
        serde_json::from_slice::<Value>(&claim).ok()?["pid"].as_i64()?.try_into().ok()
    }

    fn at_the_barrier(&self, barrier: &UnixStream) -> Launcher {
        let options = [&["--timeout", "60s"], self.site.options()].concat();
        let rekindle = self.env.rekindle_command(up_args_for(&options, &self.site.worker()));
        let mut command = self.env.command("sh");
        command.args(["-c", AT_THE_BARRIER, "sh"]).arg(rekindle.get_program()).args(rekindle.get_args());
        command.stdin(OwnedFd::from(barrier.try_clone().expect("a descriptor can be had")));
        Launcher::start(command)
    }

    /// All launchers that were not killed agree on the one running worker, and on `expected`, if given.
    fn check(&self, round: &Round, expected: Option<Pid>) -> Result<Pid, Trouble> {
        let workers = checks::workers(&self.env);
        ensure(workers.len() <= 1, Double, || format!("{workers:?} run: {:#?}", round.said()))?;
        let survivors: Vec<&Reply> = round.replies.iter().filter(|reply| reply.signal.is_none()).collect();
        let all_well = survivors.iter().all(|reply| reply.code == Some(0));
        ensure(all_well, Wedged, || format!("not all ended well: {:#?}", round.said()))?;
        let named: BTreeSet<Pid> = survivors.iter().map(|reply| reply.pid()).collect();
        let Some(worker) = workers.first().copied().filter(|worker| named == BTreeSet::from([*worker]))
        else {
            return Err(Trouble::new(Lost, format!("{workers:?} run: {:#?}", round.said())));
        };
        let places: BTreeSet<&str> = survivors.iter().map(|reply| reply.text("address")).collect();
        ensure(places.len() <= 1, Lost, || format!("not one address: {:#?}", round.said()))?;
        let is_same = expected.is_none_or(|expected| expected == worker);
        ensure(is_same, Lost, || format!("{expected:?} ran before: {:#?}", round.said()))?;
        let claim = self.env.of(SESSION, "claim").exists();
        ensure(round.killed || !claim, Other, || format!("a claim is left: {:#?}", round.said()))?;
        ensure(procs::is_running(worker), Lost, || format!("{worker} is gone"))?;
        Ok(worker)
    }
}

impl Round {
    fn said(&self) -> Vec<String> {
        self.replies.iter().map(ToString::to_string).collect()
    }
}
