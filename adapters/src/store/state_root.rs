//! The state directory: its place, and whether it can be trusted with locks.
//!
//! # Invariants
//! 1. A file system whose flock may hang, or is not shared between machines, is refused before any lock; in place of the
//!    default directory there, a directory of this host stands in ([`rekindle_core::claim::home`]).
//! 2. A state directory is refused if it is a link, belongs to another user, or can be written by others; and so is a
//!    directory on the way.
//! 3. Looking creates and changes nothing; only [`StateRoot::create`] does.
//! 4. A start mends a mode that lets others look inside, if the directory holds only files of our kinds; the same
//!    applies to a session's directory, which is created 0700 under any umask.
//!
//! Checked by `smoke/tests/smoke/ground/places.rs`, `ground/lockless.rs` and `session/refusals.rs`.

pub(in crate::store) mod locks;
mod note;
pub(in crate::store) mod stand_in;

pub mod project;

use crate::store::claim_file::FileClaims;
use crate::store::directory::Directory;
use crate::store::lifecycle::{MARKER_NAME, is_apart_lock, lock_name};
use crate::store::lifeline::{self, LIFELINE_FILE};
use crate::store::record_file::{FileRecords, RECORD_FILE};
use crate::store::session_dir::SessionDir;
use crate::store::session_dir::Stores;
use crate::store::trust::{Place, Untrusted, require_ours_alone};
use crate::store::way::{self, Way, WayError};
use crate::sys::linux::failure::{During, Errno};
use crate::sys::linux::fs::{
    FileKind, FileStatus, Links, PRIVATE_DIRECTORY, chmod_at, fchmod, names_in, open_directory,
    open_directory_at, pin_directory, stat_at,
};
use crate::sys::linux::user;
use locks::Verdict;
use note::{NOTE_FILE, Note, Placed};
use rekindle_core::claim::home::{self, AskedBy, HostPlace, Locks};
use rekindle_core::shown::Shown;
use rekindle_core::stores::{ClaimStore, RecordStore};
use rekindle_core::{OsFailure, Pid, SessionId};
use stand_in::StandIns;
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
    #[error("state directory `{}` is on {kind}, where locks do not hold: {}", Shown(path), locks.why())]
    NoLocks {
        /// The directory.
        path: PathBuf,
        /// The file system.
        kind: String,
        /// The verdict about its locks.
        locks: Locks,
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
    origin: Arc<Origin>,
    /// The note to put in place at the first start.
    note: Option<Arc<Note>>,
}

/// Why a directory is the state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The caller named the directory.
    Named,
    /// The directory is the user's default.
    Default,
    /// The directory stands in for the user's default, whose locks do not hold.
    StandIn(StandsIn),
}

/// The directory that a state directory stands in for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandsIn {
    /// The default state directory.
    pub instead_of: PathBuf,
    /// The file system of the default state directory.
    pub file_system: String,
    /// The verdict about its locks.
    pub locks: Locks,
}

/// Another directory of the same home, with a session that may run there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// The state directory of the session.
    At(PathBuf),
    /// The files are hidden: another file system was mounted over their place. A process keeps the lifeline.
    Hidden(Pid),
}

impl StateRoot {
    /// The directory named by `REKINDLE_DIR`, `XDG_STATE_HOME`, `HOME` or the passwd entry, in this order.
    ///
    /// # Errors
    /// If none of them names a directory, or a path is relative.
    pub fn locate() -> Result<PathBuf, StateRootError> {
        Self::located().map(|(path, _)| path)
    }

    fn located() -> Result<(PathBuf, AskedBy), StateRootError> {
        if let Some(path) = set("REKINDLE_DIR") {
            let path = std::path::absolute(&path).doing("read the current directory")?;
            return Ok((path, AskedBy::Name));
        }
        Self::users_own().map(|path| (path, AskedBy::Default))
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
        Self::open_as(path.into(), Origin::Named)
    }

    /// Takes the directory of [`Self::locate`] as the state directory, or a directory of this host that stands in for a
    /// default directory without locks.
    ///
    /// # Errors
    /// As for [`Self::locate`] and [`Self::open`]; if no directory of this host can stand in either.
    pub fn open_default() -> Result<Self, StateRootError> {
        let (path, asked) = Self::located()?;
        match asked {
            AskedBy::Name => Self::open_as(path, Origin::Named),
            AskedBy::Default => match Self::open_as(path.clone(), Origin::Default) {
                Err(StateRootError::NoLocks { path, kind, locks }) => Self::stand_in(path, kind, locks),
                opened => opened,
            },
        }
    }

    /// The user's own directory, or the directory of this host that stands in for it. A directory that cannot be used for
    /// another reason is told by whoever opens it.
    pub(in crate::store) fn users_place() -> Result<PathBuf, StateRootError> {
        let path = Self::users_own()?;
        match Self::open_as(path.clone(), Origin::Default) {
            Err(StateRootError::NoLocks { path, kind, locks }) => {
                Self::stand_in(path, kind, locks).map(|root| root.path)
            }
            Ok(_) | Err(_) => Ok(path),
        }
    }

    /// Opens the directory that stands in for the default directory `path`.
    fn stand_in(path: PathBuf, kind: String, locks: Locks) -> Result<Self, StateRootError> {
        let stand_ins = StandIns::of(&path);
        let candidates = [HostPlace::Runtime, HostPlace::VarTmp].map(|place| stand_ins.judge(place));
        let [runtime, var_tmp] = candidates;
        match home::choose(AskedBy::Default, locks, runtime, var_tmp) {
            home::Home::StandIn(place) => {
                let dir = stand_ins.path(place).to_owned();
                tracing::info!(dir = %Shown(&dir), instead_of = %Shown(&path), kind, why = locks.why(), "took a state directory of this host");
                let mount = locks::at(&path, |_| Some(locks)).ok().and_then(|verdict| verdict.mount);
                let note = Note::new(Some(&path), &kind, locks, mount);
                let stands_in = StandsIn { instead_of: path, file_system: kind, locks };
                let root = Self::open_as(dir, Origin::StandIn(stands_in))?;
                Ok(Self { note: Some(Arc::new(note)), ..root })
            }
            home::Home::AsAsked | home::Home::Refused => Err(StateRootError::NoLocks { path, kind, locks }),
        }
    }

    fn open_as(path: PathBuf, origin: Origin) -> Result<Self, StateRootError> {
        if !path.is_absolute() {
            return Err(StateRootError::Relative { path });
        }
        let mut root = Self::at(path);
        root.origin = Arc::new(origin);
        match way::judge(&root.path, Place::State).map_err(|error| root.unusable(error))? {
            Way::Whole(_) => {}
            Way::Ends(end) => {
                end.require_makeable(Place::State).map_err(|fault| root.unusable(fault.into()))?;
            }
        }
        root.judge_locks()?;
        Ok(root)
    }

    /// Refuses a file system without locks.
    fn judge_locks(&mut self) -> Result<(), StateRootError> {
        let Verdict { locks, file_system, mount } = locks::at(&self.path, |mount| {
            let stand_ins = (*self.origin == Origin::Default).then(|| StandIns::of(&self.path));
            let beside = stand_ins.iter().flat_map(StandIns::paths).filter_map(Note::read);
            let beside = beside.filter(|note| note.instead_of.as_ref() == Some(&self.path));
            let own = Note::read(&self.path).filter(|note| note.instead_of.is_none());
            own.into_iter().chain(beside).find_map(|note| note.verdict_on(mount))
        })?;
        if locks != Locks::Exclude {
            return Err(StateRootError::NoLocks { path: self.path.clone(), kind: file_system, locks });
        }
        // A local file system needs no note.
        self.note = mount.map(|mount| Arc::new(Note::new(None, &file_system, locks, Some(mount))));
        Ok(())
    }

    /// Why this is the state directory.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The other directories of the same home that hold sessions, for a report.
    pub fn beside(&self) -> Vec<(PathBuf, Vec<SessionId>)> {
        let others = self.others().into_iter().filter_map(|other| {
            let sessions = Self::at(other.clone()).sessions().ok().filter(|sessions| !sessions.is_empty())?;
            Some((other, sessions))
        });
        others.collect()
    }

    /// The other directories of the same home that exist and are ours.
    fn others(&self) -> Vec<PathBuf> {
        let default = match &*self.origin {
            Origin::Named => return Vec::new(),
            Origin::Default => &self.path,
            Origin::StandIn(stands_in) => &stands_in.instead_of,
        };
        let resolved = stand_in::resolved(default);
        let places = StandIns::all_for(&resolved);
        let others = places.iter().flat_map(StandIns::paths).filter(|other| *other != self.path);
        // Another user's directory holds no session of ours.
        let is_ours =
            |other: &&Path| other.symlink_metadata().is_ok() && way::judge(other, Place::State).is_ok();
        // A stand-in of another home says so.
        let is_of_this_home = |other: &&Path| {
            let named = Note::read(other).and_then(|note| note.instead_of);
            named.is_none_or(|named| stand_in::resolved(&named) == resolved)
        };
        others.filter(is_ours).filter(is_of_this_home).map(ToOwned::to_owned).collect()
    }

    /// Another directory of the same home where `session` may run: of a home whose locks held at one time and not at
    /// another, or of a shell with another runtime directory. Asked before a start.
    ///
    /// # Errors
    /// If the other directory cannot be looked into.
    pub fn elsewhere(&self, session: &SessionId) -> Result<Option<Elsewhere>, OsFailure> {
        for other in self.others() {
            let dir = Self::at(other.clone()).session(session)?;
            if dir.is_some_and(|dir| home::forbids_start(lifeline::ask(&dir))) {
                return Ok(Some(Elsewhere::At(other)));
            }
        }
        match &*self.origin {
            Origin::StandIn(stands_in) => {
                Ok(lifeline::hidden(&stands_in.instead_of, session)?.map(Elsewhere::Hidden))
            }
            Origin::Named | Origin::Default => Ok(None),
        }
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
        let stores = Stores { claims: Arc::new(FileClaims), records: Arc::new(FileRecords) };
        Self { path, stores, origin: Arc::new(Origin::Named), note: None }
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
        self.place_note(&root)?;
        Ok(Some(root))
    }

    /// Puts the note in place, and tells once that a directory stands in.
    fn place_note(&self, root: &OwnedFd) -> Result<(), StateRootError> {
        let Some(note) = &self.note else { return Ok(()) };
        let fd = root.try_clone().during("open the state directory", &self.path)?;
        let placed = note.place(&Directory::new(fd, self.path.clone()))?;
        if let (Placed::First, Origin::StandIn(stands_in)) = (placed, &*self.origin) {
            tracing::warn!("{}", stands_in.told(&self.path));
        }
        Ok(())
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

impl StandsIn {
    /// The facts in a sentence, for the directory that stands in.
    pub fn told(&self, dir: &Path) -> String {
        format!(
            "the sessions of this host are kept in `{}`, since `{}` is on {}, where locks do not hold: {}",
            Shown(dir),
            Shown(&self.instead_of),
            self.file_system,
            self.locks.why()
        )
    }
}

/// Whether a state directory holds only sessions of ours and the default lifecycle marker: then the whole directory is
/// ours.
fn holds_only_ours(root: BorrowedFd<'_>) -> Result<bool, Errno> {
    let marker = OsStr::new(MARKER_NAME);
    let is_marker = |name: &OsStr| {
        let is_named = name == marker
            || name == lock_name(marker)
            || name == PROJECT_NOTE
            || name == NOTE_FILE
            || is_apart_lock(name);
        is_named && is_ours(root, Path::new(name), FileKind::File)
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
