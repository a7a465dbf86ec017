//! Removing sessions whose worker is provably gone.
//!
//! # Invariants
//! 1. Every decision is made by [`rekindle_core::care::gc`]; this file performs the effects and keeps the findings.
//! 2. Only our files are removed; a directory with any other file stays.

use crate::advice::{Advice, Step};
use crate::error::Error;
use crate::sessions::list::unknown;
use crate::sessions::restore;
use crate::sessions::show::pass::pass_by_session;
use crate::sessions::snapshot::Snapshot;
use rekindle_adapters::claim_file::CLAIM_FILE;
use rekindle_adapters::claim_lock::{BareLock, judge, read_evidence};
use rekindle_adapters::lifeline::LIFELINE_FILE;
use rekindle_adapters::logs::names;
use rekindle_adapters::notify::NOTIFY_FILE;
use rekindle_adapters::record_file::RECORD_FILE;
use rekindle_adapters::socket_file::Leftover;
use rekindle_adapters::{SessionDir, StateRoot, clock};
use rekindle_core::byte_text;
use rekindle_core::care::gc::{Collect, Conclusion, Effect, Event, File, GcOptions, step};
pub use rekindle_core::care::gc::{GcMode, Repair};
use rekindle_core::claim::acquire::Judgement;
use rekindle_core::shown::Shown;
use rekindle_core::{Host, OsFailure, SessionId};
use serde::Serialize;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::time::Duration;

/// The log files of a session's workers, with their indexes.
const LOGS: [&str; 8] = {
    let ([a, b], [c, d]) = (names::LOGS, names::PREVIOUS_LOGS);
    let ([e, f], [g, h]) = (names::INDEXES, names::PREVIOUS_INDEXES);
    [a, b, c, d, e, f, g, h]
};

/// The treatment of a session's last run, if failed: the worker ended before ready, or by itself with a status other
/// than 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailedRuns {
    /// The record and the logs are kept.
    #[default]
    Keep,
    /// The record and the logs are removed if the run ended at least this long ago.
    RemoveAfter(Duration),
    /// The record and the logs are removed.
    Remove,
}

/// The options of a collection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collection {
    /// Whether unreadable files are set aside.
    pub repair: Repair,
    /// The treatment of failed runs.
    pub failed_runs: FailedRuns,
    /// Whether to change anything, or only to report.
    pub mode: GcMode,
    /// Only these sessions; empty means all sessions.
    pub only: Vec<SessionId>,
}

/// The result of a collection, or of its dry run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Collected {
    /// The removed sessions.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub removed: Vec<SessionId>,
    /// The kept sessions, with the reasons.
    pub kept: Vec<Kept>,
    /// The files that were set aside, under their new names; in a dry run under their present names.
    #[serde(with = "byte_text")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<crate::json::standin::Text>"))]
    pub repaired: Vec<std::path::PathBuf>,
    /// Whether anything was changed, or only reported.
    #[serde(skip)]
    pub mode: GcMode,
}

/// A line for each session and for each file that was set aside.
impl fmt::Display for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [removes, sets_aside, keeps] = match self.mode {
            GcMode::Remove => ["removed", "set aside", "kept"],
            GcMode::DryRun => ["would remove", "would set aside", "would keep"],
        };
        let repaired = self.repaired.iter().map(|path| format!("{sets_aside} {}", Shown(path)));
        let removed = self.removed.iter().map(|session| format!("{removes} {session}"));
        let kept = self.kept.iter().map(|kept| format!("{keeps} {kept}"));
        let lines: Vec<String> = repaired.chain(removed).chain(kept).collect();
        f.write_str(if lines.is_empty() { "nothing to collect" } else { "" })?;
        f.write_str(&lines.join("\n"))
    }
}

impl Collected {
    /// Whether a session was kept because of an error.
    pub fn has_errors(&self) -> bool {
        self.kept.iter().any(|kept| kept.because == KeptBecause::Error)
    }
}

/// A session that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Kept {
    /// The session.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub session: SessionId,
    /// The reason in words.
    pub why: String,
    /// The reason in one word.
    pub because: KeptBecause,
}

impl Kept {
    /// The next step towards removing the session.
    pub fn advice(&self) -> Advice {
        let session = self.session.clone();
        match self.because {
            KeptBecause::Running => Step::Stop(session).into(),
            KeptBecause::FailedRun => Step::RemoveByForce(session).into(),
            KeptBecause::Claimed | KeptBecause::Error => Step::Doctor(session).into(),
            KeptBecause::Newer => Advice::use_its_version(),
            KeptBecause::OtherFiles => Advice::by_hand("look through the files in the session's directory"),
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.session, self.why)
    }
}

/// The reason why a session was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum KeptBecause {
    /// A launcher holds the claim, or the claim must not be cleared.
    Claimed,
    /// The worker runs, or may run.
    Running,
    /// A later version wrote the record.
    Newer,
    /// The last run failed, and its logs may be wanted.
    FailedRun,
    /// The directory holds files that are not ours, or were set aside.
    OtherFiles,
    /// The session could not be read or removed.
    Error,
}

pub(crate) fn gc(
    root: &StateRoot,
    here: &Host,
    what: &Collection,
    is_meant: impl Fn(&SessionId) -> bool,
) -> Result<Collected, Error> {
    let mut collected = Collected { mode: what.mode, ..Collected::default() };
    let there = root.sessions()?;
    if let Some(session) = what.only.iter().find(|session| !there.contains(session)) {
        return Err(unknown(root, session));
    }
    let is_named = |session: &SessionId| what.only.is_empty() || what.only.contains(session);
    for session in there.into_iter().filter(|session| is_meant(session) && is_named(session)) {
        let outcome = match root.session(&session) {
            Ok(Some(dir)) => gc_one(dir, here, what, &mut collected.repaired),
            Ok(None) => continue,
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok(Outcome::Removed) => collected.removed.push(session),
            Ok(Outcome::Kept(because, why)) => {
                if what.mode == GcMode::Remove {
                    pass_by_session(root, &session);
                }
                collected.kept.push(Kept { session, why: why.to_owned(), because });
            }
            // An error with one session must not keep the others.
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

fn gc_one(
    dir: SessionDir,
    here: &Host,
    what: &Collection,
    repaired: &mut Vec<std::path::PathBuf>,
) -> Result<Outcome, Error> {
    let options = GcOptions { repair: what.repair, mode: what.mode };
    let mut collecting = Collecting::new(dir, here, what, repaired);
    let mut collect = Collect::new(options);
    loop {
        let event = match collect.effect() {
            Effect::Done(conclusion) => return collecting.outcome(conclusion),
            effect => collecting.perform(effect).unwrap_or_else(|error| {
                collecting.error.get_or_insert(error);
                Event::Failed
            }),
        };
        collect = step(collect, event);
    }
}

/// The collection of one session, in progress.
struct Collecting<'c> {
    here: &'c Host,
    what: &'c Collection,
    repaired: &'c mut Vec<std::path::PathBuf>,
    path: std::path::PathBuf,
    session: SessionId,
    dir: Option<SessionDir>,
    lock: Option<BareLock>,
    seen: Snapshot,
    leftover: Leftover,
    /// The reason why the last run may still be wanted.
    wanted: &'static str,
    error: Option<Error>,
}

impl<'c> Collecting<'c> {
    fn new(
        dir: SessionDir,
        here: &'c Host,
        what: &'c Collection,
        repaired: &'c mut Vec<std::path::PathBuf>,
    ) -> Self {
        Self {
            here,
            what,
            repaired,
            path: dir.path().to_owned(),
            session: dir.session().clone(),
            dir: Some(dir),
            lock: None,
            seen: Snapshot::nothing(),
            leftover: Leftover::default(),
            wanted: "",
            error: None,
        }
    }

    fn perform(&mut self, effect: Effect) -> Result<Event, Error> {
        if effect == Effect::Lock {
            self.lock = self.dir.take().map(BareLock::try_take).transpose()?.flatten();
            return Ok(yes_or_no(self.lock.is_some()));
        }
        let Some(lock) = &self.lock else { return Ok(Event::Failed) };
        let dir = lock.dir();
        Ok(match effect {
            Effect::Sweep => {
                dir.sweep();
                Event::Did
            }
            Effect::Recognise => yes_or_no(is_a_sessions(dir)?),
            Effect::Repair => yes_or_no(repair(dir, self.here, self.what.mode, self.repaired)?),
            Effect::Judge => Event::Judged(Judgement::from(&judge(read_evidence(dir)?, self.here))),
            Effect::Look => {
                self.seen = match self.what.mode {
                    GcMode::Remove => restore::in_place(dir, self.here)?,
                    GcMode::DryRun => Snapshot::take(dir, self.here)?,
                };
                Event::Looked(self.seen.view_of_record())
            }
            Effect::AskLastRun => match failure(dir, &self.seen)? {
                Some(why) if !is_unwanted(dir, &self.seen, self.what.failed_runs)? => {
                    self.wanted = why;
                    Event::Did
                }
                Some(_) | None => Event::Refused,
            },
            Effect::Foresee => yes_or_no(others_would_stay(dir, &self.seen)?),
            Effect::LookAtSocket => {
                Event::Room(self.leftover.look(dir, self.seen.socket(), self.seen.socket_file()))
            }
            Effect::RemoveSocket => {
                self.leftover.remove();
                Event::Did
            }
            Effect::Remove(file) => {
                remove(dir, file)?;
                Event::Did
            }
            Effect::RemoveDirectory if dir.names()?.is_empty() => {
                dir.remove_self()?;
                Event::Did
            }
            Effect::RemoveDirectory => Event::Refused,
            Effect::Unlock => {
                self.lock = None;
                Event::Did
            }
            Effect::Lock | Effect::Done(_) => Event::Did,
        })
    }

    fn outcome(self, conclusion: Conclusion) -> Result<Outcome, Error> {
        use {Conclusion as C, KeptBecause as Why, Outcome::Kept};
        Ok(match conclusion {
            C::Removed => Outcome::Removed,
            C::AtWork => Kept(Why::Claimed, "a launcher is at work on it"),
            C::Claimed => Kept(Why::Claimed, "its claim is not ours to clear"),
            C::NoSession => Kept(Why::OtherFiles, "it is the directory of no session"),
            C::Repaired => Kept(Why::OtherFiles, "a file of it could not be read, and gets another name"),
            C::RecordNewer => Kept(Why::Newer, "its record was written by a later version"),
            C::Running => Kept(Why::Running, "its worker runs, or may run"),
            C::LastRunWanted => Kept(Why::FailedRun, self.wanted),
            C::OtherFiles => OTHER_FILES,
            C::RecordCorrupt => return Err(self.unreadable()),
            C::Failed => return Err(self.failed()),
        })
    }

    fn unreadable(self) -> Error {
        let unreadable = self.seen.require_readable(&self.path, &self.session).err();
        unreadable.unwrap_or_else(|| self.failed())
    }

    fn failed(self) -> Error {
        self.error.unwrap_or_else(|| OsFailure::new("collect the session", "a step of it failed").into())
    }
}

fn yes_or_no(yes: bool) -> Event {
    if yes { Event::Did } else { Event::Refused }
}

/// Removes the files of one kind.
fn remove(dir: &SessionDir, file: File) -> Result<(), OsFailure> {
    match file {
        File::Claim => dir.claims().force(dir),
        File::Record => dir.records().remove(dir),
        File::Lifeline | File::Logs => names_of(file).iter().try_for_each(|name| dir.remove(*name)),
    }
}

/// The file names of one kind in a session's directory.
fn names_of(file: File) -> &'static [&'static str] {
    match file {
        File::Claim => &[CLAIM_FILE],
        File::Record => &[RECORD_FILE],
        File::Lifeline => &[LIFELINE_FILE],
        File::Logs => &LOGS,
    }
}

/// Any directory may have a name that would be valid for a session. A session's directory holds a claim, a record or a
/// lifeline, or is private and empty because its launcher died early.
fn is_a_sessions(dir: &SessionDir) -> Result<bool, OsFailure> {
    for name in [CLAIM_FILE, RECORD_FILE, LIFELINE_FILE] {
        if dir.inspect(name)?.is_some() {
            return Ok(true);
        }
    }
    let is_private = dir.inspect(".")?.is_some_and(|stat| stat.mode & 0o777 == 0o700);
    // A dry run sweeps nothing. So the files that a sweep would remove count as ours.
    Ok(is_private && dir.names()?.iter().all(|name| name == NOTIFY_FILE || dir.is_swept(name)))
}

/// The reason why the logs of a session's last run may still be wanted.
fn failure(dir: &SessionDir, snapshot: &Snapshot) -> Result<Option<&'static str>, Error> {
    if let Some(record) = &snapshot.record {
        return Ok(record.failure());
    }
    // Without a record, only the logs show that there was a run.
    for log in names::LOGS.into_iter().chain(names::PREVIOUS_LOGS) {
        if dir.inspect(log)?.is_some_and(|stat| stat.len > 0) {
            return Ok(Some("nothing is known of its last run but its logs"));
        }
    }
    Ok(None)
}

/// Whether a failed run is to be removed nevertheless.
fn is_unwanted(dir: &SessionDir, snapshot: &Snapshot, failed_runs: FailedRuns) -> Result<bool, Error> {
    let after = match failed_runs {
        FailedRuns::Keep => return Ok(false),
        FailedRuns::Remove => return Ok(true),
        FailedRuns::RemoveAfter(after) => after,
    };
    let mut last_sign = snapshot.record.as_ref().and_then(|record| Some(record.exited_at?.as_second()));
    if last_sign.is_none() {
        for name in [RECORD_FILE, LIFELINE_FILE].into_iter().chain(LOGS) {
            last_sign = last_sign.max(dir.inspect(name)?.map(|stat| stat.modified_at));
        }
    }
    let age = last_sign.map(|at| clock::now().as_second().saturating_sub(at));
    Ok(age.and_then(|age| u64::try_from(age).ok()).is_some_and(|age| Duration::from_secs(age) >= after))
}

/// Sets unreadable files aside, and returns whether there were any. A file set aside is kept under another name and
/// blocks no start.
fn repair(
    dir: &SessionDir,
    here: &Host,
    mode: GcMode,
    repaired: &mut Vec<std::path::PathBuf>,
) -> Result<bool, OsFailure> {
    let before = repaired.len();
    if read_evidence(dir)?.is_unusable() {
        repaired.push(match mode {
            GcMode::Remove => dir.set_aside(CLAIM_FILE)?,
            GcMode::DryRun => dir.path_of(CLAIM_FILE),
        });
    }
    if Snapshot::take(dir, here)?.corrupt.is_some() {
        repaired.push(match mode {
            GcMode::Remove => dir.records().set_aside(dir)?,
            GcMode::DryRun => dir.path_of(RECORD_FILE),
        });
    }
    Ok(repaired.len() > before)
}

/// Whether files that are not ours would remain.
fn others_would_stay(dir: &SessionDir, snapshot: &Snapshot) -> Result<bool, Error> {
    let socket = snapshot.socket().filter(|socket| socket.parent() == Some(dir.path()));
    let socket = socket.and_then(|socket| socket.file_name());
    let files = [File::Claim, File::Record, File::Lifeline, File::Logs];
    let names = files.into_iter().flat_map(names_of).copied().chain([NOTIFY_FILE]);
    let ours: Vec<&OsStr> = names.map(OsStr::new).collect();
    let goes = |name: &OsString| {
        ours.contains(&name.as_os_str()) || socket == Some(name.as_os_str()) || dir.is_swept(name)
    };
    Ok(dir.names()?.iter().any(|name| !goes(name)))
}

/// The outcome for a directory that is not empty after the removal of our files.
const OTHER_FILES: Outcome = Outcome::Kept(
    KeptBecause::OtherFiles,
    "files that are not ours, or were set aside, are left in its directory",
);
