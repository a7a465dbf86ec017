//! `rekindle wait`

use crate::args::{WaitArgs, WaitFor};
use crate::command::sessions;
use crate::report::{Exit, Report};
use rekindle::json::watch::WaitJson;
use rekindle::{Advice, ChildExit, Error, Readied, SessionId, Sessions};
use std::path::Path;

/// The worker may exit with any smaller number.
const TIMED_OUT: Exit = Exit::Program(124);
/// The exit is unknown, or the wait failed.
const NOT_KNOWN: Exit = Exit::Program(125);

const NOBODY_WATCHED: &str = "nobody who could learn the exit watched the worker when it ended";

pub(crate) async fn run(dir: Option<&Path>, args: &WaitArgs, report: &Report) -> Exit {
    let sessions = match sessions(dir) {
        Ok(sessions) => sessions,
        Err(error) => return failed(&error, report),
    };
    let waited = wait(&sessions, args);
    let waited = match args.timeout {
        Some(limit) => tokio::time::timeout(limit, waited).await,
        None => Ok(waited.await),
    };
    match (waited, args.state) {
        (Ok(Ok(Readied::Ready)), _) => ready(&args.session, report),
        (Ok(Ok(Readied::Ended(exit))), WaitFor::Exit) => exited(&args.session, exit, report, exit_code(exit)),
        (Ok(Ok(Readied::Ended(exit))), WaitFor::Ready) => exited(&args.session, exit, report, Exit::Failed),
        (Ok(Err(error)), _) => failed(&error, report),
        (Err(_), state) => timed_out(&args.session, state, report),
    }
}

async fn wait(sessions: &Sessions, args: &WaitArgs) -> Result<Readied, Error> {
    match args.state {
        WaitFor::Exit => sessions.wait(&args.session).await.map(Readied::Ended),
        WaitFor::Ready => sessions.wait_until_ready(&args.session).await,
    }
}

fn exit_code(exit: ChildExit) -> Exit {
    if exit.is_known() { Exit::of_exit(exit) } else { NOT_KNOWN }
}

fn failed(error: &Error, report: &Report) -> Exit {
    report.error(error);
    NOT_KNOWN
}

fn ready(session: &SessionId, report: &Report) -> Exit {
    let answer = WaitJson { outcome: "ready", session, exit: None, exit_why: None };
    report.answer(&format!("{session} is ready"), answer);
    Exit::Done
}

fn exited(session: &SessionId, exit: ChildExit, report: &Report, code: Exit) -> Exit {
    let exit_why = (!exit.is_known()).then_some(NOBODY_WATCHED);
    let text = match exit_why {
        None => format!("the worker of {session} {exit}"),
        Some(why) => format!("the worker of {session} ended, and how is not known: {why}"),
    };
    report.answer(&text, WaitJson { outcome: "exited", session, exit: Some(exit), exit_why });
    code
}

fn timed_out(session: &SessionId, state: WaitFor, report: &Report) -> Exit {
    let message = match state {
        WaitFor::Exit => format!("the worker of {session} did not end in time"),
        WaitFor::Ready => format!("the worker of {session} was not ready in time"),
    };
    let advice = Advice::by_hand("name a longer --timeout");
    let answer = WaitJson { outcome: "timeout", session, exit: None, exit_why: None };
    report.failed(&message, &advice, answer, TIMED_OUT)
}
