//! A session's directory: the anchor of its claim, and the only way to its files.
//!
//! # Invariants
//! The directory is opened only if it is ours, and no other user can write to it. Checked by
//! `smoke/tests/smoke/ground/places.rs`.

use crate::store::directory::Directory;
use crate::store::trust::require_ours_alone;
use crate::sys::linux::failure::{During, Errno};
use crate::sys::linux::fs::{mkdir_at, open_directory_at};
use rekindle_core::stores::{Anchor, ClaimStore, RecordStore};
use rekindle_core::{OsFailure, SessionId};
use std::fs;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name of the notify socket.
pub const NOTIFY_FILE: &str = "notify";

/// The stores of claims and records; by default both are files in the session's directory.
#[derive(Debug, Clone)]
pub struct Stores {
    /// The store of claims.
    pub claims: Arc<dyn ClaimStore<SessionDir>>,
    /// The store of records.
    pub records: Arc<dyn RecordStore<SessionDir>>,
}

/// An open session directory: the anchor for the stores.
#[derive(Debug)]
pub struct SessionDir {
    files: Directory,
    session: SessionId,
    stores: Stores,
}

impl Anchor for SessionDir {
    fn session(&self) -> &SessionId {
        &self.session
    }
}

/// A session's directory is a directory with a session id.
impl Deref for SessionDir {
    type Target = Directory;

    fn deref(&self) -> &Directory {
        &self.files
    }
}

impl SessionDir {
    /// Opens the directory of `session` below `root`; `None` if missing.
    ///
    /// # Errors
    /// If the directory cannot be opened, is not a directory, is not ours, or others can write to it.
    pub fn open(
        root: BorrowedFd<'_>,
        root_path: &Path,
        session: &SessionId,
        stores: &Stores,
    ) -> Result<Option<Self>, OsFailure> {
        let path = root_path.join(session.as_str());
        match open_directory_at(root, session.as_str()) {
            Ok(fd) => Self::checked(fd, path, session, stores).map(Some),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error).during("open the session directory", &path),
        }
    }

    /// Makes the directory of `session` below `root`, unless present; `false` if `root` has lost its name. A umask may
    /// remove permissions that we need.
    pub(crate) fn make(
        root: BorrowedFd<'_>,
        root_path: &Path,
        session: &SessionId,
    ) -> Result<bool, OsFailure> {
        match mkdir_at(root, session.as_str()) {
            Ok(()) | Err(Errno::EEXIST) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(error) => {
                Err(error).during("create the session directory", &root_path.join(session.as_str()))
            }
        }
    }

    fn checked(fd: OwnedFd, path: PathBuf, session: &SessionId, stores: &Stores) -> Result<Self, OsFailure> {
        require_ours_alone(&fd, &path, "session directory")?;
        Ok(Self { files: Directory::new(fd, path), session: session.clone(), stores: stores.clone() })
    }

    /// The store of claims.
    pub fn claims(&self) -> &dyn ClaimStore<Self> {
        &*self.stores.claims
    }

    /// The store of records.
    pub fn records(&self) -> &dyn RecordStore<Self> {
        &*self.stores.records
    }

    /// The same directory by another descriptor, with separate locks.
    ///
    /// # Errors
    /// If the directory cannot be opened.
    pub fn reopen(&self) -> Result<Self, OsFailure> {
        Ok(Self { files: self.files.reopen()?, session: self.session.clone(), stores: self.stores.clone() })
    }

    /// The path of the state root.
    pub fn root_path(&self) -> &Path {
        self.path().parent().unwrap_or(Path::new("/"))
    }

    /// The session of the directory.
    pub fn session(&self) -> &SessionId {
        &self.session
    }

    /// Sets a file aside as `NAME.aside`, or under a longer name if taken: earlier files stay.
    ///
    /// # Errors
    /// If there is no such file, or the file cannot be renamed.
    pub fn set_aside(&self, name: &str) -> Result<PathBuf, OsFailure> {
        let first = format!("{name}.aside");
        match self.files.rename_to_free(name.as_ref(), first.as_ref()) {
            Err(Errno::EEXIST) => self.files.set_aside(name),
            renamed => renamed.during("set aside", &self.path_of(name)).map(|()| self.path_of(&first)),
        }
    }

    /// Removes unfinished files, and the notify socket of a dead launcher. Only for the holder of the claim: no other
    /// process writes here.
    pub fn sweep(&self) {
        self.files.sweep();
        // A leftover is swept the next time.
        let _ = self.files.remove(NOTIFY_FILE);
    }

    /// Removes the empty directory. Only for the holder of the claim.
    ///
    /// # Errors
    /// If the directory is not empty or cannot be removed.
    pub fn remove_self(&self) -> Result<(), OsFailure> {
        self.require_in_place()?;
        fs::remove_dir(self.path()).during("remove", self.path())
    }
}

impl AsFd for SessionDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.files.as_fd()
    }
}
