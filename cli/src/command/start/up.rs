//! `rekindle up`

mod misuse;
mod waiting;

use crate::args::UpArgs;
use crate::command::{pid_text, sessions};
use crate::place::Place;
use crate::report::{Exit, Report, laid_out};
use crate::text::ending::exit_clause;
use misuse::Misuse;
use rekindle::frontend::Shown;
use rekindle::json::end::OfSession;
use rekindle::json::start::UpJson;
use rekindle::json::start::{NotRestartedJson, ReplacedJson, RestartErrorJson, RestartJson};
use rekindle::protocol::Speaking;
use rekindle::{
    Advice, Ensured, Error, Exited, Intent, Launch, Part, RejectReason, Replaced, Restarted, Running,
    SessionId, Sessions, Step, StopOutcome,
};
use rekindle::{Cause, Endpoint, Owner, Withheld};
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
pub(crate) fn at_once(place: &Place, session: &SessionId, args: &UpArgs, report: &Report) -> Option<Exit> {
    let began = Instant::now();
    let base = match base(place, session, args) {
        Ok(base) => base,
        Err(error) => return Some(report.error(&error)),
    };
    if let Some(Misuse { message, hint }) = misuse::of(args, base.as_ref()) {
        let advice = Advice::from(Step::Help(Some("up"))).knowing(hint);
        return Some(report.failure("usage", &message, &advice, Exit::Usage));
    }
    if args.dry_run {
        return None;
    }
    let attached = sessions(place.dir()).ok()?.attach_at_once(session, launch(base, args)).ok()??;
    Some(show(session, &attached, began.elapsed(), report))
}

/// The start in the project file, for a session without a program.
fn base(place: &Place, session: &SessionId, args: &UpArgs) -> Result<Option<Launch>, Error> {
    if !args.command.is_empty() || Intent::from(args.intent) == Intent::Attach {
        return Ok(None);
    }
    Ok(place.project_of(session)?.and_then(|project| project.launch(session)))
}

pub(crate) async fn run(place: &Place, session: &SessionId, args: &UpArgs, report: &Report) -> Exit {
    let launch = match base(place, session, args) {
        Ok(base) => launch(base, args),
        Err(error) => return report.error(&error),
    };
    let opened = if args.dry_run { sessions(place.dir()) } else { place.sessions_to_start() };
    let sessions = match opened {
        Ok(sessions) => sessions,
        Err(error) => return report.error(&error),
    };
    if args.dry_run {
        return dry_run(&sessions, session, launch, report).await;
    }
    call(&sessions, Asked { session, launch, may_be_absent: false }, report).await
}

/// What a caller asks for.
pub(super) struct Asked<'a> {
    pub(super) session: &'a SessionId,
    pub(super) launch: Launch,
    /// Whether it is no failure if nothing runs.
    pub(super) may_be_absent: bool,
}

/// Starts or restarts, and reports progress meanwhile.
pub(super) async fn call(sessions: &Sessions, asked: Asked<'_>, report: &Report) -> Exit {
    let Asked { session, launch, may_be_absent } = asked;
    let began = Instant::now();
    let called = async {
        if launch.is_restart() {
            return (true, sessions.restart(session, launch.clone()).await);
        }
        (false, Restarted { replaced: None, started: sessions.ensure(session, launch.clone()).await })
    };
    tokio::select! {
        (is_restart, Restarted { replaced, started }) = called => match started {
            Ok(Ensured::Rejected(rejection))
                if may_be_absent && rejection.reason == RejectReason::NotRunning => not_running(session, began.elapsed(), report),
            Ok(ensured) if is_restart => show_restarted(session, &ensured, replaced.as_ref(), began.elapsed(), report),
            Ok(ensured) => show(session, &ensured, began.elapsed(), report),
            Err(error) if is_restart => failed_restart(session, &error, replaced.as_ref(), report),
            Err(error) => report.error(&error),
        },
        () = waiting::report(sessions, session, &launch, report) => unreachable!("progress is reported for as long as it takes"),
        () = interrupted() => {
            let advice = Advice::from(Step::Again).knowing("the worker goes on, and the same command waits for it");
            report.failure("interrupted", "interrupted", &advice, Exit::Interrupted)
        }
    }
}

/// The start that the options describe, on top of the start in the project file.
fn launch(base: Option<Launch>, args: &UpArgs) -> Launch {
    let mut command = args.command.iter().cloned();
    let launch = match (base, command.next()) {
        (Some(base), _) => base,
        (None, Some(program)) => Launch::new(program).args(command),
        (None, None) if Intent::from(args.intent) == Intent::Attach => Launch::attach(),
        (None, None) => Launch::recorded(),
    };
    let mut launch = with_options(launch, args);
    if let Some(time) = args.settle {
        launch = launch.settle(time);
    }
    if args.clear_env {
        launch = launch.env_clear();
    }
    if !args.env_only.is_empty() {
        launch = launch.env_only(args.env_only.iter().cloned());
    }
    launch = args.env_file.iter().fold(launch, Launch::env_file);
    launch = launch.envs(args.env.iter().cloned());
    if args.managed_only {
        launch = launch.managed_only();
    }
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

/// The start, with the options that suit every session. An option that is not named changes nothing.
pub(super) fn with_options(launch: Launch, args: &UpArgs) -> Launch {
    let launch = launch.intent(args.intent.into()).kill_change(args.ending.change());
    let launch = args.timeout.into_iter().fold(launch, Launch::timeout);
    args.log_max.into_iter().fold(launch, Launch::log_max)
}

/// Resolves at Ctrl-C. If the signal cannot be caught, never resolves: Ctrl-C then ends the process.
pub(super) async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

pub(super) async fn dry_run(
    sessions: &Sessions,
    session: &SessionId,
    launch: Launch,
    report: &Report,
) -> Exit {
    let foreseen = match sessions.dry_run(session, launch).await {
        Ok(foreseen) => foreseen,
        Err(error) => return report.error(&error),
    };
    let plan = laid_out(&foreseen.plan);
    report.answer(&format_args!("{foreseen}\n{plan}"), &foreseen);
    if foreseen.rejection.is_some() { Exit::Refused } else { Exit::Done }
}

/// Shows a failure, with the name of the session: one of several.
pub(super) fn failed(session: &SessionId, error: &Error, report: &Report) -> Exit {
    let exit = if error.is_refusal() { Exit::Refused } else { Exit::Failed };
    report.failed(&format!("{session}: {error}"), &error.advice(), OfSession { session, answer: error }, exit)
}

/// Shows the result of a call.
pub(crate) fn show(session: &SessionId, ensured: &Ensured, elapsed: Duration, report: &Report) -> Exit {
    let elapsed_ms = elapsed.as_millis() as u64;
    let answer = UpJson { session, outcome: ensured, elapsed_ms };
    match ensured {
        Ensured::Running(worker) => {
            let (kind, pid, place) = (worker.kind, pid_text(worker.pid), worker.place());
            report.answer(&format_args!("{kind} {session}: pid {pid}{place} ({elapsed_ms} ms)"), answer);
            warnings(session, worker, report).iter().for_each(|warning| report.progress(warning));
            Exit::Done
        }
        Ensured::Exited(_) | Ensured::NotStarted(_) | Ensured::Retained(_) | Ensured::Rejected(_) => {
            let Telling { message, advice, exit } = Telling::of(session, ensured);
            report.failed(&message, &advice, answer, exit)
        }
    }
}

/// How an outcome is told.
struct Telling {
    message: String,
    advice: Advice,
    exit: Exit,
}

impl Telling {
    fn of(session: &SessionId, ensured: &Ensured) -> Self {
        let (message, advice, exit) = match ensured {
            Ensured::Running(worker) => (worker.to_string(), Advice::nothing(), Exit::Done),
            Ensured::Exited(exited) => {
                (exited_text(session, exited), (*exited.advice).clone(), Exit::EndedEarly)
            }
            Ensured::NotStarted(error) => (error.to_string(), Advice::of_start(error), Exit::NeverStarted),
            Ensured::Retained(retained) => {
                (retained.to_string(), Step::Stop(session.clone()).into(), Exit::Retained)
            }
            Ensured::Rejected(rejection) => {
                (rejection.message.clone(), rejection.advice.clone(), Exit::Refused)
            }
        };
        Self { message, advice, exit }
    }
}

/// Shows the result of a restart: the end of the former worker, and the outcome of the start.
fn show_restarted(
    session: &SessionId,
    ensured: &Ensured,
    replaced: Option<&Replaced>,
    elapsed: Duration,
    report: &Report,
) -> Exit {
    let elapsed_ms = elapsed.as_millis() as u64;
    let before = replaced.map(|replaced| format!("; {replaced}")).unwrap_or_default();
    let told = Telling::of(session, ensured);
    let replaced_json = replaced.map(ReplacedJson::from);
    let answer = RestartJson { session, elapsed_ms, replaced: replaced_json, started: ensured };
    let Ensured::Running(worker) = ensured else {
        return report.failed(&format!("{}{before}", told.message), &told.advice, answer, told.exit);
    };
    let (pid, place) = (pid_text(worker.pid), worker.place());
    let word = if replaced.is_some() { "restarted".to_owned() } else { worker.kind.to_string() };
    report.answer(&format_args!("{word} {session}: pid {pid}{place} ({elapsed_ms} ms){before}"), answer);
    warnings(session, worker, report).iter().for_each(|warning| report.progress(warning));
    Exit::Done
}

/// Shows why a restart failed, and what became of the former worker.
fn failed_restart(session: &SessionId, error: &Error, replaced: Option<&Replaced>, report: &Report) -> Exit {
    let before = replaced.map(|replaced| format!("; {replaced}")).unwrap_or_default();
    let (advice, exit) = (error.advice(), if error.is_refusal() { Exit::Refused } else { Exit::Failed });
    let replaced = replaced.map(ReplacedJson::from);
    let answer = RestartErrorJson { error, session, replaced };
    report.failed(&format!("{error}{before}"), &advice, answer, exit)
}

/// Shows that nothing was restarted because nothing runs.
fn not_running(session: &SessionId, elapsed: Duration, report: &Report) -> Exit {
    let elapsed_ms = elapsed.as_millis() as u64;
    let answer = NotRestartedJson { outcome: StopOutcome::NotRunning, session, elapsed_ms, replaced: None };
    report.answer(&format_args!("{session} is not running"), answer);
    Exit::Done
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

/// In what a running worker differs, as the continuation of a sentence.
fn otherwise(differs: &[Part]) -> String {
    let rest: Vec<String> = differs.iter().filter(|part| **part != Part::Args).map(Part::to_string).collect();
    match (differs.contains(&Part::Args), rest.as_slice()) {
        (true, []) => "another command".to_owned(),
        (true, rest) => format!("another command, with another {},", rest.join(", ")),
        (false, rest) => format!("with another {}", rest.join(", ")),
    }
}

fn warnings(session: &SessionId, worker: &Running, report: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    if !worker.differs.is_empty() {
        let stop = report.type_out(&Step::Stop(session.clone()));
        let what = otherwise(&worker.differs);
        warnings.push(format!("{session} runs {what} than the one named; to end it first: {stop}"));
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
