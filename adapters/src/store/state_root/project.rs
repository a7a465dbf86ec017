//! State roots of projects: where they are, and the note in each that names its project file.
//!
//! # Invariants
//! 1. The roots stand beside the user's default root, never inside: no root takes another for a session.
//! 2. A note is written once. A root with the note of another project is refused, and left alone.
//!
//! Checked by `smoke/tests/smoke/project/roots.rs`.

use super::{PROJECT_NOTE, StateRoot, StateRootError};
use crate::store::directory::Directory;
use crate::sys::linux::failure::{During, Errno};
use crate::sys::linux::fs::{Links, open_directory, stat};
use crate::sys::linux::user;
use rekindle_core::OsFailure;
use rekindle_core::project::root::{read_note, root_name, write_note};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The ending of the name of the directory with the projects' roots, after the name of the default root.
const PROJECTS: &str = "-projects";

/// The write permission of all users.
const ALL_WRITE: u32 = 0o002;

/// The directory with the roots of all projects, beside the user's default root.
fn projects_dir() -> Result<PathBuf, StateRootError> {
    let own = StateRoot::users_place()?;
    let mut name = own.file_name().unwrap_or_default().to_owned();
    name.push(PROJECTS);
    Ok(own.with_file_name(name))
}

impl StateRoot {
    /// The state root for the project of `file`, an absolute path.
    ///
    /// # Errors
    /// If neither a variable nor the passwd entry names a place for the user's state.
    pub fn of_project(file: &Path) -> Result<PathBuf, StateRootError> {
        Ok(projects_dir()?.join(root_name(file)))
    }

    /// The state roots of all projects, by name.
    ///
    /// # Errors
    /// If the directory with the roots cannot be listed; a missing directory is no error.
    pub fn of_all_projects() -> Result<Vec<PathBuf>, StateRootError> {
        let dir = projects_dir()?;
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => Err(error).during("list the state roots", &dir)?,
        };
        let is_root = |path: &PathBuf| {
            // A directory in the making has a hidden name.
            let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            !is_hidden && path.symlink_metadata().is_ok_and(|stat| stat.is_dir())
        };
        let mut roots: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_root).collect();
        roots.sort();
        Ok(roots)
    }

    /// Creates the root if missing, and notes in the root which project it belongs to.
    ///
    /// # Errors
    /// [`StateRootError::OfOtherProject`] if the root belongs to another project; or if the root cannot be created or
    /// written.
    pub fn note_project(&self, file: &Path) -> Result<(), StateRootError> {
        if self.noted_project()?.is_none() {
            self.create()?;
            let root = open_directory(self.path(), Links::Refused)
                .during("open the state directory", self.path())?;
            self.judge_opened(&root)?;
            Directory::new(root, self.path().to_owned())
                .create_new(PROJECT_NOTE.as_ref(), &write_note(file))?;
        }
        match self.noted_project()? {
            Some(noted) if noted != file => {
                Err(StateRootError::OfOtherProject { path: self.path().to_owned(), file: noted })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The project file that the root's note names; `None` if the root is missing or belongs to no project.
    ///
    /// # Errors
    /// If the note cannot be read.
    pub fn noted_project(&self) -> Result<Option<PathBuf>, StateRootError> {
        let root = match open_directory(self.path(), Links::Refused) {
            Ok(root) => root,
            Err(Errno::ENOENT) => return Ok(None),
            Err(error) => Err(error).during("open the state directory", self.path())?,
        };
        let Some(note) = Directory::new(root, self.path().to_owned()).read(PROJECT_NOTE)? else {
            return Ok(None);
        };
        let path = || self.path().join(PROJECT_NOTE);
        read_note(&note.bytes).map(Some).map_err(|why| StateRootError::NoteCorrupt { path: path(), why })
    }
}

/// Why a project file that was found, and not named, is not used: another user could choose the programs that we run.
/// `None` if the file can be used.
///
/// # Errors
/// If the file cannot be inspected.
pub fn distrust(file: &Path) -> Result<Option<String>, OsFailure> {
    let found = stat(file).during("inspect the project file", file)?;
    if found.uid != user::our_uid() && found.uid != 0 {
        return Ok(Some(format!("belongs to user {}", found.uid)));
    }
    let is_open = found.mode & ALL_WRITE != 0;
    Ok(is_open.then(|| format!("can be written by every user (mode {:04o})", found.mode)))
}
