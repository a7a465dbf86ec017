//! One session's directory: the anchor of its claim, and the only place through which its files are touched.
//!
//! # Invariants
//! 1. It is ours alone, or it is not opened.
//! 2. It is created 0700, whatever the umask.

use crate::directory::Directory;
use crate::notify::NOTIFY_FILE;
use crate::os::During;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};
use rekindle_core::{OsFailure, SessionId};
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// An open session directory.
#[derive(Debug)]
pub struct SessionDir {
    files: Directory,
    session: SessionId,
}

/// A session's directory is a directory that knows whose it is.
impl Deref for SessionDir {
    type Target = Directory;

    fn deref(&self) -> &Directory {
        &self.files
    }
}

impl SessionDir {
    /// Opens the directory of `session` below `root`; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be opened, is no directory, or is not ours alone.
    pub fn open(
        root: BorrowedFd<'_>,
        root_path: &Path,
        session: &SessionId,
    ) -> Result<Option<Self>, OsFailure> {
        let path = root_path.join(session.as_str());
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match openat(root, session.as_str(), flags, Mode::empty()) {
            Ok(fd) => Self::checked(fd, path, session).map(Some),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error).during("open the session directory", &path),
        }
    }

    /// Opens the directory of `session` below `root`, creating it if there is none; `None` if somebody removed it, or `root`,
    /// at once.
    ///
    /// # Errors
    /// As for [`Self::open`], or if it cannot be created.
    pub fn create(
        root: BorrowedFd<'_>,
        root_path: &Path,
        session: &SessionId,
    ) -> Result<Option<Self>, OsFailure> {
        let path = root_path.join(session.as_str());
        let created = match mkdirat(root, session.as_str(), Mode::S_IRWXU) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            // The root itself has lost its name.
            Err(Errno::ENOENT) => return Ok(None),
            Err(error) => return Err(error).during("create the session directory", &path),
        };
        let Some(dir) = Self::open(root, root_path, session)? else { return Ok(None) };
        if created {
            // The umask may have taken away what we need ourselves.
            fchmod(&dir.files, Mode::S_IRWXU).during("set the mode of the session directory", &path)?;
        }
        Ok(Some(dir))
    }

    fn checked(fd: OwnedFd, path: PathBuf, session: &SessionId) -> Result<Self, OsFailure> {
        let stat = fstat(&fd).during("inspect the session directory", &path)?;
        let refuse = |why: String| Err(OsFailure::new("trust the session directory", why).on(&path));
        if stat.st_uid != geteuid().as_raw() {
            return refuse(format!("it belongs to user {}", stat.st_uid));
        }
        if stat.st_mode & 0o022 != 0 {
            return refuse(format!("its mode {:04o} lets others write to it", stat.st_mode & 0o7777));
        }
        Ok(Self { files: Directory::new(fd, path), session: session.clone() })
    }

    /// The same directory by another descriptor, with locks of its own.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn reopen(&self) -> Result<Self, OsFailure> {
        Ok(Self { files: self.files.reopen()?, session: self.session.clone() })
    }

    /// The state root that it is in.
    pub fn root_path(&self) -> &Path {
        self.path().parent().unwrap_or(Path::new("/"))
    }

    /// The session that it belongs to.
    pub fn session(&self) -> &SessionId {
        &self.session
    }

    /// Removes what was left unfinished, and the ear of a launcher that is gone. Only for whoever holds the claim: nobody
    /// else writes here.
    pub fn sweep(&self) {
        self.files.sweep();
        // What stays is swept the next time.
        let _ = self.files.remove(NOTIFY_FILE);
    }

    /// Removes the directory itself, which must be empty, from below `root`. Only for whoever holds the claim.
    ///
    /// # Errors
    /// If it is not empty or cannot be removed.
    pub fn remove_self(&self) -> Result<(), OsFailure> {
        self.require_in_place()?;
        unlinkat(AT_FDCWD, self.path(), UnlinkatFlags::RemoveDir).during("remove", self.path())
    }
}

impl AsFd for SessionDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.files.as_fd()
    }
}
