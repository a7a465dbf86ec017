//! One round of removal: launchers, stops, collections and unlocks at once, while files are removed or moved.
//!
//! The judge is outside the state directory: every worker locks the same file there, and is refused if another worker
//! holds the lock. The descriptor of the judge's lock has a lower number than the lifeline's, and the kernel closes a
//! dying process's descriptors in this order: a worker admitted by a free lifeline finds the judge's lock free.

use super::checks;
use super::rng::Rng;
use super::run::{SESSION, rekindle, to_the_end};
use super::trouble::TroubleKind::{Double, Lost, Other, Wedged};
use super::trouble::{Trouble, ensure};
use crate::cli::Reply;
use crate::procs::{self, Pid};
use crate::{Account, Launcher, TestEnv, wait};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// The damage to a session's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vandalism {
    /// A file of the session is removed by name.
    Remove(&'static str),
    /// The session's directory is removed.
    RemoveSession,
    /// The state directory is removed.
    RemoveRoot,
    /// The session's directory is moved away, and mostly back.
    MoveSession,
    /// The state directory is moved away, and mostly back.
    MoveRoot,
}

impl Vandalism {
    /// All kinds of damage.
    pub const ALL: [Self; 10] = [
        Self::Remove("claim"),
        Self::Remove("lifeline"),
        Self::Remove("session.json"),
        Self::Remove("sock"),
        Self::Remove("stdout.log"),
        Self::Remove("stderr.log"),
        Self::RemoveSession,
        Self::RemoveRoot,
        Self::MoveSession,
        Self::MoveRoot,
    ];

    /// The name in a report.
    pub fn name(self) -> String {
        match self {
            Self::Remove(file) => format!("rm {file}"),
            Self::RemoveSession => "rm -r session".to_owned(),
            Self::RemoveRoot => "rm -r root".to_owned(),
            Self::MoveSession => "mv session".to_owned(),
            Self::MoveRoot => "mv root".to_owned(),
        }
    }
}

/// How often the damage is done in a round.
const TIMES: usize = 3;

/// The longest pause before the damage, and before the kill of a launcher.
const PAUSE_MAX: Duration = Duration::from_millis(40);

/// The longest absence of moved files.
const AWAY_MAX: Duration = Duration::from_millis(15);

/// The number of simultaneous launchers, besides the launcher to kill.
const LAUNCHERS: usize = 3;

/// How often each launcher, stop and collection is repeated in a round.
const REPEATS: usize = 2;

/// Limits for a contending `up`: an unreachable worker is waited for this long.
const CONTENDING: [&str; 6] = ["--timeout", "400ms", "--term-grace", "200ms", "--kill-grace", "2s"];

/// A worker. Arguments: the judge's lock, where a refusal is written, the command under test, the socket.
const JUDGED: &str = r#"
exec 9>>"$1"
flock -n 9 || { echo "process $$ of generation $REKINDLE_GENERATION" >>"$2"; exit 0; }
exec "$3" worker --protocol echo --socket "$4"
"#;

/// The results of the rounds of one kind.
#[derive(Debug, Default, Clone, Copy)]
pub struct Found {
    /// The number of rounds after which a worker was alive.
    pub alive: usize,
    /// The number of rounds after which the worker was unreachable, and the next `up` was refused.
    pub refused: usize,
    /// The number of rounds after which the start was unobserved, and the next `up` ended the worker in vain.
    pub ended: usize,
}

/// A round.
struct Round {
    env: TestEnv,
    what: Vandalism,
}

/// Plays one round, and judges the result.
pub(super) fn round(seed: u64, what: Vandalism, account: Account) -> Result<Value, Trouble> {
    let round = Round { env: TestEnv::owned_by(account), what };
    let mut rng = Rng::new(seed);
    if rng.below(2) == 0 {
        let up = rekindle(&round.env, &round.up_args(&[]))?;
        ensure(up.code == Some(0), Other, || format!("the first start: {up}"))?;
    }
    round.contend(&mut rng)?;
    if rng.below(2) == 0 {
        round.vandalise(None);
    }
    wait::until("every worker has asked the judge", || round.undecided().is_empty());
    round.no_double("while they contended")?;
    let found = round.judge(rng.below(2) == 0)?;
    Ok(json!({ "alive": found.alive > 0, "refused": found.refused > 0, "ended": found.ended > 0 }))
}

impl Round {
    fn up_args(&self, options: &[&str]) -> Vec<String> {
        let (lock, doubles) = (self.env.path("judge"), self.doubles());
        let paths = [lock, doubles, self.env.binary()].map(|path| path.display().to_string());
        let mut args: Vec<String> = ["up"].iter().chain(options).map(|it| (*it).to_owned()).collect();
        args.extend([SESSION, "--", "sh", "-c", JUDGED, "sh"].map(str::to_owned));
        args.extend(paths);
        args.push("{socket}".to_owned());
        args
    }

    fn doubles(&self) -> PathBuf {
        self.env.path("doubles")
    }

    /// Runs everything at once; an answer may be of any kind, but must be an answer.
    fn contend(&self, rng: &mut Rng) -> Result<(), Trouble> {
        let kill_after: Vec<Duration> = (0..REPEATS).map(|_| rng.pause(PAUSE_MAX)).collect();
        let pauses: Vec<_> = (0..TIMES).map(|_| (rng.pause(PAUSE_MAX), rng.pause(AWAY_MAX))).collect();
        let repeat = |args: Vec<String>| move || self.repeat(&args);
        thread::scope(|scope| {
            let mut threads = Vec::new();
            for _ in 0..LAUNCHERS {
                threads.push(scope.spawn(repeat(self.up_args(&CONTENDING))));
            }
            let stop = ["stop", SESSION, "--term-grace", "200ms", "--kill-grace", "2s"];
            for verb in [&stop[..], &["gc", "--all"], &["unlock", SESSION, "--force"]] {
                threads.push(scope.spawn(repeat(verb.iter().map(|it| (*it).to_owned()).collect())));
            }
            threads.push(scope.spawn(|| {
                kill_after.iter().for_each(|after| self.kill_a_launcher(*after));
                Ok(())
            }));
            for (pause, away) in pauses {
                thread::sleep(pause);
                self.vandalise(Some(away));
            }
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().expect("a thread of a round does not panic"))
        })
    }

    fn repeat(&self, args: &[String]) -> Result<(), Trouble> {
        for _ in 0..REPEATS {
            let reply = rekindle(&self.env, args)?;
            let is_an_answer = reply.code.is_some_and(|code| code <= 6) && !reply.stderr.contains("panicked");
            ensure(is_an_answer, Other, || format!("`{}`: {reply}", args[0]))?;
        }
        Ok(())
    }

    fn kill_a_launcher(&self, after: Duration) {
        let launcher = Launcher::start(self.env.rekindle_command(self.up_args(&CONTENDING)));
        thread::sleep(after);
        launcher.signal(Signal::SIGKILL);
        launcher.finish();
    }

    /// A missing target is ignored. Moved files come back after a while, or never.
    fn vandalise(&self, time_away: Option<Duration>) {
        let (root, session) = (self.env.state(), self.env.state().join(SESSION));
        let away = self.env.path(if time_away.is_some() { "away" } else { "gone" });
        let move_away = |path: &PathBuf| {
            // If the name is taken meanwhile, the moved files stay away.
            let _ = fs::rename(path, &away);
            if let Some(time_away) = time_away {
                thread::sleep(time_away);
                let _ = fs::rename(&away, path);
            }
        };
        match self.what {
            Vandalism::Remove(file) => {
                let _ = fs::remove_file(session.join(file));
            }
            Vandalism::RemoveSession => {
                let _ = fs::remove_dir_all(&session);
            }
            Vandalism::RemoveRoot => {
                let _ = fs::remove_dir_all(&root);
            }
            Vandalism::MoveSession => move_away(&session),
            Vandalism::MoveRoot => move_away(&root),
        }
    }

    /// The running workers, found without the session's files.
    fn workers(&self) -> Vec<Pid> {
        let line = format!("{} worker --protocol echo --socket ", self.env.binary_arg());
        let all = self.env.processes().into_iter();
        all.filter(|pid| procs::command_line(*pid).starts_with(&line)).collect()
    }

    /// The processes before their request to the judge.
    fn undecided(&self) -> Vec<Pid> {
        let doubles = self.doubles().display().to_string();
        let all = self.env.processes().into_iter();
        all.filter(|pid| procs::command_line(*pid).contains(&doubles)).collect()
    }

    fn no_double(&self, when: &str) -> Result<(), Trouble> {
        let refused = fs::read_to_string(self.doubles()).unwrap_or_default();
        ensure(refused.is_empty(), Double, || format!("{when}: {refused}"))?;
        let workers = self.workers();
        ensure(workers.len() <= 1, Double, || format!("{when} {workers:?} run"))
    }

    /// The promises once the vandalism is over.
    fn judge(&self, stop_all: bool) -> Result<Found, Trouble> {
        let mut found = Found::default();
        let alive = self.workers().first().copied();
        found.alive = usize::from(alive.is_some());
        self.is_listed(alive)?;
        // An unreachable worker is waited for until the deadline.
        let timeout = if alive.is_some() { "300ms" } else { "20s" };
        let up = rekindle(&self.env, &self.up_args(&["--timeout", timeout, "--term-grace", "2s"]))?;
        wait::until("every worker has asked the judge", || self.undecided().is_empty());
        self.no_double(&format!("after {up}"))?;
        found.refused = usize::from(up.code == Some(3));
        match up.code {
            Some(0) => {
                ensure(self.workers() == [up.pid()], Lost, || format!("{:?} run: {up}", self.workers()))?;
            }
            Some(3) => {
                let lives = !self.workers().is_empty();
                ensure(lives, Wedged, || format!("refused, though no worker lives: {up}"))?;
            }
            // An unreachable worker with an unobserved start is ended by the time-out.
            Some(5) if alive.is_some() => found.ended = 1,
            _ => return Err(Trouble::new(Wedged, format!("{alive:?} was alive: {up}"))),
        }
        let before = self.workers().first().copied();
        self.is_listed(before)?;
        self.stop(stop_all, before)?;
        let up = rekindle(&self.env, &self.up_args(&["--timeout", "20s"]))?;
        self.no_double(&format!("after a stop and {up}"))?;
        ensure(up.code == Some(0), Wedged, || format!("after a stop: {up}"))?;
        ensure(self.workers() == [up.pid()], Lost, || format!("{:?} run: {up}", self.workers()))?;
        self.stop(!stop_all, Some(up.pid()))?;
        checks::nothing_unfinished(&self.env)?;
        Ok(found)
    }

    /// `ls` shows a living worker.
    fn is_listed(&self, alive: Option<Pid>) -> Result<(), Trouble> {
        let Some(alive) = alive else { return Ok(()) };
        let ls = rekindle(&self.env, &["ls"])?;
        ensure(ls.code == Some(0), Wedged, || format!("`ls` fails: {ls}"))?;
        let is_shown = sessions(&ls.json).iter().any(|it| it["pid"] == alive && it["session"] == SESSION);
        // A worker told to end before may have ended meanwhile.
        let is_lost = !is_shown && self.workers().contains(&alive);
        ensure(!is_lost, Lost, || format!("{alive} runs, and `ls` does not show it: {ls}"))
    }

    /// A stop ends any living worker.
    fn stop(&self, all: bool, alive: Option<Pid>) -> Result<(), Trouble> {
        let target = if all { "--all" } else { SESSION };
        let mut command = self.env.rekindle_command(["stop", target]);
        command.args(["--term-grace", "2s", "--kill-grace", "5s"]);
        let stop = to_the_end(command)?;
        let left = self.workers();
        ensure(left.is_empty(), Lost, || format!("{left:?} run after `stop {target}`: {stop}"))?;
        // A session without a worker may be unknown.
        let is_well = stop.code == Some(0) || (alive.is_none() && is_unknown(&stop));
        ensure(is_well, Wedged, || format!("`stop {target}` while {alive:?} ran: {stop}"))
    }
}

fn is_unknown(reply: &Reply) -> bool {
    reply.code == Some(1) && reply.text("reason") == "unknown-session"
}

/// The sessions in the answer of `ls`.
pub fn sessions(ls: &Value) -> Vec<Value> {
    ls["sessions"].as_array().cloned().unwrap_or_default()
}
