//! The files of a lifecycle lock: the marker, and beside the marker the lock file whose flock decides.
//!
//! # Invariants
//! 1. The marker is read and put in place whole, through the open directory; a link in the marker's place is refused.
//! 2. The lock file, `<marker>.lock`, is never removed and never written. After locking, the name is checked again,
//!    since another process may have removed the file.
//! 3. Unreadable bytes are set aside before the marker is replaced.
//! 4. A name is bytes, without loss.
//! 5. Where locks do not hold, the marker stays, and the lock file lies *apart*: in the directory of this host that stands
//!    in for a state directory, under a name made from the marker's path with every link resolved.
//!
//! Checked by `smoke/tests/smoke/lifecycle/marker.rs`, `ground/foreign_files.rs`, `ground/places.rs` and
//! `ground/lockless.rs`.

use crate::store::directory::{Directory, Inode};
use crate::store::lock_file::{Guards, LockFile, LockFileError};
use crate::store::state_root::locks;
use crate::store::state_root::stand_in::{StandIns, resolved, suffix};
use crate::store::trust::{Place, Untrusted, judge_file};
use crate::store::way::{self, Way, WayError};
use crate::sys::linux::procfs;
use rekindle_core::claim::home::{self, AskedBy, Home, HostPlace, Locks};
use rekindle_core::identity::UnknownReason;
use rekindle_core::shown::Shown;
use rekindle_core::{Found, Host, LifecyclePayload, OsFailure, ProcessLiveness};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The marker's name in a state directory.
pub const MARKER_NAME: &str = ".locked";

/// The longest marker: ours have a few hundred bytes.
const MARKER_LEN_MAX: u64 = 64 << 10;

/// Why the files of a lifecycle lock cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LifecycleFileError {
    /// The path names no file.
    #[error("`{}` names no file", Shown(path))]
    NotAFileName {
        /// The given path.
        path: PathBuf,
    },
    /// The file system does not keep locks, and no directory of this host can hold the lock file.
    #[error(
        "`{}` is on {kind}, where locks do not hold ({}), and no directory of this host can hold the lock",
        Shown(path), locks.why()
    )]
    NoLocks {
        /// The lock's path.
        path: PathBuf,
        /// The file system.
        kind: String,
        /// The verdict about its locks.
        locks: Locks,
    },
    /// Another user could replace the file, or owns the file.
    #[error("a lifecycle lock cannot be there: {0}")]
    Untrusted(#[from] Untrusted),
    /// A system call failed.
    #[error(transparent)]
    Os(#[from] OsFailure),
}

/// The file under a marker's name.
#[derive(Debug)]
pub struct Marker {
    /// The content.
    pub found: Found<LifecyclePayload>,
    /// The identity of the file, if present.
    pub inode: Option<Inode>,
}

impl Marker {
    /// The liveness of the named holder.
    pub fn standing(&self, here: &Host) -> ProcessLiveness {
        match self.found.payload() {
            Some(payload) => payload.standing(here, procfs::standing(&payload.holder, here)),
            None => ProcessLiveness::Unjudged(UnknownReason::NotPermitted),
        }
    }
}

impl From<LockFileError> for LifecycleFileError {
    fn from(error: LockFileError) -> Self {
        match error {
            LockFileError::Untrusted(fault) => Self::Untrusted(fault),
            LockFileError::Os(failure) => Self::Os(failure),
        }
    }
}

impl From<WayError> for LifecycleFileError {
    fn from(error: WayError) -> Self {
        match error {
            WayError::Untrusted(fault) => Self::Untrusted(fault),
            WayError::Os(failure) => Self::Os(failure),
        }
    }
}

/// The directory of a lifecycle lock, and the name of the marker inside.
#[derive(Debug)]
pub struct MarkerDir {
    dir: Directory,
    name: OsString,
    lock: LockPlace,
}

/// The place of the lock file.
#[derive(Debug)]
enum LockPlace {
    /// Beside the marker.
    Beside,
    /// In a directory of this host, which may not exist yet.
    Apart { dir: PathBuf, name: OsString },
}

/// The beginning and the end of the name of a lock file apart from its marker.
const APART: (&str, &str) = (".lifecycle", ".lock");

/// Whether a name in a state directory is that of a lock file apart from its marker.
pub(crate) fn is_apart_lock(name: &OsStr) -> bool {
    let digits =
        name.to_str().and_then(|name| name.strip_prefix(APART.0)?.strip_suffix(APART.1)?.strip_prefix('-'));
    digits.is_some_and(|digits| digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl LockPlace {
    /// Finds the place for the marker `name` in `parent`.
    fn of(parent: &Path, name: &OsStr) -> Result<Self, LifecycleFileError> {
        let verdict = locks::at(parent, |_| None)?;
        if verdict.locks == Locks::Exclude {
            return Ok(Self::Beside);
        }
        let stand_ins = StandIns::of_user();
        let [runtime, var_tmp] = [HostPlace::Runtime, HostPlace::VarTmp].map(|place| stand_ins.judge(place));
        match home::choose(AskedBy::Default, verdict.locks, runtime, var_tmp) {
            Home::StandIn(place) => {
                let marker = resolved(parent).join(name);
                let name = format!("{}{}{}", APART.0, suffix(&marker), APART.1).into();
                Ok(Self::Apart { dir: stand_ins.path(place).to_owned(), name })
            }
            Home::AsAsked | Home::Refused => Err(LifecycleFileError::NoLocks {
                path: parent.join(name),
                kind: verdict.file_system,
                locks: verdict.locks,
            }),
        }
    }
}

impl MarkerDir {
    /// Opens the directory of the marker at `path`; `None` if missing.
    ///
    /// # Errors
    /// [`LifecycleFileError`] if locks do not hold there, or another user could replace the marker.
    pub fn open(path: &Path) -> Result<Option<Self>, LifecycleFileError> {
        let (parent, name) = parts(path)?;
        let way = way::judge(parent, Place::Marker)?;
        let lock = LockPlace::of(parent, name)?;
        match way {
            Way::Whole(judged) => {
                let dir = Directory::open(parent)?.filter(|dir| dir.is(judged.inode));
                Ok(dir.map(|dir| Self { dir, name: name.to_owned(), lock }))
            }
            Way::Ends(end) => {
                end.require_makeable(Place::Marker)?;
                Ok(None)
            }
        }
    }

    /// Opens the directory of the marker at `path`, creating missing directories, private to their owner.
    ///
    /// # Errors
    /// As for [`Self::open`], or if a directory cannot be created.
    pub fn create(path: &Path) -> Result<Self, LifecycleFileError> {
        if let Some(dir) = Self::open(path)? {
            return Ok(dir);
        }
        let (parent, _) = parts(path)?;
        way::create(parent, Place::Marker)?;
        Self::open(path)?
            .ok_or_else(|| OsFailure::new("open the directory", "it was removed at once").on(parent).into())
    }

    /// Whether the path still leads to this directory.
    ///
    /// # Errors
    /// If the path cannot be inspected.
    pub fn is_still_in_place(&self) -> Result<bool, OsFailure> {
        self.dir.is_still_in_place()
    }

    /// Reads the marker, with or without the lock.
    ///
    /// # Errors
    /// If the file cannot be read, is not a regular file, or belongs to another user.
    pub fn read(&self) -> Result<Marker, LifecycleFileError> {
        let Some(stat) = self.dir.inspect(&self.name)? else {
            return Ok(Marker { found: Found::Nothing, inode: None });
        };
        let path = self.dir.path_of(&self.name);
        judge_file(&path, &stat, Place::Marker)?;
        if stat.len > MARKER_LEN_MAX {
            let why = format!("it is longer than {MARKER_LEN_MAX} bytes");
            return Ok(Marker { found: Found::Corrupt { why }, inode: Some(stat.inode) });
        }
        let content = self.dir.read(&self.name)?;
        Ok(Marker {
            found: Found::read_lifecycle(content.as_ref().map(|content| content.bytes.as_slice())),
            inode: content.map(|content| content.inode),
        })
    }

    /// Puts the marker in place whole. Only for the holder of the lock.
    ///
    /// # Errors
    /// If the marker cannot be written; the old marker, if any, then still exists.
    pub fn write(&self, payload: &LifecyclePayload) -> Result<Inode, OsFailure> {
        let lock_name = lock_name(&self.name);
        self.dir.sweep_those(|unfinished| unfinished == self.name || unfinished == lock_name);
        let mut bytes = serde_json::to_vec(payload).expect("a payload holds nothing that JSON cannot");
        bytes.push(b'\n');
        self.dir.replace(&self.name, &bytes)
    }

    /// Sets the present file aside, and returns the new path. Only for the holder of the lock.
    ///
    /// # Errors
    /// If the file cannot be set aside.
    pub fn keep_aside(&self) -> Result<PathBuf, OsFailure> {
        self.dir.set_aside(&self.name)
    }

    /// Removes the marker. Only for the holder of the lock.
    ///
    /// # Errors
    /// If the marker cannot be removed; a missing marker is no error.
    pub fn remove(&self) -> Result<(), OsFailure> {
        self.dir.remove(&self.name)
    }

    /// Takes the flock that decides; `None` if another process holds the lock. Never waits.
    ///
    /// # Errors
    /// If the lock file cannot be opened or trusted, or the kernel refuses.
    pub fn try_lock(&self) -> Result<Option<LockFile>, LifecycleFileError> {
        let LockPlace::Apart { dir, name } = &self.lock else {
            return Ok(LockFile::try_take(&self.dir, &lock_name(&self.name), Guards::Marker)?);
        };
        way::create(dir, Place::State)?;
        let dir = Directory::open(dir)?
            .ok_or_else(|| OsFailure::new("open the directory", "it was removed at once").on(dir))?;
        Ok(LockFile::try_take(&dir, name, Guards::Marker)?)
    }

    /// Whether any process holds the flock. For display only: the answer is outdated after the call.
    ///
    /// # Errors
    /// As for [`Self::try_lock`].
    pub fn is_locked(&self) -> Result<bool, LifecycleFileError> {
        match &self.lock {
            LockPlace::Beside => Ok(LockFile::is_taken(&self.dir, &lock_name(&self.name), Guards::Marker)?),
            LockPlace::Apart { dir, name } => match Directory::open(dir)? {
                Some(dir) => Ok(LockFile::is_taken(&dir, name, Guards::Marker)?),
                None => Ok(false),
            },
        }
    }
}

/// The directory and the name of a marker.
fn parts(path: &Path) -> Result<(&Path, &OsStr), LifecycleFileError> {
    let parts = path.parent().zip(path.file_name());
    parts.ok_or_else(|| LifecycleFileError::NotAFileName { path: path.to_owned() })
}

/// The name of the lock file of a marker.
pub(crate) fn lock_name(marker: &OsStr) -> OsString {
    let mut name = marker.to_owned();
    name.push(".lock");
    name
}
