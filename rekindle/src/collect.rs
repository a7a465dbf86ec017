//! Removing sessions whose worker is provably gone.
//!
//! # Invariants
//! 1. Only under the session's kernel lock, which nobody else holds.
//! 2. Only files of ours are removed; a directory that holds anything else stays.
//! 3. The last run of a session that failed stays, with its logs, unless the caller says otherwise.
//! 4. The record goes before the lifeline: without a record a free lifeline means that nothing was ever started.

use crate::error::Error;
use crate::restore;
use crate::survey::Survey;
use rekindle_adapters::claim_lock::{BareLock, CLAIM_FILE, holder_standing, read_evidence};
use rekindle_adapters::lifeline::LIFELINE_FILE;
use rekindle_adapters::notify::NOTIFY_FILE;
use rekindle_adapters::record_file::RECORD_FILE;
use rekindle_adapters::{SessionDir, StateRoot, clock, socket_file};
use rekindle_core::byte_text;
use rekindle_core::claim::KernelLock;
use rekindle_core::{
    ClaimDecision, ClaimPolicy, Host, LastWorker, Lifeline, OsFailure, SessionId, decide_claim,
};
use serde::Serialize;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

/// What is ours in a session's directory, in the order in which it is removed.
const OURS: [&str; 7] = [CLAIM_FILE, RECORD_FILE, LIFELINE_FILE, LOGS[0], LOGS[1], LOGS[2], LOGS[3]];

/// What its workers wrote.
const LOGS: [&str; 4] = ["stdout.log", "stderr.log", "stdout.log.1", "stderr.log.1"];

/// Whether files that cannot be read are set aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Repair {
    /// They stay where they are, and so does their session.
    #[default]
    No,
    /// They get another name in the same directory, so that the session can be used again. The session itself stays.
    Yes,
}

/// What happens to the last run of a session, if that failed: it ended before it was ready, or by itself and not with
/// status 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailedRuns {
    /// Its record and its logs are kept.
    #[default]
    Keep,
    /// They are removed if the run ended longer ago than this.
    RemoveAfter(Duration),
    /// They are removed.
    Remove,
}

/// Whether anything is changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rehearsal {
    /// It is done.
    #[default]
    No,
    /// Nothing is changed, and what would be done is said.
    Yes,
}

/// What to collect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collection {
    /// Whether files that cannot be read are set aside.
    pub repair: Repair,
    /// What happens to runs that failed.
    pub failed_runs: FailedRuns,
    /// Whether anything is changed.
    pub rehearsal: Rehearsal,
    /// Only these sessions; all of them if it is empty.
    pub only: Vec<SessionId>,
}

/// What a collection did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// The sessions that were removed.
    pub removed: Vec<SessionId>,
    /// The sessions that stay, and why.
    pub kept: Vec<Kept>,
    /// The files that were set aside, under their new names; in a rehearsal under those that they have.
    #[serde(with = "byte_text")]
    pub repaired: Vec<std::path::PathBuf>,
}

impl Collected {
    /// Whether a session was kept because it could not be worked with.
    pub fn has_errors(&self) -> bool {
        self.kept.iter().any(|kept| kept.because == KeptBecause::Error)
    }
}

/// A session that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// The session.
    pub session: SessionId,
    /// Why it stays, in words.
    pub why: String,
    /// The same in one word.
    pub because: KeptBecause,
}

/// Why a session stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeptBecause {
    /// A launcher is at work on it, or its claim is not to be cleared.
    Claimed,
    /// Its worker runs, or may run.
    Running,
    /// A later version wrote its record.
    Newer,
    /// Its last run failed, and its logs may be wanted.
    FailedRun,
    /// Its directory holds files that are not ours, or were set aside.
    OtherFiles,
    /// It could not be worked with.
    Error,
}

pub(crate) fn collect(
    root: &StateRoot,
    here: &Host,
    what: &Collection,
    is_meant: impl Fn(&SessionId) -> bool,
) -> Result<Collected, Error> {
    let mut collected = Collected::default();
    let there = root.sessions()?;
    if let Some(session) = what.only.iter().find(|session| !there.contains(session)) {
        return Err(Error::UnknownSession { session: session.clone() });
    }
    let is_named = |session: &SessionId| what.only.is_empty() || what.only.contains(session);
    for session in there.into_iter().filter(|session| is_meant(session) && is_named(session)) {
        let outcome = match root.session(&session) {
            Ok(Some(dir)) => collect_one(dir, here, what, &mut collected.repaired),
            Ok(None) => continue,
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok(Outcome::Removed) => collected.removed.push(session),
            Ok(Outcome::Kept(because, why)) => {
                collected.kept.push(Kept { session, why: why.to_owned(), because });
            }
            // One that cannot be worked with must not keep the others.
            Err(error) => {
                let because = KeptBecause::Error;
                collected.kept.push(Kept { session, why: error.to_string(), because });
            }
        }
    }
    Ok(collected)
}

enum Outcome {
    Removed,
    Kept(KeptBecause, &'static str),
}

fn collect_one(
    dir: SessionDir,
    here: &Host,
    what: &Collection,
    repaired: &mut Vec<std::path::PathBuf>,
) -> Result<Outcome, Error> {
    use {KeptBecause as Why, Outcome::Kept};
    let Some(lock) = BareLock::try_take(dir)? else {
        return Ok(Kept(Why::Claimed, "a launcher is at work on it"));
    };
    let dir = lock.dir();
    if what.rehearsal == Rehearsal::No {
        dir.sweep();
    }
    if !is_a_sessions(dir)? {
        return Ok(Kept(Why::OtherFiles, "it is the directory of no session"));
    }
    if what.repair == Repair::Yes && repair(dir, here, what.rehearsal, repaired)? {
        return Ok(Kept(Why::OtherFiles, "a file of it could not be read, and gets another name"));
    }
    let found = read_evidence(dir)?;
    let standing = holder_standing(&found, here);
    if let ClaimDecision::Conflict { .. } =
        decide_claim(ClaimPolicy::dispatch(), KernelLock::Free, found, standing)
    {
        return Ok(Kept(Why::Claimed, "its claim is not ours to clear"));
    }
    let survey = match what.rehearsal {
        Rehearsal::No => restore::in_place(dir, here)?,
        Rehearsal::Yes => Survey::take(dir, here)?,
    };
    survey.require_readable(dir.path(), dir.session())?;
    if survey.newer.is_some() {
        return Ok(Kept(Why::Newer, "its record was written by a later version"));
    }
    if survey.last_worker() != LastWorker::Gone || survey.evidence.lifeline == Lifeline::Held {
        return Ok(Kept(Why::Running, "its worker runs, or may run"));
    }
    if let Some(why) = failure(dir, &survey)?
        && !is_unwanted(dir, &survey, what.failed_runs)?
    {
        return Ok(Kept(Why::FailedRun, why));
    }
    if what.rehearsal == Rehearsal::Yes {
        return would_remove(dir, &survey);
    }
    if let Some(socket) = survey.socket() {
        socket_file::clear(dir, socket, survey.record.as_ref().and_then(|record| record.socket_file));
    }
    remove(dir)
}

/// Any directory may have a name that a session could have. What a session's holds is ours; one whose launcher died at once is empty,
/// and private as we make them.
fn is_a_sessions(dir: &SessionDir) -> Result<bool, OsFailure> {
    for name in [CLAIM_FILE, RECORD_FILE, LIFELINE_FILE] {
        if dir.inspect(name)?.is_some() {
            return Ok(true);
        }
    }
    let is_private = dir.inspect(".")?.is_some_and(|stat| stat.mode & 0o777 == 0o700);
    // A rehearsal sweeps nothing, and says what comes after it.
    Ok(is_private && dir.names()?.iter().all(|name| name == NOTIFY_FILE || dir.is_swept(name)))
}

/// Why the logs of a session's last run may still be wanted.
fn failure(dir: &SessionDir, survey: &Survey) -> Result<Option<&'static str>, Error> {
    if let Some(record) = &survey.record {
        return Ok(record.failure());
    }
    // Of a run without a record nothing is known but what it wrote.
    for log in LOGS {
        if dir.inspect(log)?.is_some_and(|stat| stat.len > 0) {
            return Ok(Some("nothing is known of its last run but its logs"));
        }
    }
    Ok(None)
}

/// Whether a run that failed is to be removed all the same.
fn is_unwanted(dir: &SessionDir, survey: &Survey, failed_runs: FailedRuns) -> Result<bool, Error> {
    let after = match failed_runs {
        FailedRuns::Keep => return Ok(false),
        FailedRuns::Remove => return Ok(true),
        FailedRuns::RemoveAfter(after) => after,
    };
    let mut last_sign = survey.record.as_ref().and_then(|record| Some(record.exited_at?.as_second()));
    if last_sign.is_none() {
        for name in [RECORD_FILE, LIFELINE_FILE].into_iter().chain(LOGS) {
            last_sign = last_sign.max(dir.inspect(name)?.map(|stat| stat.modified_at));
        }
    }
    let age = last_sign.map(|at| clock::now().as_second().saturating_sub(at));
    Ok(age.and_then(|age| u64::try_from(age).ok()).is_some_and(|age| Duration::from_secs(age) >= after))
}

/// Sets files aside that cannot be read; whether there were any. A file that is set aside is not lost, and not in the way.
fn repair(
    dir: &SessionDir,
    here: &Host,
    rehearsal: Rehearsal,
    repaired: &mut Vec<std::path::PathBuf>,
) -> Result<bool, OsFailure> {
    use rekindle_core::claim::Found;
    let before = repaired.len();
    let mut set_aside = |name: &str| {
        repaired.push(match rehearsal {
            Rehearsal::No => dir.set_aside(name)?,
            Rehearsal::Yes => dir.path_of(name),
        });
        Ok::<(), OsFailure>(())
    };
    if let Found::Corrupt { .. } | Found::OtherSession { .. } = read_evidence(dir)? {
        set_aside(CLAIM_FILE)?;
    }
    if Survey::take(dir, here)?.corrupt.is_some() {
        set_aside(RECORD_FILE)?;
    }
    Ok(repaired.len() > before)
}

/// What [`remove`] would come to.
fn would_remove(dir: &SessionDir, survey: &Survey) -> Result<Outcome, Error> {
    let socket = survey.socket().filter(|socket| socket.parent() == Some(dir.path()));
    let socket = socket.and_then(|socket| socket.file_name());
    let ours = OURS.into_iter().chain([NOTIFY_FILE]).map(OsStr::new).chain(socket);
    let goes = |name: &OsString| ours.clone().any(|ours| name == ours) || dir.is_swept(name);
    let stays = dir.names()?.iter().any(|name| !goes(name));
    Ok(if stays { OTHER_FILES } else { Outcome::Removed })
}

/// A directory that is not empty when all that is ours is gone.
const OTHER_FILES: Outcome = Outcome::Kept(
    KeptBecause::OtherFiles,
    "files that are not ours, or were set aside, are left in its directory",
);

fn remove(dir: &SessionDir) -> Result<Outcome, Error> {
    for name in OURS {
        dir.remove(name)?;
    }
    if dir.names()?.is_empty() {
        dir.remove_self()?;
        Ok(Outcome::Removed)
    } else {
        Ok(OTHER_FILES)
    }
}
