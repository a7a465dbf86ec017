//! `rekindle lifecycle`

use super::without_nonce;
use crate::args::{LifecycleVerb, MarkerPath};
use crate::report::{Exit, Report, path_text};
use rekindle::Pid;
use rekindle::frontend::Shown;
use rekindle::frontend::StateRoot;
use rekindle::lifecycle::LifecyclePayload;
use rekindle::lifecycle::{
    Acquired, ForceUnlocked, LifecycleConflict, LifecycleError, LifecycleStatus, Released, TakenOver,
};
use rekindle::lifecycle::{ConflictReason, TakeOverReason};
use rekindle::{Advice, LifecycleLock, Step};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::Path;

pub(crate) async fn run(dir: Option<&Path>, verb: LifecycleVerb, report: &Report) -> Exit {
    let done = carry_out(dir, verb, report).await;
    done.unwrap_or_else(|error| {
        let exit = if error.is_refusal() { Exit::Refused } else { Exit::Failed };
        report.failure(error.reason(), &error.to_string(), &error.advice(), exit)
    })
}

async fn carry_out(dir: Option<&Path>, verb: LifecycleVerb, report: &Report) -> Result<Exit, LifecycleError> {
    let lock = |place: &MarkerPath| lock(dir, place);
    match verb {
        LifecycleVerb::Acquire { place, pid: _, command } if !command.is_empty() => {
            acquire_and_run(&lock(&place)?, &command, report).await
        }
        LifecycleVerb::Acquire { place, pid, command: _ } => match holder(pid, report) {
            Ok(pid) => acquire(&lock(&place)?, pid, report).await,
            Err(exit) => Ok(exit),
        },
        LifecycleVerb::Status { place } => status(&lock(&place)?, report),
        LifecycleVerb::Release { place, pid } => match holder(pid, report) {
            Ok(pid) => release(&lock(&place)?, pid, report).await,
            Err(exit) => Ok(exit),
        },
        LifecycleVerb::ForceUnlock { place } => force_unlock(&lock(&place)?, report).await,
    }
}

fn lock(dir: Option<&Path>, place: &MarkerPath) -> Result<LifecycleLock, LifecycleError> {
    let lock = match (&place.path, dir) {
        (Some(path), _) => Ok(LifecycleLock::new(path)),
        (None, Some(dir)) => {
            let dir = StateRoot::open(std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()))?;
            Ok(LifecycleLock::in_state_dir(dir.path()))
        }
        (None, None) => LifecycleLock::default_path(),
    }?;
    tracing::info!(marker = %Shown(lock.path()), "asked about the lifecycle lock");
    Ok(lock)
}

/// The process of `--pid`, or our parent.
fn holder(pid: Option<i32>, report: &Report) -> Result<Pid, Exit> {
    let raw = pid.unwrap_or_else(|| std::os::unix::process::parent_id().cast_signed());
    Pid::new(raw).ok_or_else(|| {
        let message = match pid {
            Some(pid) => format!("{pid} is no pid"),
            None => "the parent process cannot be seen from here".to_owned(),
        };
        report.failure("usage", &message, &Advice::by_hand("name the process with --pid"), Exit::Usage)
    })
}

async fn acquire(lock: &LifecycleLock, pid: Pid, report: &Report) -> Result<Exit, LifecycleError> {
    match lock.acquire_for(pid).await? {
        Acquired::Conflict(conflict) => Ok(refused(lock, &conflict, report)),
        Acquired::Ours { payload, taken_over } => {
            let text =
                format!("process {pid} holds `{}`{}", Shown(lock.path()), taken_text(taken_over.as_deref()));
            report.result(&text, &acquired_json(lock, &payload, taken_over.as_deref()));
            Ok(Exit::Done)
        }
    }
}

async fn acquire_and_run(
    lock: &LifecycleLock,
    command: &[OsString],
    report: &Report,
) -> Result<Exit, LifecycleError> {
    match lock.acquire().await? {
        Acquired::Conflict(conflict) => return Ok(refused(lock, &conflict, report)),
        Acquired::Ours { payload, taken_over } => {
            report.event(&acquired_json(lock, &payload, taken_over.as_deref()));
        }
    }
    let ended = lock.run_program(command);
    let released = lock.release();
    let exit = match ended {
        Ok(ended) => Exit::of_exit(ended),
        Err(error) => report.failure(
            "spawn-start-failed",
            &error.to_string(),
            &Advice::of_start(&error),
            Exit::NeverStarted,
        ),
    };
    // The caller asked for the program, so a leftover marker is only a warning.
    match released {
        Ok(Released::Released) => {}
        Ok(Released::NotHeld { .. }) => tracing::warn!("`{}` was removed meanwhile", Shown(lock.path())),
        Err(error) => tracing::warn!(%error, "the lock could not be released"),
    }
    Ok(exit)
}

fn status(lock: &LifecycleLock, report: &Report) -> Result<Exit, LifecycleError> {
    let LifecycleStatus { state, why, holder } = lock.status()?;
    let state = json!(state);
    let named = holder.as_ref().map(|holder| format!("; the marker names {}", named(holder)));
    let path = Shown(lock.path());
    let text = format!("{}: {why}{}", state.as_str().unwrap_or_default(), named.unwrap_or_default());
    report.result(
        &format!("`{path}` is {text}"),
        &json!({ "path": path_text(lock.path()), "status": state, "why": why, "holder": holder.as_ref().map(shown) }),
    );
    Ok(Exit::Done)
}

async fn release(lock: &LifecycleLock, pid: Pid, report: &Report) -> Result<Exit, LifecycleError> {
    let (outcome, text, holder) = match lock.release_for(pid).await? {
        Released::Released => ("released", format!("process {pid} released"), None),
        Released::NotHeld { holder } => {
            let by = holder.as_ref().map(|holder| format!(" (held by {})", named(holder)));
            ("not-held", format!("process {pid} does not hold{}", by.unwrap_or_default()), holder)
        }
    };
    report.result(
        &format!("{text} `{}`", Shown(lock.path())),
        &json!({ "outcome": outcome, "path": path_text(lock.path()), "holder": holder.as_deref().map(shown) }),
    );
    Ok(Exit::Done)
}

async fn force_unlock(lock: &LifecycleLock, report: &Report) -> Result<Exit, LifecycleError> {
    let path = Shown(lock.path());
    let (outcome, text, previous, kept_aside) = match lock.force_unlock().await? {
        ForceUnlocked::NotLocked => ("not-locked", format!("`{path}` is not there"), None, None),
        ForceUnlocked::Removed { previous, kept_aside } => {
            let was = previous.as_ref().map(|holder| format!(", which named {}", named(holder)));
            ("unlocked", format!("removed `{path}`{}", was.unwrap_or_default()), previous, kept_aside)
        }
    };
    let previous = previous.as_deref().map(shown);
    report.result(
        &text,
        &json!({ "outcome": outcome, "path": path_text(lock.path()), "previous": previous, "kept_aside": kept_aside.as_deref().map(path_text) }),
    );
    Ok(Exit::Done)
}

fn refused(lock: &LifecycleLock, conflict: &LifecycleConflict, report: &Report) -> Exit {
    let path = Shown(lock.path());
    let status = || Step::LifecycleStatus(lock.path().to_owned());
    let by =
        conflict.holder.as_deref().map_or_else(|| "a process that has not said who it is".to_owned(), named);
    let (why, message, advice) = match &conflict.why {
        ConflictReason::KernelLockHeld | ConflictReason::HolderAlive => {
            ("held", format!("`{path}` is held by {by}"), Advice::from(status()))
        }
        ConflictReason::HolderUnjudged(doubt) => (
            "unjudged",
            format!("`{path}` is held by {by}, which cannot be judged: {}", doubt.describe()),
            Advice::from(status()).knowing("`force-unlock` clears it, once you know that the holder is gone"),
        ),
        ConflictReason::Corrupt { .. } | ConflictReason::OtherSession { .. } => (
            "corrupt",
            format!("`{path}` cannot be read"),
            Step::LifecycleForceUnlock(lock.path().to_owned()).into(),
        ),
    };
    let json = json!({
        "outcome": "error",
        "reason": "conflict",
        "why": why,
        "message": message,
        "path": path_text(lock.path()),
        "holder": conflict.holder.as_deref().map(shown),
    });
    report.failed(&message, &advice, json, Exit::Refused)
}

fn acquired_json(lock: &LifecycleLock, payload: &LifecyclePayload, taken: Option<&TakenOver>) -> Value {
    json!({
        "outcome": "acquired",
        "path": path_text(lock.path()),
        "holder": shown(payload),
        "taken_over": taken.map(|taken| json!({
            "why": reason(&taken.why),
            "previous": taken.previous.as_ref().map(shown),
            "kept_aside": taken.kept_aside.as_deref().map(path_text),
        })),
    })
}

fn reason(why: &TakeOverReason) -> &'static str {
    match why {
        TakeOverReason::HolderDead(_) => "holder-dead",
        TakeOverReason::Retained => "retained",
        TakeOverReason::OtherMachine => "other-machine",
        TakeOverReason::Corrupt | TakeOverReason::OtherSession => "corrupt",
    }
}

fn taken_text(taken: Option<&TakenOver>) -> String {
    let previous = taken.and_then(|taken| taken.previous.as_ref());
    previous.map_or_else(String::new, |holder| format!(", taken over from {}", named(holder)))
}

fn named(holder: &LifecyclePayload) -> String {
    format!("process {} on host {} since {}", holder.holder.pid, Shown(&holder.hostname), holder.started_at)
}

fn shown(payload: &LifecyclePayload) -> Value {
    without_nonce(json!(payload))
}
