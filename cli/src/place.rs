//! Where the sessions of this call are: the state root, and the project file.
//!
//! # Invariants
//! 1. `--dir`, then `REKINDLE_DIR`, then the root of the project, then the user's default root.
//! 2. Without a search no file is looked at: `--dir` and `REKINDLE_DIR` leave the search out, unless a verb needs the project.
//! 3. A file that was found is judged before it is read: another user may have put the file there.
//!
//! Checked by `smoke/tests/smoke/project/roots.rs`.

use crate::args::{Args, Verb};
use rekindle::project::{Project, ProjectError};
use rekindle::{Error, SessionId, Sessions};
use std::env;
use std::path::{Path, PathBuf};

/// Where the sessions of this call are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    /// The state root, if it is not the user's default root.
    dir: Option<PathBuf>,
    /// The value of `--file`.
    file: Option<PathBuf>,
    /// The project whose own root is in use.
    project: Option<PathBuf>,
}

impl Place {
    /// The place for a command line.
    ///
    /// # Errors
    /// If the file of `--file` has no directory, or no place for the user's state is known.
    pub(crate) fn of(args: &Args) -> Result<Self, Error> {
        let mut place = Self { dir: args.common.dir.clone(), file: args.common.file.clone(), project: None };
        let is_named = place.dir.is_some() || env::var_os("REKINDLE_DIR").is_some_and(|dir| !dir.is_empty());
        if is_named || !works_on_sessions(&args.verb) {
            return Ok(place);
        }
        let file = match &place.file {
            Some(file) => Some(Project::canonical(file)?),
            None => found(),
        };
        if let Some(file) = file {
            place.dir = Some(Project::root_of(&file)?);
            place.project = Some(file);
        }
        Ok(place)
    }

    /// The state root, if it is not the user's default root.
    pub(crate) fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// The sessions, for a call that may start a worker: a project's root gets its note.
    pub(crate) fn sessions_to_start(&self) -> Result<Sessions, Error> {
        match &self.project {
            Some(file) => Project::open(file).map(Sessions::spawn_on_calling_thread),
            None => crate::command::sessions(self.dir()),
        }
    }

    /// The project file: the named one, else the nearest one; `None` if there is none.
    pub(crate) fn project(&self) -> Result<Option<Project>, ProjectError> {
        match &self.file {
            Some(file) => Project::read(file).map(Some),
            None => found().map(|file| Project::read_found(&file)).transpose(),
        }
    }

    /// The project file of a call that needs one.
    pub(crate) fn required_project(&self) -> Result<Project, ProjectError> {
        let missing =
            || ProjectError::NotFound { from: env::current_dir().unwrap_or_else(|_| PathBuf::from(".")) };
        self.project()?.ok_or_else(missing)
    }

    /// The project, if its file has a session of this name.
    pub(crate) fn project_of(&self, session: &SessionId) -> Result<Option<Project>, ProjectError> {
        Ok(self.project()?.filter(|project| project.launch(session).is_some()))
    }
}

/// The nearest project file, by its canonical path: the kernel's name of a working directory is canonical.
fn found() -> Option<PathBuf> {
    Project::find(&env::current_dir().ok()?)
}

/// Whether a verb works on the sessions of a person. Pools and lifecycle locks belong to programs, which run anywhere.
fn works_on_sessions(verb: &Verb) -> bool {
    match verb {
        Verb::Up(_)
        | Verb::Ls(_)
        | Verb::Show { .. }
        | Verb::Status(_)
        | Verb::Wait(_)
        | Verb::Events(_)
        | Verb::Logs(_)
        | Verb::Restart(_)
        | Verb::Claim(_)
        | Verb::Signal(_)
        | Verb::Rm(_)
        | Verb::Stop(_)
        | Verb::Call(_)
        | Verb::Unlock(_)
        | Verb::Gc(_)
        | Verb::Doctor { .. } => true,
        Verb::Init
        | Verb::Probe { .. }
        | Verb::Pool(_)
        | Verb::Lifecycle(_)
        | Verb::Supervise(_)
        | Verb::Worker(_)
        | Verb::Schema { .. }
        | Verb::Completions(_)
        | Verb::Man(_)
        | Verb::Demo => false,
    }
}
