//! The state directory: its place, and whether it can be trusted with locks.
//!
//! # Invariants
//! 1. A file system whose flock may hang, or is not shared between machines, is refused before any lock.
//! 2. A state directory is refused if it is a link, belongs to another user, or can be written by others; and so is a
//!    directory on the way.
//! 3. Looking creates and changes nothing; only [`StateRoot::create`] does.
//! 4. A start mends a mode that lets others look inside, if the directory holds only files of our kinds; the same
//!    applies to a session's directory, which is created 0700 under any umask.
//!
//! Checked by `smoke/tests/smoke/ground/places.rs` and `session/refusals.rs`.

pub mod project;

use crate::store::claim_file::FileClaims;
use crate::store::lifecycle::{MARKER_NAME, lock_name};
use crate::store::lifeline::LIFELINE_FILE;
use crate::store::record_file::{FileRecords, RECORD_FILE};
use crate::store::session_dir::SessionDir;
use crate::store::session_dir::Stores;
use crate::store::trust::{Place, Untrusted, require_ours_alone};
use crate::store::way::{self, Way, WayError};
use crate::sys::linux::failure::{During, Errno};
use crate::sys::linux::fs::kinds::kind_without_locks;
use crate::sys::linux::fs::{
    FileKind, FileStatus, Links, PRIVATE_DIRECTORY, chmod_at, fchmod, names_in, open_directory,
    open_directory_at, pin_directory, stat_at,
};
use crate::sys::linux::user;
use rekindle_core::shown::Shown;
use rekindle_core::stores::{ClaimStore, RecordStore};
use rekindle_core::{OsFailure, SessionId};
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How often a directory may be removed between its creation and its opening: a collection does so now and then, but
/// not all the time.
const REMOVED_MAX: u32 = 1_000;

/// The file that names the project of a state directory. No session has such a name.
pub const PROJECT_NOTE: &str = ".project";

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateRootError {
    /// No variable and no passwd entry names a place.
    #[error("no state directory can be found: HOME is not set and user {uid} has no home directory")]
    Nowhere {
        /// The user without a home.
        uid: u32,
    },
    /// The path is relative; only an absolute path means the same to every process.
    #[error("state directory `{}` is not absolute", Shown(path))]
    Relative {
        /// The given path.
        path: PathBuf,
    },
    /// The file system does not keep locks.
    #[error("state directory `{}` is on {kind}, where locks do not hold", Shown(path))]
    NoLocks {
        /// The directory.
        path: PathBuf,
        /// The file system.
        kind: String,
    },
    /// The state directory is not trusted.
    #[error("state directory `{}` is not to be trusted: {fault}", Shown(path))]
    Untrusted {
        /// The state directory.
        path: PathBuf,
        /// The untrusted directory of the way, with the reason.
        fault: Untrusted,
    },
    /// The state directory belongs to another project.
    #[error("state directory `{}` belongs to the project of `{}`", Shown(path), Shown(file))]
    OfOtherProject {
        /// The directory.
        path: PathBuf,
        /// The project file in the directory's note.
        file: PathBuf,
    },
    /// The note about the project of the state directory cannot be read.
    #[error("the note `{}` about the project of the state directory is corrupt: {why}", Shown(path))]
    NoteCorrupt {
        /// The note.
        path: PathBuf,
        /// The fault of the note.
        why: String,
    },
    /// A system call failed.
    #[error(transparent)]
    Os(#[from] OsFailure),
}

/// A state directory, which may not exist yet.
#[derive(Debug, Clone)]
pub struct StateRoot {
    path: PathBuf,
    stores: Stores,
}

impl StateRoot {
    /// The directory named by `REKINDLE_DIR`, `XDG_STATE_HOME`, `HOME` or the passwd entry, in this order.
    ///
    /// # Errors
    /// If none of them names a directory, or a path is relative.
    pub fn locate() -> Result<PathBuf, StateRootError> {
        if let Some(path) = set("REKINDLE_DIR") {
            return std::path::absolute(&path).doing("read the current directory").map_err(Into::into);
        }
        Self::users_own()
    }

    /// The directory without `REKINDLE_DIR`: named by `XDG_STATE_HOME`, `HOME` or the passwd entry, in this order.
    ///
    /// # Errors
    /// If none of them names a directory.
    pub fn users_own() -> Result<PathBuf, StateRootError> {
        // By the XDG specification, a relative path is invalid and ignored.
        if let Some(path) = set("XDG_STATE_HOME").filter(|path| path.is_absolute()) {
            return Ok(path.join("rekindle"));
        }
        let home = set("HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| user::home().filter(|home| home.is_absolute()));
        home.map(|home| home.join(".local/state/rekindle"))
            .ok_or(StateRootError::Nowhere { uid: user::our_uid() })
    }

    /// Takes `path` as the state directory, which may not exist yet.
    ///
    /// # Errors
    /// If the directory exists and cannot be used, or its file system does not keep locks.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, StateRootError> {
        let path = path.into();
        if !path.is_absolute() {
            return Err(StateRootError::Relative { path });
        }
        let root = Self::at(path);
        match way::judge(&root.path, Place::State).map_err(|error| root.unusable(error))? {
            Way::Whole(_) => {}
            Way::Ends(end) => {
                end.require_makeable(Place::State).map_err(|fault| root.unusable(fault.into()))?;
            }
        }
        refuse_network(&root.path)?;
        Ok(root)
    }

    fn unusable(&self, error: WayError) -> StateRootError {
        match error {
            WayError::Untrusted(fault) => StateRootError::Untrusted { path: self.path.clone(), fault },
            WayError::Os(failure) => failure.into(),
        }
    }

    /// A directory that does not exist: for simulations, which keep no files.
    pub fn nowhere() -> Self {
        Self::at(PathBuf::from("/nonexistent/rekindle"))
    }

    fn at(path: PathBuf) -> Self {
        Self { path, stores: Stores { claims: Arc::new(FileClaims), records: Arc::new(FileRecords) } }
    }

    /// The same directory, with another store of claims.
    #[must_use]
    pub fn claims(mut self, claims: Arc<dyn ClaimStore<SessionDir>>) -> Self {
        self.stores.claims = claims;
        self
    }

    /// The same directory, with another store of records.
    #[must_use]
    pub fn records(mut self, records: Arc<dyn RecordStore<SessionDir>>) -> Self {
        self.stores.records = records;
        self
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates missing directories, private to their owner; removes other users' permissions from a present state
    /// directory, if it holds only files of our kinds.
    ///
    /// # Errors
    /// If the directory cannot be created, or is not trusted any more.
    pub fn create(&self) -> Result<(), StateRootError> {
        self.created().map(drop)
    }

    fn created(&self) -> Result<Option<OwnedFd>, StateRootError> {
        match way::create(&self.path, Place::State) {
            Err(WayError::Os(failure)) if failure.raw_errno() == Some(Errno::ENOENT as i32) => {
                return Ok(None);
            }
            created => created.map_err(|error| self.unusable(error))?,
        }
        let root = match open_directory(&self.path, Links::Refused) {
            Ok(root) => root,
            Err(Errno::ENOENT) => return Ok(None),
            Err(error) => return Err(error).during("open the state directory", &self.path)?,
        };
        let stat = self.judge_opened(&root)?;
        if stat.mode & 0o077 != 0
            && holds_only_ours(root.as_fd()).during("list the state directory", &self.path)?
        {
            fchmod(&root, PRIVATE_DIRECTORY).during("set the mode of the state directory", &self.path)?;
        }
        Ok(Some(root))
    }

    /// Opens the directory of `session`; `None` if missing.
    ///
    /// # Errors
    /// If the directory cannot be opened or trusted.
    pub fn session(&self, session: &SessionId) -> Result<Option<SessionDir>, OsFailure> {
        match self.opened()? {
            Some(root) => root.session(session),
            None => Ok(None),
        }
    }

    /// Opens the state directory, to look at several sessions; `None` if missing.
    ///
    /// # Errors
    /// If the directory cannot be opened.
    pub fn opened(&self) -> Result<Option<OpenRoot<'_>>, OsFailure> {
        // The descriptor is used for looking up names only.
        match pin_directory(&self.path, Links::Refused) {
            Ok(fd) => {
                self.judge_opened(&fd)?;
                Ok(Some(OpenRoot { fd, root: self }))
            }
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error).during("open the state directory", &self.path),
        }
    }

    /// The directory may have been made by another user since its way was judged.
    fn judge_opened(&self, root: &OwnedFd) -> Result<FileStatus, OsFailure> {
        require_ours_alone(root, &self.path, "state directory")
    }

    /// Opens the directory of `session`, creating the directory if missing.
    ///
    /// # Errors
    /// If the directory cannot be created, opened or trusted.
    pub fn create_session(&self, session: &SessionId) -> Result<SessionDir, StateRootError> {
        for _ in 0..REMOVED_MAX {
            let Some(root) = self.created()? else { continue };
            if !SessionDir::make(root.as_fd(), &self.path, session)? {
                continue;
            }
            self.mend(root.as_fd(), session)?;
            if let Some(dir) = SessionDir::open(root.as_fd(), &self.path, session, &self.stores)? {
                return Ok(dir);
            }
        }
        let path = self.path.join(session.as_str());
        Err(OsFailure::new("open the session directory", "it is removed again and again").on(path))?
    }

    /// Removes other users' permissions from a present session directory of ours. Only for callers that may start a
    /// worker, since a look changes nothing.
    ///
    /// # Errors
    /// If the mode cannot be set.
    pub fn mend_session(&self, session: &SessionId) -> Result<(), OsFailure> {
        match self.opened()? {
            Some(root) => self.mend(root.fd.as_fd(), session),
            None => Ok(()),
        }
    }

    /// A umask may have removed permissions that we need, and another program may have given permissions to others.
    /// Other users cannot write to the state directory, so the name keeps its meaning meanwhile.
    fn mend(&self, root: BorrowedFd<'_>, session: &SessionId) -> Result<(), OsFailure> {
        let name = Path::new(session.as_str());
        let path = self.path.join(name);
        let stat = match stat_at(root, name) {
            Ok(stat) => stat,
            Err(Errno::ENOENT) => return Ok(()),
            Err(error) => return Err(error).during("inspect the session directory", &path),
        };
        if !is_ours(root, name, FileKind::Directory) || stat.mode & 0o777 == PRIVATE_DIRECTORY {
            return Ok(());
        }
        // A directory unreadable even for us is the result of a umask.
        let holds_anything = || names(root, name).is_ok_and(|names| !names.is_empty());
        if !holds_a_session(root, name) && holds_anything() {
            return Ok(());
        }
        chmod_at(root, name, PRIVATE_DIRECTORY).during("set the mode of the session directory", &path)
    }

    /// Every session with a directory, in order.
    ///
    /// # Errors
    /// If the state directory cannot be listed; a missing state directory is no error.
    pub fn sessions(&self) -> Result<Vec<SessionId>, OsFailure> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).during("list the state directory", &self.path),
        };
        let mut sessions: Vec<SessionId> = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        sessions.sort();
        Ok(sessions)
    }
}

/// An open state directory: always the same directory, even if the path leads elsewhere later.
#[derive(Debug)]
pub struct OpenRoot<'r> {
    fd: OwnedFd,
    root: &'r StateRoot,
}

impl OpenRoot<'_> {
    /// Opens the directory of `session`; `None` if missing.
    ///
    /// # Errors
    /// If the directory cannot be opened or trusted.
    pub fn session(&self, session: &SessionId) -> Result<Option<SessionDir>, OsFailure> {
        SessionDir::open(self.fd.as_fd(), &self.root.path, session, &self.root.stores)
    }
}

/// A variable that is set and not empty.
fn set(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from)
}

fn refuse_network(path: &Path) -> Result<(), StateRootError> {
    match kind_without_locks(path)? {
        Some(kind) => Err(StateRootError::NoLocks { path: path.to_owned(), kind: kind.to_owned() }),
        None => Ok(()),
    }
}

/// Whether a state directory holds only sessions of ours and the default lifecycle marker: then the whole directory is
/// ours.
fn holds_only_ours(root: BorrowedFd<'_>) -> Result<bool, Errno> {
    let marker = OsStr::new(MARKER_NAME);
    let is_marker = |name: &OsStr| {
        (name == marker || name == lock_name(marker) || name == PROJECT_NOTE)
            && is_ours(root, Path::new(name), FileKind::File)
    };
    let is_session = |name: &OsStr| {
        name.to_str().is_some_and(|name| name.parse::<SessionId>().is_ok())
            && is_ours(root, Path::new(name), FileKind::Directory)
            && holds_a_session(root, Path::new(name))
    };
    Ok(names(root, Path::new("."))?.iter().all(|name| is_marker(name) || is_session(name)))
}

/// Any directory may have a session's name; only a session's directory holds such a file.
fn holds_a_session(root: BorrowedFd<'_>, name: &Path) -> bool {
    [LIFELINE_FILE, RECORD_FILE].iter().any(|file| is_ours(root, &name.join(file), FileKind::File))
}

fn is_ours(root: BorrowedFd<'_>, path: &Path, kind: FileKind) -> bool {
    stat_at(root, path).is_ok_and(|stat| stat.kind == kind && stat.is_ours())
}

fn names(root: BorrowedFd<'_>, dir: &Path) -> Result<Vec<OsString>, Errno> {
    Ok(names_in(open_directory_at(root, dir)?).unwrap_or_default())
}
