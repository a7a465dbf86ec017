//! `rekindle up`

mod misuse;
mod waiting;

use crate::args::UpArgs;
use crate::command::{pid_text, sessions};
use crate::report::{Exit, Report, laid_out};
use crate::text::ending::exit_clause;
use misuse::Misuse;
use rekindle::frontend::Shown;
use rekindle::protocol::Speaking;
use rekindle::{Advice, Ensured, Exited, Launch, Running, SessionId, Sessions, Step};
use rekindle::{Cause, Endpoint, Owner, Withheld};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

/// The variable with the prompt of `--prompt-file`, in the worker's environment.
const PROMPT_VARIABLE: &str = "REKINDLE_PROMPT";

/// The longest prompt from a file, in bytes: the kernel's limit for one variable, minus the name, the `=` and the NUL.
const PROMPT_LEN_MAX: usize = (128 << 10) - PROMPT_VARIABLE.len() - 2;

/// Reads the prompt once, since the source may be a pipe.
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

/// Refuses wrong options; attaches to a live worker without a runtime, since making a runtime takes longer than all other steps. `None` if
/// more is to be done; a failure here is found again there.
pub(crate) fn at_once(dir: Option<&Path>, args: &UpArgs, report: &Report) -> Option<Exit> {
    let began = Instant::now();
    if let Some(Misuse { message, hint }) = misuse::of(args) {
        let advice = Advice::from(Step::Help(Some("up"))).knowing(hint);
        return Some(report.failure("usage", &message, &advice, Exit::Usage));
    }
    if args.dry_run {
        return None;
    }
    let attached = sessions(dir).ok()?.attach_at_once(&args.session, launch(args)).ok()??;
    Some(show(&args.session, &attached, began.elapsed(), report))
}

pub(crate) async fn run(dir: Option<&Path>, args: &UpArgs, report: &Report) -> Exit {
    let sessions = match sessions(dir) {
        Ok(sessions) => sessions,
        Err(error) => return report.error(&error),
    };
    let session = args.session.clone();
    if args.dry_run {
        return dry_run(&sessions, &session, launch(args), report).await;
    }
    let began = Instant::now();
    let launch = launch(args);
    tokio::select! {
        ensured = sessions.ensure(&session, launch.clone()) => match ensured {
            Ok(ensured) => show(&session, &ensured, began.elapsed(), report),
            Err(error) => report.error(&error),
        },
        () = waiting::report(&sessions, &session, &launch, report) => unreachable!("progress is reported for as long as it takes"),
        () = interrupted() => {
            let advice = Advice::from(Step::Again).knowing("the worker goes on, and the same command waits for it");
            report.failure("interrupted", "interrupted", &advice, Exit::Interrupted)
        }
    }
}

fn launch(args: &UpArgs) -> Launch {
    let mut command = args.command.iter().cloned();
    let mut launch = match command.next() {
        Some(program) => Launch::new(program).args(command),
        None => Launch::attach(),
    };
    launch = launch.intent(args.intent.into()).timeout(args.timeout).kill_policy(args.graces.kill_policy());
    if let Some(time) = args.settle {
        launch = launch.settle(time);
    }
    if args.clear_env {
        launch = launch.env_clear();
    }
    launch = launch.envs(args.env.iter().cloned());
    if let Some(version) = &args.speak {
        launch = launch.handshake(Speaking::exactly(version.clone()));
    }
    if let Some(condition) = &args.ready {
        launch = launch.ready(condition.clone());
    }
    if let Some(address) = &args.address {
        launch = launch.address(address.clone());
    }
    if args.allow_foreign_listener {
        launch = launch.allow_foreign_listener();
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

/// Resolves at Ctrl-C. If the signal cannot be caught, never resolves: Ctrl-C then ends the process.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn dry_run(sessions: &Sessions, session: &SessionId, launch: Launch, report: &Report) -> Exit {
    let foreseen = match sessions.dry_run(session, launch).await {
        Ok(foreseen) => foreseen,
        Err(error) => return report.error(&error),
    };
    let plan = laid_out(&json!(foreseen.plan));
    report.result(&format_args!("{foreseen}\n{plan}"), || json!(foreseen));
    if foreseen.rejection.is_some() { Exit::Refused } else { Exit::Done }
}

/// Shows the result of a call.
pub(crate) fn show(session: &SessionId, ensured: &Ensured, elapsed: Duration, report: &Report) -> Exit {
    let elapsed_ms = elapsed.as_millis() as u64;
    let json = || {
        let fields = json!({
            "outcome": null,
            "session": session,
            "pid": null,
            "socket": null,
            "address": null,
            "url": null,
            "owner": null,
            "generation": null,
            "elapsed_ms": elapsed_ms,
        });
        Report::with(fields, ensured)
    };
    match ensured {
        Ensured::Running(worker) => {
            let (kind, pid, place) = (worker.kind, pid_text(worker.pid), worker.place());
            report.result(&format_args!("{kind} {session}: pid {pid}{place} ({elapsed_ms} ms)"), json);
            warnings(session, worker, report).iter().for_each(|warning| report.progress(warning));
            Exit::Done
        }
        Ensured::Exited(exited) => {
            report.failed(&exited_text(session, exited), &exited.advice, json(), Exit::EndedEarly)
        }
        Ensured::NotStarted(error) => {
            report.failed(&error.to_string(), &Advice::of_start(error), json(), Exit::NeverStarted)
        }
        Ensured::Retained(retained) => {
            let stop = Step::Stop(session.clone()).into();
            report.failed(&retained.to_string(), &stop, json(), Exit::Retained)
        }
        Ensured::Rejected(rejection) => {
            report.failed(&rejection.message, &rejection.advice, json(), Exit::Refused)
        }
    }
}

/// What ended a worker that was not ready, with its last words.
fn exited_text(session: &SessionId, exited: &Exited) -> String {
    let mut message = early_end(session, exited);
    if let Some(seen) = &exited.last_seen {
        message.push_str(&format!("\n  seen last: {}", Shown(seen)));
    }
    if let Some(status) = &exited.status_text {
        message.push_str(&format!("\n  its last status was: {}", Shown(status)));
    }
    for line in exited.stderr_tail.lines() {
        message.push_str("\n  ");
        message.push_str(line);
    }
    message
}

/// Who ended a worker that was not ready, and why.
fn early_end(session: &SessionId, exited: &Exited) -> String {
    let found = exited.findings();
    match &exited.cause {
        Some(Cause::ObserveTimeout { after }) => format!(
            "the worker of {session} was not ready within {} ms (--timeout), and was ended{found}",
            after.as_millis()
        ),
        Some(cause @ Cause::Seam(_)) => format!("the worker of {session} was ended: {cause}{found}"),
        None => {
            format!("the worker of {session} {} before it was ready{found}", exit_clause(exited.exit))
        }
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
    if let (Endpoint::Tcp(_), true) = (&worker.endpoint, worker.managed) {
        let endpoint = &worker.endpoint;
        warnings.extend(match worker.owner() {
            Some(Owner::Verified) => None,
            Some(Owner::Unverified) => Some(format!(
                "the listener on {endpoint} is not proved to be the worker's: its process cannot be looked into from here"
            )),
            None => Some(format!("a process listens on {endpoint} that need not be the worker's, as allowed")),
        });
    }
    warnings
}
