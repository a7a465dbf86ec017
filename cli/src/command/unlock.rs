//! `rekindle unlock`

use super::{sessions, without_nonce};
use crate::args::UnlockArgs;
use crate::report::{Exit, Report, path_text};
use rekindle::frontend::Shown;
use rekindle::{Error, Force, Forgotten, SessionId, Unlocked};
use serde_json::{Value, json};
use std::path::Path;

pub(crate) fn run(dir: Option<&Path>, args: &UnlockArgs, report: &Report) -> Exit {
    if args.forget {
        forget(dir, &args.session, report)
    } else {
        clear(dir, &args.session, args.force, report)
    }
}

fn forget(dir: Option<&Path>, session: &SessionId, report: &Report) -> Exit {
    let forgotten = match sessions(dir).and_then(|sessions| sessions.forget(session)) {
        Ok(forgotten) => forgotten,
        Err(error) => return refused(&error, report),
    };
    let Forgotten { previous, kept_aside, unproven } = forgotten;
    let mut lines = vec![format!("forgot what was known of {session}; nobody was signalled")];
    lines.extend(unproven.iter().map(|fact| format!("  not proved: {fact}")));
    lines.extend(kept_aside.iter().map(|path| format!("  its record is kept as `{}`", Shown(path))));
    let json = json!({
        "session": session,
        "outcome": "forgotten",
        "unproven": unproven,
        "kept_aside": kept_aside.as_deref().map(path_text),
        "previous": previous.map(|claim| without_nonce(json!(claim))),
    });
    report.result(&lines.join("\n"), &json);
    Exit::Done
}

fn clear(dir: Option<&Path>, session: &SessionId, force: bool, report: &Report) -> Exit {
    let force = if force { Force::Yes } else { Force::No };
    match sessions(dir).and_then(|sessions| sessions.unlock(session, force)) {
        Ok(Unlocked::NotLocked) => {
            report.result(&format!("{session} is not locked"), &to_json(session, "not-locked", &None));
            Exit::Done
        }
        Ok(Unlocked::Unlocked { previous }) => {
            let previous = previous.map(|claim| without_nonce(json!(claim)));
            report.result(&format!("unlocked {session}"), &to_json(session, "unlocked", &previous));
            Exit::Done
        }
        Err(error) => refused(&error, report),
    }
}

fn to_json(session: &SessionId, outcome: &str, previous: &Option<Value>) -> Value {
    json!({ "session": session, "outcome": outcome, "previous": previous })
}

fn refused(error: &Error, report: &Report) -> Exit {
    let Error::Claimed { message, advice, holder } = error else { return report.error(error) };
    let holder = holder.as_ref().map(|holder| without_nonce(json!(holder)));
    let json = json!({
        "outcome": "error",
        "reason": error.reason(),
        "message": message,
        "holder": holder,
    });
    report.failed(message, advice, json, Exit::Refused)
}
