//! A file beside what it guards, whose flock decides who may touch that.
//!
//! # Invariants
//! 1. It is never removed, so that everybody locks the same one. Should somebody else remove it, whoever locks it notices: a
//!    lock on a file without its name guards nothing.
//! 2. Only a regular file of ours is locked, and no link is followed to it.
//!
//! Checked by `smoke/tests/smoke/s9_lifecycle.rs` and `s10_serve.rs`.

use crate::directory::Inode;
use crate::os::{During, try_flock};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, lstat};
use nix::unistd::geteuid;
use rekindle_core::OsFailure;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// How often it may be replaced between opening and locking it before that counts as an attack.
const REPLACED_MAX: u32 = 16;

/// Why a lock file cannot be used.
#[derive(Debug)]
pub(crate) enum LockFileError {
    /// It is not ours to lock, and this is why.
    Untrusted { path: PathBuf, why: String },
    /// The system refused.
    Os(OsFailure),
}

impl From<OsFailure> for LockFileError {
    fn from(failure: OsFailure) -> Self {
        Self::Os(failure)
    }
}

/// The lock file, open; its flock is given up when this is dropped, for every copy of the descriptor.
#[derive(Debug)]
pub struct LockFile {
    file: File,
    inode: Inode,
    path: PathBuf,
}

impl LockFile {
    /// Takes the flock of the file `name` in `dir`, which is at `path`; `None` if somebody has it. Never waits.
    pub(crate) fn try_take(
        dir: BorrowedFd<'_>,
        name: &Path,
        path: &Path,
    ) -> Result<Option<Self>, LockFileError> {
        for _ in 0..REPLACED_MAX {
            let lock = Self::open(dir, name, path)?;
            if !lock.try_flock(FlockOperation::NonBlockingLockExclusive)? {
                return Ok(None);
            }
            if lock.is_in_place()? {
                return Ok(Some(lock));
            }
        }
        Err(OsFailure::new("lock", "it is replaced again and again").on(path).into())
    }

    /// Opens it without asking for its flock, creating it if there is none.
    pub(crate) fn open(dir: BorrowedFd<'_>, name: &Path, path: &Path) -> Result<Self, LockFileError> {
        let flags = OFlag::O_RDWR
            | OFlag::O_CREAT
            | OFlag::O_NOFOLLOW
            | OFlag::O_NONBLOCK
            | OFlag::O_NOCTTY
            | OFlag::O_CLOEXEC;
        let private = Mode::S_IRUSR | Mode::S_IWUSR;
        let file = File::from(openat(dir, name, flags, private).during("open", path)?);
        let stat = fstat(&file).during("inspect", path)?;
        let untrusted = |why| Err(LockFileError::Untrusted { path: path.to_owned(), why });
        if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return untrusted("it is no regular file".to_owned());
        }
        if stat.st_uid != geteuid().as_raw() {
            return untrusted(format!("it belongs to user {}", stat.st_uid));
        }
        // The umask may have taken away what we need ourselves.
        fchmod(&file, private).during("set the mode of", path)?;
        Ok(Self { file, inode: Inode::of(&stat), path: path.to_owned() })
    }

    /// Asks for its flock without waiting; `false` if somebody has it.
    pub(crate) fn try_flock(&self, how: FlockOperation) -> Result<bool, OsFailure> {
        try_flock(&self.file, how).during("lock", &self.path)
    }

    /// Whether its path still leads to it: a lock on a file that was removed guards nothing.
    ///
    /// # Errors
    /// If that cannot be told.
    pub fn is_in_place(&self) -> Result<bool, OsFailure> {
        match lstat(&self.path) {
            Ok(found) => Ok(Inode::of(&found) == self.inode),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(false),
            Err(error) => Err(error).during("inspect", &self.path),
        }
    }

    /// The file itself, in which its holder may keep something.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for LockFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Explicitly: a child that has not yet executed its program may have a copy of the descriptor.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}
