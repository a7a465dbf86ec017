//! One session's directory: the anchor of its claim, and the only place through which its files are touched.
//!
//! # Invariants
//! It is ours, and nobody else can write to it, or it is not opened. Checked by `smoke/tests/smoke/ground/places.rs`.

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

/// The name of the socket to which a worker says that it is ready.
pub const NOTIFY_FILE: &str = "notify";

/// Where claims and records are kept, as far as they are not kept in the directory itself.
#[derive(Debug, Clone)]
pub struct Stores {
    /// Who decides about a session.
    pub claims: Arc<dyn ClaimStore<SessionDir>>,
    /// What is remembered about a session's worker.
    pub records: Arc<dyn RecordStore<SessionDir>>,
}

/// An open session directory: the anchor at which the stores are asked.
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
    /// If it cannot be opened, is no directory, is not ours, or others can write to it.
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

    /// Makes the directory of `session` below `root`, unless there is one; `false` if `root` has lost its name. A umask may take
    /// away what we need ourselves.
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

    /// Where the session's claim is kept.
    pub fn claims(&self) -> &dyn ClaimStore<Self> {
        &*self.stores.claims
    }

    /// Where the session's record is kept.
    pub fn records(&self) -> &dyn RecordStore<Self> {
        &*self.stores.records
    }

    /// The same directory by another descriptor, with locks of its own.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn reopen(&self) -> Result<Self, OsFailure> {
        Ok(Self { files: self.files.reopen()?, session: self.session.clone(), stores: self.stores.clone() })
    }

    /// The state root that it is in.
    pub fn root_path(&self) -> &Path {
        self.path().parent().unwrap_or(Path::new("/"))
    }

    /// The session that it belongs to.
    pub fn session(&self) -> &SessionId {
        &self.session
    }

    /// Sets a file aside as `NAME.aside`, or under a longer name where that is taken: what was set aside earlier stays.
    ///
    /// # Errors
    /// If there is no such file, or it cannot be renamed.
    pub fn set_aside(&self, name: &str) -> Result<PathBuf, OsFailure> {
        let first = format!("{name}.aside");
        match self.files.rename_to_free(name.as_ref(), first.as_ref()) {
            Err(Errno::EEXIST) => self.files.set_aside(name),
            renamed => renamed.during("set aside", &self.path_of(name)).map(|()| self.path_of(&first)),
        }
    }

    /// Removes what was left unfinished, and the notify socket of a launcher that is gone. Only for whoever holds the claim: nobody
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
        fs::remove_dir(self.path()).during("remove", self.path())
    }
}

impl AsFd for SessionDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.files.as_fd()
    }
}
