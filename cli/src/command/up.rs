//! `rekindle up`

use super::{pid_text, sessions};
use crate::args::UpArgs;
use crate::report::{Exit, Report, laid_out, path_text};
use rekindle::core::plan::EnvironmentBase;
use rekindle::core::shown::Shown;
use rekindle::core::{ChildExit, Environment, ReadyKind, Shortage, SpawnError};
use rekindle::protocol::Speaking;
use rekindle::{Ensured, Exited, How, Intent, Launch, Rejection, Retained, Running, SessionId, Sessions};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// After how long a call says what it waits for.
const PROGRESS_AFTER: Duration = Duration::from_secs(1);

/// The variable in which a worker finds a prompt that came from a file.
const PROMPT_VARIABLE: &str = "REKINDLE_PROMPT";
/// The longest prompt from a file, in bytes: the kernel's limit for one variable, which has a name, a `=` and a NUL.
const PROMPT_LEN_MAX: usize = (128 << 10) - PROMPT_VARIABLE.len() - 2;

/// Reads the prompt, once: it may come from a pipe.
pub(crate) fn read_prompt(args: &mut UpArgs, report: &Report) -> Result<(), Exit> {
    let Some(given) = args.prompt_file.take() else { return Ok(()) };
    let prompt = given.read(PROMPT_LEN_MAX).map_err(|error| error.report(report))?;
    if prompt.contains('\0') {
        let message = "the prompt in the file has a NUL byte, which no variable and no argument can hold";
        return Err(report.failure("usage", message, "give another text", Exit::Usage));
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
        let next = format!("rekindle up {} -- PROGRAM [ARG]...", args.session);
        return report.failure(
            "usage",
            "no program was named; only --intent attach needs none",
            &next,
            Exit::Usage,
        );
    }
    if args.speak.is_some() && args.ready != ReadyKind::Handshake {
        let message = "--speak names a version for --ready handshake, which is not asked for";
        return report.failure("usage", message, "rekindle up --help", Exit::Usage);
    }
    let sessions = match sessions(dir) {
        Ok(sessions) => sessions,
        Err(error) => return report.error(&error),
    };
    let session = args.session.clone();
    if args.dry_run {
        return rehearse(&sessions, &session, launch(args), report).await;
    }
    let began = Instant::now();
    tokio::select! {
        ensured = sessions.ensure(&session, launch(args)) => match ensured {
            Ok(ensured) => show(&session, ensured, began.elapsed(), report),
            Err(error) => report.error(&error),
        },
        () = say_what_is_waited_for(&session, report) => unreachable!("progress is reported for as long as it takes"),
        () = interrupted() => {
            let next = format!("the worker goes on: rekindle show {session}, or the same command again");
            report.failure("interrupted", "interrupted", &next, Exit::Interrupted)
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
    launch
}

/// Resolves at Ctrl-C; never, where it cannot be listened for and simply ends us.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn say_what_is_waited_for(session: &SessionId, report: &Report) {
    sleep(PROGRESS_AFTER).await;
    report.progress(&format!("waiting for the worker of {session} to answer"));
    std::future::pending::<()>().await;
}

async fn rehearse(sessions: &Sessions, session: &SessionId, launch: Launch, report: &Report) -> Exit {
    let rehearsed = match sessions.rehearse(session, launch).await {
        Ok(rehearsed) => rehearsed,
        Err(error) => return report.error(&error),
    };
    let reason = rehearsed.rejection.as_ref().map(|rejection| rejection.reason);
    let json = json!({
        "outcome": "dry-run",
        "verdict": rehearsed.verdict,
        "reason": reason,
        "plan": rehearsed.plan,
    });
    let plan = laid_out(&json!(rehearsed.plan));
    let why = rehearsed.rejection.map(|rejection| format!(": {}", rejection.message)).unwrap_or_default();
    report.result(&format!("would {}{why}\n{plan}", rehearsed.verdict), &json);
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
        let outcome = match worker.how {
            How::Started => "started",
            How::Attached => "attached",
            How::Adopted => "adopted",
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
        for warning in warnings(session, worker) {
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
        let how = match exited.exit {
            ChildExit::Code(code) => format!("exited with {code}"),
            ChildExit::Signal(signal) => format!("was ended by signal {signal}"),
            ChildExit::Unknown => "ended".to_owned(),
        };
        let why = exited.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
        let mut message = format!("the worker of {} {how} before it was ready{why}", self.session);
        if let Some(status) = &exited.status_text {
            message.push_str(&format!("\n  its last status was: {}", Shown(status)));
        }
        for line in exited.stderr_tail.lines() {
            message.push_str("\n  ");
            message.push_str(line);
        }
        self.report.failed(&message, &format!("rekindle show {}", self.session), &json, Exit::EndedEarly)
    }

    fn not_started(&self, error: &SpawnError) -> Exit {
        let message = error.to_string();
        let shortage = error.shortage();
        let next = shortage.map_or("check the command after `--`", Shortage::advice);
        let json =
            self.json("spawn-start-failed", json!({ "reason": shortage, "message": message, "next": next }));
        self.report.failed(&message, next, &json, Exit::NeverStarted)
    }

    fn retained(&self, retained: &Retained) -> Exit {
        let next = format!("rekindle stop {}", self.session);
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
                "next": next,
            }),
        );
        self.report.failed(&message, &next, &json, Exit::Retained)
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
                "next": rejection.next,
            }),
        );
        self.report.failed(&rejection.message, &rejection.next, &json, Exit::Refused)
    }
}

fn warnings(session: &SessionId, worker: &Running) -> Vec<String> {
    let mut warnings = Vec::new();
    if worker.program_differs {
        warnings.push(format!(
            "{session} runs another command than the one named; to run that one: rekindle stop {session}, then again"
        ));
    }
    if worker.after_kill {
        warnings.push(format!("{session} answered only after it had been told to go, and may yet go"));
    }
    if !worker.managed {
        warnings.push("what answers was not started by rekindle, which will not stop it".to_owned());
    }
    warnings
}
