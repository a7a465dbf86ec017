//! `rekindle stop`

use super::{pid_text, sessions};
use crate::args::StopArgs;
use crate::report::{Exit, Report};
use rekindle::{Error, SessionId, SessionState, Sessions, StopOutcome, Stopped};
use serde_json::{Value, json};
use std::path::Path;

pub(crate) async fn run(dir: Option<&Path>, args: &StopArgs, report: &Report) -> Exit {
    let (sessions, targets) =
        match sessions(dir).and_then(|it| targets(&it, args).map(|targets| (it, targets))) {
            Ok(found) => found,
            Err(error) => return report.error(&error),
        };
    let policy = args.graces.stop_policy();
    let mut worst = Exit::Done;
    for session in targets {
        let exit = match sessions.stop(&session, &policy).await {
            Ok(stopped) => show(&stopped, report),
            Err(error) => report.error(&error),
        };
        if exit.code() > worst.code() {
            worst = exit;
        }
    }
    worst
}

fn targets(sessions: &Sessions, args: &StopArgs) -> Result<Vec<SessionId>, Error> {
    if !args.all {
        return Ok(args.sessions.clone());
    }
    let running = sessions.list()?.into_iter().filter(|it| it.state != SessionState::Exited);
    Ok(running.map(|it| it.session).collect())
}

fn show(stopped: &Stopped, report: &Report) -> Exit {
    let json = to_json(stopped);
    let (session, pid) = (&stopped.session, pid_text(stopped.pid));
    let elapsed = stopped.elapsed.as_millis();
    let text = match stopped.outcome {
        StopOutcome::Stopped => format!("stopped {session} (pid {pid}) in {elapsed} ms"),
        StopOutcome::Killed => {
            format!("killed {session} (pid {pid}) in {elapsed} ms: it did not end when asked")
        }
        StopOutcome::NotRunning => format!("{session} is not running"),
        StopOutcome::GaveUp => {
            let why = stopped.trouble.last().map(|trouble| format!(": {trouble}")).unwrap_or_default();
            let message = format!("gave up on {session} (pid {pid}) after {elapsed} ms: it still runs{why}");
            return report.failed(&message, &format!("rekindle show {session}"), &json, Exit::Failed);
        }
    };
    report.result(&text, &json);
    Exit::Done
}

pub(crate) fn to_json(stopped: &Stopped) -> Value {
    json!({
        "session": stopped.session,
        "outcome": stopped.outcome,
        "pid": stopped.pid,
        "generation": stopped.generation,
        "elapsed_ms": stopped.elapsed.as_millis() as u64,
        "survivors": stopped.survivors,
        "trouble": stopped.trouble,
    })
}
