//! Removing sessions whose worker is provably gone.
//!
//! # Invariants
//! 1. Only under the session's kernel lock, which nobody else holds.
//! 2. Only files of ours are removed; a directory that holds anything else stays.
//! 3. The record goes before the lifeline: without a record a free lifeline means that nothing was ever started.

use crate::error::Error;
use crate::restore;
use crate::survey::Survey;
use rekindle_adapters::claim_lock::{BareLock, CLAIM_FILE, holder_standing, read_evidence};
use rekindle_adapters::lifeline::LIFELINE_FILE;
use rekindle_adapters::record_file::RECORD_FILE;
use rekindle_adapters::{SessionDir, StateRoot, socket_file};
use rekindle_core::byte_text;
use rekindle_core::claim::KernelLock;
use rekindle_core::{
    ClaimDecision, ClaimPolicy, Host, LastWorker, Lifeline, OsFailure, SessionId, decide_claim,
};
use serde::Serialize;

/// What is ours in a session's directory, in the order in which it is removed.
const OURS: [&str; 7] =
    [CLAIM_FILE, RECORD_FILE, LIFELINE_FILE, "stdout.log", "stderr.log", "stdout.log.1", "stderr.log.1"];

/// Whether files that cannot be read are set aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Repair {
    /// They stay where they are, and so does their session.
    #[default]
    No,
    /// They get another name in the same directory, so that the session can be used again.
    Yes,
}

/// What a collection did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// The sessions that were removed.
    pub removed: Vec<SessionId>,
    /// The sessions that stay, and why.
    pub kept: Vec<Kept>,
    /// The files that were set aside, under their new names.
    #[serde(with = "byte_text")]
    pub repaired: Vec<std::path::PathBuf>,
}

/// A session that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// The session.
    pub session: SessionId,
    /// Why it stays.
    pub why: String,
}

pub(crate) fn collect(
    root: &StateRoot,
    here: &Host,
    repair: Repair,
    is_meant: impl Fn(&SessionId) -> bool,
) -> Result<Collected, Error> {
    let mut collected = Collected::default();
    for session in root.sessions()?.into_iter().filter(is_meant) {
        let outcome = match root.session(&session) {
            Ok(Some(dir)) => collect_one(dir, here, repair, &mut collected.repaired),
            Ok(None) => continue,
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok(Outcome::Removed) => collected.removed.push(session),
            Ok(Outcome::Kept(why)) => collected.kept.push(Kept { session, why: why.to_owned() }),
            // One that cannot be worked with must not keep the others.
            Err(error) => collected.kept.push(Kept { session, why: error.to_string() }),
        }
    }
    Ok(collected)
}

enum Outcome {
    Removed,
    Kept(&'static str),
}

fn collect_one(
    dir: SessionDir,
    here: &Host,
    repair: Repair,
    repaired: &mut Vec<std::path::PathBuf>,
) -> Result<Outcome, Error> {
    let Some(lock) = BareLock::try_take(dir)? else {
        return Ok(Outcome::Kept("a launcher is at work on it"));
    };
    let dir = lock.dir();
    dir.sweep();
    if !is_a_sessions(dir)? {
        return Ok(Outcome::Kept("it is the directory of no session"));
    }
    if repair == Repair::Yes {
        set_unreadable_aside(dir, here, repaired)?;
    }
    let found = read_evidence(dir)?;
    let standing = holder_standing(&found, here);
    if let ClaimDecision::Conflict { .. } =
        decide_claim(ClaimPolicy::dispatch(), KernelLock::Free, found, standing)
    {
        return Ok(Outcome::Kept("its claim is not ours to clear"));
    }
    let survey = restore::in_place(dir, here)?;
    survey.require_readable(dir.path(), dir.session())?;
    if survey.newer.is_some() {
        return Ok(Outcome::Kept("its record was written by a later version"));
    }
    if survey.last_worker() != LastWorker::Gone || survey.evidence.lifeline == Lifeline::Held {
        return Ok(Outcome::Kept("its worker runs, or may run"));
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
    let is_private = dir.inspect(".")?.is_some_and(|stat| stat.st_mode & 0o777 == 0o700);
    Ok(is_private && dir.names()?.is_empty())
}

/// A file that is set aside is not lost, and not in the way.
fn set_unreadable_aside(
    dir: &SessionDir,
    here: &Host,
    repaired: &mut Vec<std::path::PathBuf>,
) -> Result<(), OsFailure> {
    use rekindle_core::claim::Found;
    let mut set_aside = |name: &str| {
        repaired.push(dir.set_aside(name)?);
        Ok(())
    };
    if let Found::Corrupt { .. } | Found::OtherSession { .. } = read_evidence(dir)? {
        set_aside(CLAIM_FILE)?;
    }
    if Survey::take(dir, here)?.corrupt.is_some() { set_aside(RECORD_FILE) } else { Ok(()) }
}

fn remove(dir: &SessionDir) -> Result<Outcome, Error> {
    for name in OURS {
        dir.remove(name)?;
    }
    if dir.names()?.is_empty() {
        dir.remove_self()?;
        Ok(Outcome::Removed)
    } else {
        Ok(Outcome::Kept("files that are not ours, or were set aside, are left in its directory"))
    }
}
