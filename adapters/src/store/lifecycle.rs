//! The files of a lifecycle lock: the marker, and beside it the file whose flock decides.
//!
//! # Invariants
//! 1. The marker is read and put in place whole, through the open directory; a link in its place is refused.
//! 2. The lock file, `<marker>.lock`, is never removed and never written; who has its flock is asked again after it was
//!    taken, since somebody else may have removed the file.
//! 3. Bytes that nobody can read are kept under a name of their own before the marker is replaced.
//! 4. A name is bytes; nothing of it is lost.
//!
//! Checked by `smoke/tests/smoke/lifecycle/marker.rs`, `ground/foreign_files.rs` and `ground/places.rs`.

use crate::store::directory::{Directory, Inode};
use crate::store::lock_file::{Guards, LockFile, LockFileError};
use crate::store::trust::{Place, Untrusted, judge_file};
use crate::store::way::{self, Way, WayError};
use crate::sys::linux::fs::kinds::kind_without_locks;
use crate::sys::linux::procfs;
use rekindle_core::identity::UnknownReason;
use rekindle_core::shown::Shown;
use rekindle_core::{Found, Host, LifecyclePayload, OsFailure, ProcessLiveness};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The marker's name in a state directory.
pub const MARKER_NAME: &str = ".locked";

/// A marker longer than this is none: ours have a few hundred bytes.
const MARKER_LEN_MAX: u64 = 64 << 10;

/// Why the files of a lifecycle lock cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LifecycleFileError {
    /// It names no file.
    #[error("`{}` names no file", Shown(path))]
    NotAFileName {
        /// What was given.
        path: PathBuf,
    },
    /// Its file system does not keep locks.
    #[error("`{}` is on {kind}, where locks do not hold", Shown(path))]
    NoLocks {
        /// The lock's path.
        path: PathBuf,
        /// The file system.
        kind: &'static str,
    },
    /// Somebody else could replace it, or it is not ours.
    #[error("a lifecycle lock cannot be there: {0}")]
    Untrusted(#[from] Untrusted),
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsFailure),
}

/// What stands under a marker's name.
#[derive(Debug)]
pub struct Marker {
    /// What it says.
    pub found: Found<LifecyclePayload>,
    /// Which file it is, where there is one.
    pub inode: Option<Inode>,
}

impl Marker {
    /// What is known of the holder that it names.
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

/// The directory of a lifecycle lock, and the name of its marker in it.
#[derive(Debug)]
pub struct MarkerDir {
    dir: Directory,
    name: OsString,
}

impl MarkerDir {
    /// Opens the directory of the marker at `path`; `None` if there is no such directory.
    ///
    /// # Errors
    /// [`LifecycleFileError`] if locks do not hold there, or somebody else could replace the marker.
    pub fn open(path: &Path) -> Result<Option<Self>, LifecycleFileError> {
        let (parent, name) = parts(path)?;
        let way = way::judge(parent, Place::Marker)?;
        if let Some(kind) = kind_without_locks(parent)? {
            return Err(LifecycleFileError::NoLocks { path: path.to_owned(), kind });
        }
        match way {
            Way::Whole(judged) => {
                let dir = Directory::open(parent)?.filter(|dir| dir.is(judged.inode));
                Ok(dir.map(|dir| Self { dir, name: name.to_owned() }))
            }
            Way::Ends(end) => {
                end.require_makeable(Place::Marker)?;
                Ok(None)
            }
        }
    }

    /// Opens the directory of the marker at `path`, creating what is missing of it, private to its owner.
    ///
    /// # Errors
    /// As for [`Self::open`], or if it cannot be created.
    pub fn create(path: &Path) -> Result<Self, LifecycleFileError> {
        if let Some(dir) = Self::open(path)? {
            return Ok(dir);
        }
        let (parent, _) = parts(path)?;
        way::create(parent, Place::Marker)?;
        Self::open(path)?
            .ok_or_else(|| OsFailure::new("open the directory", "it was removed at once").on(parent).into())
    }

    /// Whether its path still leads to it.
    ///
    /// # Errors
    /// If that cannot be told.
    pub fn is_still_in_place(&self) -> Result<bool, OsFailure> {
        self.dir.is_still_in_place()
    }

    /// Reads the marker, whoever holds the lock.
    ///
    /// # Errors
    /// If something is there that cannot be read, is no regular file, or belongs to somebody else.
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

    /// Puts the marker in place whole. Only for whoever has the lock.
    ///
    /// # Errors
    /// If it cannot be written; the old one, if there was one, then still stands.
    pub fn write(&self, payload: &LifecyclePayload) -> Result<Inode, OsFailure> {
        let lock_name = lock_name(&self.name);
        self.dir.sweep_those(|unfinished| unfinished == self.name || unfinished == lock_name);
        let mut bytes = serde_json::to_vec(payload).expect("a payload holds nothing that JSON cannot");
        bytes.push(b'\n');
        self.dir.replace(&self.name, &bytes)
    }

    /// Sets what stands there aside, and says where it is. Only for whoever has the lock.
    ///
    /// # Errors
    /// If it cannot be set aside.
    pub fn keep_aside(&self) -> Result<PathBuf, OsFailure> {
        self.dir.set_aside(&self.name)
    }

    /// Removes the marker. Only for whoever has the lock.
    ///
    /// # Errors
    /// If it cannot be removed; that there is none is no error.
    pub fn remove(&self) -> Result<(), OsFailure> {
        self.dir.remove(&self.name)
    }

    /// Takes the flock that decides; `None` if somebody has it. Never waits.
    ///
    /// # Errors
    /// If the lock file cannot be opened or trusted, or the kernel refuses.
    pub fn try_lock(&self) -> Result<Option<LockFile>, LifecycleFileError> {
        Ok(LockFile::try_take(&self.dir, &lock_name(&self.name), Guards::Marker)?)
    }

    /// Whether anybody has the flock. For showing only: it is known for no longer than this call.
    ///
    /// # Errors
    /// As for [`Self::try_lock`].
    pub fn is_locked(&self) -> Result<bool, LifecycleFileError> {
        Ok(LockFile::is_taken(&self.dir, &lock_name(&self.name), Guards::Marker)?)
    }
}

/// The directory of a marker and its name in it.
fn parts(path: &Path) -> Result<(&Path, &OsStr), LifecycleFileError> {
    let parts = path.parent().zip(path.file_name());
    parts.ok_or_else(|| LifecycleFileError::NotAFileName { path: path.to_owned() })
}

/// The name of the file whose flock decides about a marker.
pub(crate) fn lock_name(marker: &OsStr) -> OsString {
    let mut name = marker.to_owned();
    name.push(".lock");
    name
}
