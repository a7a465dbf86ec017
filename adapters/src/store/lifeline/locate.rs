//! A session's lifeline: put in place, opened by name, or found in the process that still holds the lock.

use super::probe::{LIFELINE_FILE, LifelineProbe};
use super::search::{Searched, search};
use crate::store::session_dir::SessionDir;
use crate::sys::linux::failure::{During, Errno};
use crate::sys::linux::process::clone::LIFELINE_FD;
use rekindle_core::{Lifeline, OsFailure, SessionId};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Puts a fresh, empty lifeline in place. Only under the claim, once the last worker is provably gone.
///
/// # Errors
/// If the file cannot be put in place; the old file then still exists.
pub fn renew(dir: &SessionDir) -> Result<LifelineProbe, OsFailure> {
    let inode = dir.replace(LIFELINE_FILE, b"")?;
    match open(dir)? {
        Some(probe) if probe.inode() == inode => Ok(probe),
        Some(_) | None => {
            Err(OsFailure::new("renew", "it was replaced at once").on(dir.path_of(LIFELINE_FILE)))
        }
    }
}

/// Opens the lifeline by name; `None` if missing.
///
/// # Errors
/// If the file cannot be opened.
pub fn open(dir: &SessionDir) -> Result<Option<LifelineProbe>, OsFailure> {
    match dir.open_file(LIFELINE_FILE) {
        Ok(fd) => LifelineProbe::of(fd).during("inspect", &dir.path_of(LIFELINE_FILE)).map(Some),
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error).during("open", &dir.path_of(LIFELINE_FILE)),
    }
}

/// The place of a session's lifeline.
#[derive(Debug)]
pub enum Located {
    /// The file has its name.
    Named(LifelineProbe),
    /// The file was removed or moved; the worker still holds the lock.
    Lost(LifelineProbe),
    /// No file, and no process keeps a lifeline.
    Nowhere,
    /// No file, and some processes could not be searched.
    Unsearched {
        /// The failure of the search.
        why: OsFailure,
    },
}

/// Opens a session's lifeline. If the session's files were removed or moved under a living worker, the lifeline is
/// still open in the worker, and is found there, as far as `/proc` allows.
///
/// # Errors
/// If the file exists and cannot be opened.
pub fn locate(dir: &SessionDir) -> Result<Located, OsFailure> {
    match open(dir)? {
        Some(probe) => Ok(Located::Named(probe)),
        None => Ok(find(dir.root_path(), dir.session())),
    }
}

/// Searches for the lifeline of a session whose file was removed or moved.
pub fn find(root: &Path, session: &SessionId) -> Located {
    let Searched { mut found, gap } = search(root, Some(session));
    // A leftover of an earlier start keeps a lifeline too.
    found.sort_by_key(|lost| lost.mark.generation);
    match (found.pop(), gap) {
        (Some(lost), _) => Located::Lost(lost.probe),
        (None, Some(why)) => Located::Unsearched { why },
        (None, None) => Located::Nowhere,
    }
}

/// Whether this process was started by rekindle for `socket`, and holds the start's lifeline.
pub fn guards_this_process(socket: &Path) -> bool {
    let told = |name| std::env::var_os(name);
    let named = told("REKINDLE_SOCKET").is_some_and(|named| Path::new(&named) == socket);
    let link = format!("/proc/self/fd/{LIFELINE_FD}");
    // The type is checked first: another kind of file under this number might block a read.
    let is_lifeline = fs::read_link(&link)
        .is_ok_and(|target| target.to_string_lossy().contains(LIFELINE_FILE))
        && fs::metadata(&link).is_ok_and(|found| found.is_file());
    let (true, true, Ok(file)) = (named, is_lifeline, File::open(&link)) else { return false };
    let fd = OwnedFd::from(file);
    let Ok(probe) = LifelineProbe::of(fd) else { return false };
    let nonce = probe.mark().ok().flatten().and_then(|mark| mark.nonce);
    let is_ours = nonce.zip(told("REKINDLE_NONCE")).is_some_and(|(ours, told)| told == ours.as_str());
    is_ours && probe.ask() == Lifeline::Held
}

/// The state of a session's lifeline.
pub fn ask(dir: &SessionDir) -> Lifeline {
    match locate(dir) {
        Ok(Located::Named(probe) | Located::Lost(probe)) => probe.ask(),
        Ok(Located::Nowhere) => Lifeline::Missing,
        Ok(Located::Unsearched { .. }) | Err(_) => Lifeline::Unreadable,
    }
}
