//! `rekindle lifecycle`

use crate::args::{LifecycleVerb, MarkerPath};
use crate::report::{Exit, Report, path_text};
use rekindle::frontend::{Shown, StateRoot};
use rekindle::json::programs::{AtPath, Told};
use rekindle::lifecycle::{
    Acquired, ConflictReason, ForceUnlocked, LifecycleConflict, LifecycleError, Released, TakenOver,
};
use rekindle::{Advice, LifecycleLock, Pid, Step};
use std::ffi::OsString;
use std::path::Path;

pub(crate) async fn run(dir: Option<&Path>, verb: LifecycleVerb, report: &Report) -> Exit {
    let runs_program = verb.runs_program();
    let done = carry_out(dir, verb, report).await;
    done.unwrap_or_else(|error| {
        let exit = match error.is_refusal() {
            _ if runs_program => Exit::WrapperFailed,
            true => Exit::Refused,
            false => Exit::Failed,
        };
        report.failed(&error.to_string(), &error.advice(), &error, exit)
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
    let acquired = lock.acquire_for(pid).await?;
    match &acquired {
        Acquired::Conflict(conflict) => Ok(refused(lock, conflict, Exit::Refused, report)),
        Acquired::Ours { taken_over, .. } => {
            let taken = taken_text(taken_over.as_deref());
            let text = format!("process {pid} holds `{}`{taken}", Shown(lock.path()));
            report.answer(&text, at_path(lock, &acquired));
            Ok(Exit::Done)
        }
    }
}

async fn acquire_and_run(
    lock: &LifecycleLock,
    command: &[OsString],
    report: &Report,
) -> Result<Exit, LifecycleError> {
    let acquired = lock.acquire().await?;
    match &acquired {
        Acquired::Conflict(conflict) => return Ok(refused(lock, conflict, Exit::WrapperFailed, report)),
        Acquired::Ours { .. } => report.event(at_path(lock, &acquired)),
    }
    let ended = lock.run_program(command);
    let released = lock.release();
    let exit = match ended {
        Ok(ended) => Exit::of_exit(ended),
        Err(error) => report.failure(
            "spawn-start-failed",
            &error.to_string(),
            &Advice::of_start(&error),
            Exit::of_spawn_error(&error),
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
    let status = lock.status()?;
    report.answer(&format_args!("`{}` is {status}", Shown(lock.path())), at_path(lock, &status));
    Ok(Exit::Done)
}

async fn release(lock: &LifecycleLock, pid: Pid, report: &Report) -> Result<Exit, LifecycleError> {
    let released = lock.release_for(pid).await?;
    let text = match &released {
        Released::Released => format!("process {pid} released"),
        Released::NotHeld { holder } => {
            let by = holder.as_ref().map(|holder| format!(" (held by {holder})"));
            format!("process {pid} does not hold{}", by.unwrap_or_default())
        }
    };
    report.answer(&format_args!("{text} `{}`", Shown(lock.path())), at_path(lock, &released));
    Ok(Exit::Done)
}

async fn force_unlock(lock: &LifecycleLock, report: &Report) -> Result<Exit, LifecycleError> {
    let path = Shown(lock.path());
    let unlocked = lock.force_unlock().await?;
    let text = match &unlocked {
        ForceUnlocked::NotLocked => format!("`{path}` is not there"),
        ForceUnlocked::Removed { previous, kept_aside: _ } => {
            let was = previous.as_ref().map(|holder| format!(", which named {holder}"));
            format!("removed `{path}`{}", was.unwrap_or_default())
        }
    };
    report.answer(&text, at_path(lock, &unlocked));
    Ok(Exit::Done)
}

fn refused(lock: &LifecycleLock, conflict: &LifecycleConflict, exit: Exit, report: &Report) -> Exit {
    let message = format!("`{}` {conflict}", Shown(lock.path()));
    let status = || Step::LifecycleStatus(lock.path().to_owned());
    let advice = match &conflict.why {
        ConflictReason::KernelLockHeld | ConflictReason::HolderAlive => Advice::from(status()),
        ConflictReason::HolderUnjudged(_) => {
            Advice::from(status()).knowing("`force-unlock` clears it, once you know that the holder is gone")
        }
        ConflictReason::Corrupt { .. } | ConflictReason::OtherSession { .. } => {
            Step::LifecycleForceUnlock(lock.path().to_owned()).into()
        }
    };
    let answer = Told { answer: at_path(lock, conflict), message: &message };
    report.failed(&message, &advice, answer, exit)
}

/// An answer with the marker's path.
fn at_path<T>(lock: &LifecycleLock, answer: T) -> AtPath<'_, T> {
    AtPath { path: path_text(lock.path()), answer }
}

fn taken_text(taken: Option<&TakenOver>) -> String {
    let previous = taken.and_then(|taken| taken.previous.as_ref());
    previous.map_or_else(String::new, |holder| format!(", taken over from {holder}"))
}
