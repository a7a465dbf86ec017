//! `rekindle up`

use super::{pid_text, sessions};
use crate::args::UpArgs;
use crate::report::{Exit, Report, laid_out, path_text};
use rekindle::core::execute::Cause;
use rekindle::core::plan::{EnvironmentBase, Withheld};
use rekindle::core::shown::Shown;
use rekindle::core::{ChildExit, Environment, ReadyKind, SpawnError};
use rekindle::protocol::Speaking;
use rekindle::{
    Advice, Ensured, Exited, Intent, Launch, Rejection, Retained, Running, SaidReady, SessionId, Sessions,
    StartKind, Step,
};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// After how long a call says what it waits for.
const PROGRESS_AFTER: Duration = Duration::from_secs(1);

/// After how long a call says that no argument names the socket. A worker that runs already, or reads REKINDLE_SOCKET, mostly
/// answers sooner, and then nothing has to be said.
const UNNAMED_AFTER: Duration = Duration::from_millis(200);

/// The variable in which a worker finds a prompt that came from a file.
const PROMPT_VARIABLE: &str = "REKINDLE_PROMPT";

/// The longest prompt from a file, in bytes: the kernel's limit for one variable, which has a name, a `=` and a NUL.
const PROMPT_LEN_MAX: usize = (128 << 10) - PROMPT_VARIABLE.len() - 2;

/// Reads the prompt, once: it may come from a pipe.
pub(crate) fn read_prompt(args: &mut UpArgs, report: &Report) -> Result<(), Exit> {
    let Some(given) = args.prompt_file.clone() else { return Ok(()) };
    let prompt = given.read(PROMPT_LEN_MAX).map_err(|error| error.report(report))?;
    if prompt.contains('\0') {
        let message = "the prompt in the file has a NUL byte, which no variable and no argument can hold";
        return Err(report.failure("usage", message, &Advice::by_hand("give another text"), Exit::Usage));
    }
    tracing::info!(len = prompt.len(), "read the prompt");
    args.env.insert(0, (PROMPT_VARIABLE.to_owned(), prompt.clone().into()));
    args.prompt = Some(prompt.into());
    Ok(())
}

/// A worker that answers is attached to without a runtime, whose making takes longer than all the rest. `None` if there
/// is more to do; what fails here fails again there.
pub(crate) fn at_once(dir: Option<&Path>, args: &UpArgs, report: &Report) -> Option<Exit> {
    let began = Instant::now();
    let names_nothing = args.command.is_empty() && Intent::from(args.intent) != Intent::Attach;
    if names_nothing || args.dry_run {
        return None;
    }
    let attached = sessions(dir).ok()?.attach_at_once(&args.session, launch(args)).ok()??;
    Some(show(&args.session, attached, began.elapsed(), report))
}

pub(crate) async fn run(dir: Option<&Path>, args: &UpArgs, report: &Report) -> Exit {
    if args.command.is_empty() && Intent::from(args.intent) != Intent::Attach {
        let message = "no program was named; only --intent attach needs none";
        let advice = Advice::from(Step::Help(Some("up"))).knowing("name the program after `--`");
        return report.failure("usage", message, &advice, Exit::Usage);
    }
    if args.speak.is_some() && args.ready != ReadyKind::Handshake {
        let message = "--speak names a version for --ready handshake, which is not asked for";
        return report.failure("usage", message, &Step::Help(Some("up")).into(), Exit::Usage);
    }
    let sessions = match sessions(dir) {
        Ok(sessions) => sessions,
        Err(error) => return report.error(&error),
    };
    let session = args.session.clone();
    if args.dry_run {
        return dry_run(&sessions, &session, launch(args), report).await;
    }
    let began = Instant::now();
    let socket_is_unnamed = launch(args).leaves_socket_unnamed();
    tokio::select! {
        ensured = sessions.ensure(&session, launch(args)) => match ensured {
            Ok(ensured) => show(&session, ensured, began.elapsed(), report),
            Err(error) => report.error(&error),
        },
        () = say_what_is_waited_for(&session, socket_is_unnamed, report) => unreachable!("progress is reported for as long as it takes"),
        () = interrupted() => {
            let advice = Advice::from(Step::Again).knowing("the worker goes on, and the same command waits for it");
            report.failure("interrupted", "interrupted", &advice, Exit::Interrupted)
        }
    }
}

fn launch(args: &UpArgs) -> Launch {
    let base = if args.clear_env { EnvironmentBase::Clear } else { EnvironmentBase::Inherit };
    let mut command = args.command.iter().cloned();
    let mut launch = match command.next() {
        Some(program) => Launch::new(program).args(command),
        None => Launch::attach(),
    };
    launch = launch
        .intent(args.intent.into())
        .ready(args.ready)
        .timeout(args.timeout)
        .kill_policy(args.graces.kill_policy())
        .environment(Environment { base, set: args.env.iter().cloned().collect() });
    if let Some(version) = &args.speak {
        launch = launch.handshake(Speaking::exactly(version.clone()));
    }
    if let Some(socket) = &args.socket {
        launch = launch.socket(socket);
    }
    if let Some(cwd) = &args.cwd {
        launch = launch.cwd(cwd);
    }
    if let Some(prompt) = &args.prompt {
        launch = launch.prompt(prompt);
    }
    if args.prompt_file.is_some() {
        launch = launch.withhold(Withheld::Prompt);
        let wins = args.env.iter().rfind(|(name, _)| name == PROMPT_VARIABLE).map(|(_, value)| value);
        // A value that was named with --env stands in an argument anyway.
        if wins == args.prompt.as_ref() {
            launch = launch.withhold(Withheld::Variable(PROMPT_VARIABLE.to_owned()));
        }
    }
    launch
}

/// Resolves at Ctrl-C; never, where it cannot be listened for and simply ends us.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn say_what_is_waited_for(session: &SessionId, socket_is_unnamed: bool, report: &Report) {
    sleep(UNNAMED_AFTER).await;
    if socket_is_unnamed {
        report.progress(
            "no argument names {socket}: the program must find its socket in REKINDLE_SOCKET, or it is never ready",
        );
    }
    sleep(PROGRESS_AFTER.saturating_sub(UNNAMED_AFTER)).await;
    report.progress(&format!("waiting for the worker of {session} to answer"));
    std::future::pending::<()>().await;
}

async fn dry_run(sessions: &Sessions, session: &SessionId, launch: Launch, report: &Report) -> Exit {
    let foreseen = match sessions.dry_run(session, launch).await {
        Ok(foreseen) => foreseen,
        Err(error) => return report.error(&error),
    };
    let reason = foreseen.rejection.as_ref().map(|rejection| rejection.reason);
    let json = json!({
        "outcome": "dry-run",
        "verdict": foreseen.verdict,
        "reason": reason,
        "plan": foreseen.plan,
    });
    let plan = laid_out(&json!(foreseen.plan));
    let why = foreseen.rejection.map(|rejection| format!(": {}", rejection.message)).unwrap_or_default();
    report.result(&format!("would {}{why}\n{plan}", foreseen.verdict), &json);
    if reason.is_some() { Exit::Refused } else { Exit::Done }
}

/// Shows how a session turned out.
pub(crate) fn show(session: &SessionId, ensured: Ensured, elapsed: Duration, report: &Report) -> Exit {
    let shown = Telling { session, elapsed_ms: elapsed.as_millis() as u64, report };
    match ensured {
        Ensured::Running(worker) => shown.running(&worker),
        Ensured::Exited(exited) => shown.exited(&exited),
        Ensured::NotStarted(error) => shown.not_started(&error),
        Ensured::Retained(retained) => shown.retained(&retained),
        Ensured::Rejected(rejection) => shown.rejected(&rejection),
    }
}

struct Telling<'a> {
    session: &'a SessionId,
    elapsed_ms: u64,
    report: &'a Report,
}

impl Telling<'_> {
    /// What every outcome has, with what this one adds.
    fn json(&self, outcome: &str, more: Value) -> Value {
        let mut json = json!({
            "outcome": outcome,
            "session": self.session,
            "pid": null,
            "socket": null,
            "generation": null,
            "elapsed_ms": self.elapsed_ms,
        });
        if let (Value::Object(all), Value::Object(more)) = (&mut json, more) {
            all.extend(more);
        }
        json
    }

    fn running(&self, worker: &Running) -> Exit {
        let outcome = match worker.kind {
            StartKind::Started => "started",
            StartKind::Attached => "attached",
            StartKind::Adopted => "adopted",
        };
        let json = self.json(
            outcome,
            json!({
                "pid": worker.pid,
                "socket": path_text(&worker.socket),
                "generation": worker.generation,
                "managed": worker.managed,
                "program_differs": worker.program_differs,
                "after_kill": worker.after_kill,
                "worker_version": worker.connection.greeting().map(|greeting| &greeting.version),
            }),
        );
        let (session, pid, socket) = (self.session, pid_text(worker.pid), Shown(&worker.socket));
        self.report.result(
            &format!("{outcome} {session}: pid {pid}, answers on {socket} ({} ms)", self.elapsed_ms),
            &json,
        );
        for warning in warnings(session, worker, self.report) {
            self.report.progress(&warning);
        }
        Exit::Done
    }

    fn exited(&self, exited: &Exited) -> Exit {
        let json = self.json(
            "child-exited",
            json!({
                "pid": exited.pid,
                "socket": path_text(&exited.socket),
                "generation": exited.generation,
                "exit_code": exited.exit.code(),
                "signal": exited.exit.signal(),
                "after_kill": exited.after_kill,
                "cause": exited.cause.as_ref().map(ToString::to_string),
                "stderr_tail": exited.stderr_tail,
                "status_text": exited.status_text,
            }),
        );
        let mut message = self.early_end(exited);
        if let Some(status) = &exited.status_text {
            message.push_str(&format!("\n  its last status was: {}", Shown(status)));
        }
        for line in exited.stderr_tail.lines() {
            message.push_str("\n  ");
            message.push_str(line);
        }
        self.report.failed(&message, &exited.advice, json, Exit::EndedEarly)
    }

    /// Who ended a worker that was not ready, and why.
    fn early_end(&self, exited: &Exited) -> String {
        let session = self.session;
        let said = match exited.said {
            SaidReady::No => String::new(),
            SaidReady::WithoutListener => {
                format!("; it said READY=1, and nobody listened on {}", Shown(&exited.socket))
            }
        };
        match &exited.cause {
            Some(Cause::ObserveTimeout { after }) => format!(
                "the worker of {session} was not ready within {} ms (--timeout), and was ended{said}",
                after.as_millis()
            ),
            Some(cause @ Cause::Seam(_)) => format!("the worker of {session} was ended: {cause}{said}"),
            None => {
                let how = match exited.exit {
                    ChildExit::Code(code) => format!("exited with {code}"),
                    ChildExit::Signal(signal) => format!("was ended by signal {signal}"),
                    ChildExit::Unknown => "ended".to_owned(),
                };
                format!("the worker of {session} {how} before it was ready{said}")
            }
        }
    }

    fn not_started(&self, error: &SpawnError) -> Exit {
        let message = error.to_string();
        let json = self.json("spawn-start-failed", json!({ "reason": error.shortage(), "message": message }));
        self.report.failed(&message, &Advice::of_start(error), json, Exit::NeverStarted)
    }

    fn retained(&self, retained: &Retained) -> Exit {
        let message = format!("{}, and its end was not seen: the claim is kept", retained.cause);
        let json = self.json(
            "lock-retained",
            json!({
                "pid": retained.diagnostic.pid,
                "socket": path_text(&retained.diagnostic.socket_path),
                "generation": retained.generation,
                "reason": retained.reason,
                "cause": retained.cause.to_string(),
                "diagnostic": retained.diagnostic,
                "status_text": retained.status_text,
            }),
        );
        let stop = Step::Stop(self.session.clone()).into();
        self.report.failed(&message, &stop, json, Exit::Retained)
    }

    fn rejected(&self, rejection: &Rejection) -> Exit {
        let holder = rejection.holder.as_ref().map(|holder| super::without_nonce(json!(holder)));
        let json = self.json(
            "rejected",
            json!({
                "pid": rejection.pid,
                "socket": path_text(&rejection.socket),
                "reason": rejection.reason,
                "liveness": rejection.liveness,
                "holder": holder,
                "message": rejection.message,
            }),
        );
        self.report.failed(&rejection.message, &rejection.advice, json, Exit::Refused)
    }
}

fn warnings(session: &SessionId, worker: &Running, report: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    if worker.program_differs {
        let stop = report.type_out(&Step::Stop(session.clone()));
        warnings.push(format!("{session} runs another command than the one named; to end it first: {stop}"));
    }
    if worker.after_kill {
        warnings.push(format!("{session} answered only after it had been told to go, and may yet go"));
    }
    if !worker.managed {
        warnings.push("what answers was not started by rekindle, which will not stop it".to_owned());
    }
    warnings
}
