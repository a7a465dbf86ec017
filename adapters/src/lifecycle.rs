//! The files of a lifecycle lock: the marker, and beside it the file whose flock decides.
//!
//! # Invariants
//! 1. The marker is read and put in place whole, through the open directory; a link in its place is refused.
//! 2. The lock file, `<marker>.lock`, is never removed and never written; who has its flock is asked again after it was
//!    taken, since somebody else may have removed the file.
//! 3. Bytes that nobody can read are kept under a name of their own before the marker is replaced.
//!
//! Checked by `smoke/tests/smoke/s9_lifecycle.rs`.

use crate::directory::{Directory, Inode};
use crate::lock_file::{LockFile, LockFileError};
use crate::os::During;
use crate::state_root::kind_without_locks;
use crate::{clock, procfs};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::geteuid;
use rekindle_core::identity::Doubt;
use rekindle_core::{Found, Host, LifecyclePayload, OsFailure, Standing};
use rustix::fs::FlockOperation;
use std::fs::DirBuilder;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A marker longer than this is none: ours have a few hundred bytes.
const MARKER_LEN_MAX: i64 = 64 << 10;

/// Why the files of a lifecycle lock cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LifecycleFileError {
    /// It names no file.
    #[error("`{}` names no file", path.display())]
    NotAFileName {
        /// What was given.
        path: PathBuf,
    },
    /// Its file system does not keep locks.
    #[error("`{}` is on {kind}, where locks do not hold", path.display())]
    NoLocks {
        /// The lock's path.
        path: PathBuf,
        /// The file system.
        kind: &'static str,
    },
    /// Somebody else could replace it.
    #[error("`{}` is not to be trusted: {why}", path.display())]
    Untrusted {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
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
    pub fn standing(&self, here: &Host) -> Standing {
        match self.found.payload() {
            Some(payload) => payload.standing(here, procfs::standing(&payload.holder, here)),
            None => Standing::Unjudged(Doubt::NotPermitted),
        }
    }
}

impl From<LockFileError> for LifecycleFileError {
    fn from(error: LockFileError) -> Self {
        match error {
            LockFileError::Untrusted { path, why } => Self::Untrusted { path, why },
            LockFileError::Os(failure) => Self::Os(failure),
        }
    }
}

/// The directory of a lifecycle lock, and the name of its marker in it.
#[derive(Debug)]
pub struct MarkerDir {
    dir: Directory,
    name: String,
}

impl MarkerDir {
    /// Opens the directory of the marker at `path`; `None` if there is no such directory.
    ///
    /// # Errors
    /// [`LifecycleFileError`] if locks do not hold there, or somebody else could replace the marker.
    pub fn open(path: &Path) -> Result<Option<Self>, LifecycleFileError> {
        let not_a_name = || LifecycleFileError::NotAFileName { path: path.to_owned() };
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(not_a_name)?.to_owned();
        let parent = path.parent().ok_or_else(not_a_name)?;
        if let Some(kind) = kind_without_locks(parent)? {
            return Err(LifecycleFileError::NoLocks { path: path.to_owned(), kind });
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = match open(parent, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(None),
            Err(error) => return Err(error).during("open the directory", parent)?,
        };
        refuse_untrusted_dir(&fd, parent)?;
        Ok(Some(Self { dir: Directory::new(fd, parent.to_owned()), name }))
    }

    /// Opens the directory of the marker at `path`, creating what is missing of it, private to its owner.
    ///
    /// # Errors
    /// As for [`Self::open`], or if it cannot be created.
    pub fn create(path: &Path) -> Result<Self, LifecycleFileError> {
        if let Some(dir) = Self::open(path)? {
            return Ok(dir);
        }
        let parent = path.parent().unwrap_or(path);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .during("create the directory", parent)?;
        Self::open(path)?
            .ok_or_else(|| OsFailure::new("open the directory", "it was removed at once").on(parent).into())
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
        if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(LifecycleFileError::Untrusted { path, why: "it is no regular file".into() });
        }
        if stat.st_uid != geteuid().as_raw() {
            let why = format!("it belongs to user {}", stat.st_uid);
            return Err(LifecycleFileError::Untrusted { path, why });
        }
        if stat.st_size > MARKER_LEN_MAX {
            let why = format!("it is longer than {MARKER_LEN_MAX} bytes");
            return Ok(Marker { found: Found::Corrupt { why }, inode: Some(Inode::of(&stat)) });
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
        self.dir.sweep_unfinished(&self.name);
        let mut bytes = serde_json::to_vec(payload).expect("a payload holds nothing that JSON cannot");
        bytes.push(b'\n');
        self.dir.replace(&self.name, &bytes)
    }

    /// Keeps what stands there under a name of its own, and says which. Only for whoever has the lock.
    ///
    /// # Errors
    /// If it cannot be kept.
    pub fn keep_aside(&self) -> Result<PathBuf, OsFailure> {
        let kept = format!("{}.aside-{}", self.name, clock::now().as_nanosecond());
        self.dir.keep_as(&self.name, &kept)?;
        Ok(self.dir.path_of(&kept))
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
        let name = self.lock_name();
        Ok(LockFile::try_take(self.dir.as_fd(), Path::new(&name), &self.dir.path_of(&name))?)
    }

    /// Whether anybody has the flock. For showing only: it is known for no longer than this call.
    ///
    /// # Errors
    /// As for [`Self::try_lock`].
    pub fn is_locked(&self) -> Result<bool, LifecycleFileError> {
        let name = self.lock_name();
        if self.dir.inspect(&name)?.is_none() {
            return Ok(false);
        }
        let lock = LockFile::open(self.dir.as_fd(), Path::new(&name), &self.dir.path_of(&name))?;
        // Shared, so that two who ask do not see each other.
        Ok(!lock.try_flock(FlockOperation::NonBlockingLockShared)?)
    }

    fn lock_name(&self) -> String {
        format!("{}.lock", self.name)
    }
}

/// In a directory where others may write, they may replace what is there; under the sticky bit only what is theirs.
fn refuse_untrusted_dir(fd: &OwnedFd, path: &Path) -> Result<(), LifecycleFileError> {
    let stat = fstat(fd).during("inspect the directory", path)?;
    let sticky = stat.st_mode & 0o1000 != 0;
    let others_write = stat.st_mode & 0o022 != 0;
    let strangers = ![geteuid().as_raw(), 0].contains(&stat.st_uid);
    let why = match (strangers, others_write && !sticky) {
        (false, false) => return Ok(()),
        (true, _) => format!("it belongs to user {}", stat.st_uid),
        (false, true) => format!("its mode {:04o} lets others replace files", stat.st_mode & 0o7777),
    };
    Err(LifecycleFileError::Untrusted { path: path.to_owned(), why })
}
