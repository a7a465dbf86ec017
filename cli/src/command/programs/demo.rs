//! `rekindle demo`: the two-minute tour, on real processes in a temporary directory.

use crate::command::pid_text;
use crate::report::{Exit, Report, path_text};
use rekindle::Advice;
use rekindle::call;
use rekindle::frontend::Shown;
use rekindle::json::programs::{DemoFacts, DemoJson};
use rekindle::{Ensured, Launch, SessionId, Sessions, StartKind, StopOutcome, StopPolicy};
use rekindle::{KillChange, KillPolicy, RejectReason};
use serde::Serialize;
use serde_json::Value;
use std::error::Error;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// The graces and time-outs of the tour, short because the visitor waits for them.
const SHORT: Duration = Duration::from_millis(300);

type Step = Result<(), Box<dyn Error>>;

pub(crate) async fn run(report: &Report) -> Exit {
    let toured = match Tour::begin(report) {
        Ok(tour) => {
            let toured = tour.all().await;
            tour.stop_everything().await;
            toured
        }
        Err(error) => Err(error),
    };
    match toured {
        Ok(()) => Exit::Done,
        Err(error) => report.failure(
            "demo",
            &error.to_string(),
            &Advice::by_hand("run it again with -vv"),
            Exit::Failed,
        ),
    }
}

struct Tour<'r> {
    report: &'r Report,
    dir: TempDir,
    sessions: Sessions,
    /// The path of this program, for the workers of the tour.
    program: PathBuf,
}

impl<'r> Tour<'r> {
    fn begin(report: &'r Report) -> Result<Self, Box<dyn Error>> {
        let dir = tempfile::Builder::new().prefix("rekindle-demo-").tempdir()?;
        let sessions = Sessions::open(dir.path().join("state"))?;
        let program = std::env::current_exe()?;
        Ok(Self { report, dir, sessions, program })
    }

    async fn all(&self) -> Step {
        self.say(
            "tour",
            &format!("the state of this tour is in {}", Shown(self.sessions.dir())),
            DemoFacts::default(),
        );
        self.start().await?;
        self.attach().await?;
        self.talk().await?;
        self.time_out().await?;
        self.refuse_forgery().await?;
        self.escalate().await?;
        self.say("done", "that was all; nothing is left running", DemoFacts::default());
        Ok(())
    }

    async fn start(&self) -> Step {
        let Ensured::Running(worker) = self.sessions.ensure(&id("cache")?, self.worker(&[])).await? else {
            return Err("the worker did not start".into());
        };
        expect(worker.kind == StartKind::Started, "the first call starts the worker")?;
        let pid = pid_text(worker.pid);
        let text = format!("started a worker, pid {pid}; it answers on {}", worker.endpoint.in_words());
        let socket = worker.socket().map(path_text);
        self.say("start", &text, DemoFacts { pid: worker.pid, socket, ..DemoFacts::default() });
        Ok(())
    }

    async fn attach(&self) -> Step {
        let Ensured::Running(worker) = self.sessions.ensure(&id("cache")?, self.worker(&[])).await? else {
            return Err("the worker is gone".into());
        };
        expect(worker.kind == StartKind::Attached, "the second call attaches")?;
        let text = format!("asked for it again: attached to the same worker, pid {}", pid_text(worker.pid));
        self.say("attach", &text, DemoFacts { pid: worker.pid, ..DemoFacts::default() });
        Ok(())
    }

    async fn talk(&self) -> Step {
        let Ensured::Running(worker) = self.sessions.attach(&id("cache")?).await? else {
            return Err("the worker is gone".into());
        };
        let line = Value::from_iter([("hello", "worker")]);
        let answer = call(worker.connection, &line, Duration::from_secs(5)).await?;
        expect(answer == line, "an echo comes back as it went")?;
        let facts = DemoFacts { answer: Some(&answer), ..DemoFacts::default() };
        self.say("talk", &format!("sent it {line}; it answered {answer}"), facts);
        Ok(())
    }

    async fn time_out(&self) -> Step {
        let launch = Launch::new("sleep").args(["1000"]).timeout(SHORT).kill_policy(short_graces());
        let Ensured::Exited(exited) = self.sessions.ensure(&id("hung")?, launch).await? else {
            return Err("a program that never opens its socket came up".into());
        };
        expect(exited.after_kill, "it ended because it was told to")?;
        let text = "started a program that never opens its socket: after 300 ms it was told to go, its end was \
                    observed, and only then was the claim released";
        let facts =
            DemoFacts { signal: exited.exit.signal(), after_kill: Some(true), ..DemoFacts::default() };
        self.say("time-out", text, facts);
        Ok(())
    }

    async fn refuse_forgery(&self) -> Step {
        let path = self.dir.path().join("forged");
        let target = self.sessions.dir().join("cache/sock");
        symlink(&target, &path)?;
        let launch = self.worker(&[]).socket(&path);
        let Ensured::Rejected(rejection) = self.sessions.ensure(&id("forged")?, launch).await? else {
            return Err("a symbolic link was taken for a socket".into());
        };
        expect(rejection.reason == RejectReason::TargetAddressConflict, "a forged path is a conflict")?;
        expect(is_link_to(&path, &target), "the link was not touched")?;
        let text = format!("put a symbolic link in a socket's place: refused ({})", rejection.message);
        self.say("forged", &text, DemoFacts { reason: Some(rejection.reason), ..DemoFacts::default() });
        Ok(())
    }

    async fn escalate(&self) -> Step {
        let session = id("stubborn")?;
        let Ensured::Running(_) = self.sessions.ensure(&session, self.worker(&["--ignore-term"])).await?
        else {
            return Err("the stubborn worker did not start".into());
        };
        let policy = StopPolicy { term_grace: SHORT, ..StopPolicy::default() };
        let stopped = self.sessions.stop(&session, &policy).await?;
        expect(stopped.outcome == StopOutcome::Killed, "what ignores SIGTERM is killed")?;
        let text =
            "stopped a worker that ignores SIGTERM: after 300 ms it was killed, and its end was observed";
        self.say("escalate", text, &stopped);
        let stopped = self.sessions.stop(&id("cache")?, &StopPolicy::default()).await?;
        expect(stopped.outcome == StopOutcome::Stopped, "a polite worker ends when asked")?;
        expect(!self.sessions.dir().join("cache/sock").exists(), "no socket is left")?;
        self.say("stop", "stopped the first worker; its socket is gone, its record and logs stay", &stopped);
        Ok(())
    }

    /// Stops the workers of a failed step.
    async fn stop_everything(&self) {
        for summary in self.sessions.list().unwrap_or_default().sessions {
            let policy = StopPolicy { term_grace: SHORT, ..StopPolicy::default() };
            if let Err(error) = self.sessions.stop(&summary.session, &policy).await {
                tracing::warn!(session = %summary.session, %error, "could not be stopped");
            }
        }
    }

    fn worker(&self, more: &[&str]) -> Launch {
        let args = ["worker", "--protocol", "echo", "--socket", "{socket}"].iter().chain(more);
        Launch::new(&self.program).args(args.map(ToString::to_string)).kill_policy(short_graces())
    }

    fn say(&self, step: &str, text: &str, facts: impl Serialize) {
        self.report.answer(&format_args!("{step:>9}  {text}"), DemoJson { step, message: text, facts });
    }
}

fn id(name: &str) -> Result<SessionId, Box<dyn Error>> {
    Ok(name.parse()?)
}

fn short_graces() -> KillPolicy {
    KillPolicy::default()
        .changed(&KillChange { term_grace: Some(Duration::from_secs(1)), ..KillChange::default() })
}

fn is_link_to(path: &Path, target: &Path) -> bool {
    std::fs::read_link(path).is_ok_and(|found| found == target)
}

/// Fails the tour if the expected state was not reached.
fn expect(true_now: bool, what: &str) -> Step {
    if true_now { Ok(()) } else { Err(format!("this should be, and is not: {what}").into()) }
}
