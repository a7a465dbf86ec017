//! Several sessions in one file: `rekindle.toml`.
//!
//! A project file names sessions with their commands. [`Project::up`] starts all of them in the order of `after`,
//! [`Project::down`] ends them in reverse. A project has a state root of its own ([`Project::root_of`]), so that sessions of
//! two projects never collide.
//!
//! ```toml
//! [sessions.cache]
//! command = ["redis-server", "--port", "0", "--unixsocket", "{socket}"]
//!
//! [sessions.web]
//! command = ["python3", "-m", "http.server", "{port}"]
//! address = "tcp:0"
//! after = ["cache"]
//! ```
//!
//! # Invariants
//! 1. A file is read whole before any session is touched: a faulty file starts nothing.
//! 2. Every fault names file, line and column.
//! 3. A file that another user could have written is used only if the caller names the file.
//!
//! Checked below, by `gates/tests/project.rs` and by `smoke/tests/smoke/project/up.rs`.

mod error;
mod happening;
mod place;
mod read;
mod run;
#[cfg(feature = "schema")]
mod schema;
mod template;
mod text;
pub(crate) mod values;

use crate::error::Error;
use crate::json::look::RootJson;
use crate::json::path_text;
use crate::launch::Launch;
use crate::sessions::Sessions;
pub use error::ProjectError;
pub use happening::Happening;
pub use place::Place;
use rekindle_adapters::StateRoot;
use rekindle_adapters::state_root::project::distrust;
use rekindle_core::SessionId;
use rekindle_core::project::Order;
pub use rekindle_core::project::Summary;
use rekindle_core::shown::Shown;
#[cfg(feature = "schema")]
pub use schema::config_schema;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The name of a project file.
pub const PROJECT_FILE: &str = "rekindle.toml";

/// The sessions of a project file.
///
/// ```
/// use rekindle::project::Project;
///
/// let dir = tempfile::tempdir()?;
/// let file = dir.path().join("rekindle.toml");
/// std::fs::write(&file, "[sessions.bot]\ncommand = [\"my-bot\"]\naddress = \"none\"\n")?;
/// let project = Project::read(&file)?;
/// assert!(project.launch(&"bot".parse()?).is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Project {
    file: PathBuf,
    order: Order,
    sessions: BTreeMap<SessionId, Launch>,
}

impl Project {
    /// The nearest project file: in `from`, or in a directory above. Opens no file.
    ///
    /// ```
    /// use rekindle::project::Project;
    ///
    /// let dir = tempfile::tempdir()?;
    /// std::fs::create_dir(dir.path().join("src"))?;
    /// std::fs::write(dir.path().join("rekindle.toml"), "")?;
    /// assert_eq!(Project::find(&dir.path().join("src")), Some(dir.path().join("rekindle.toml")));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn find(from: &Path) -> Option<PathBuf> {
        from.ancestors().map(|dir| dir.join(PROJECT_FILE)).find(|file| file.is_file())
    }

    /// The canonical path of a project file: the canonical path of its directory, and its name. A link to a shared file is
    /// therefore a project of its own.
    ///
    /// # Errors
    /// If the directory cannot be resolved.
    pub fn canonical(file: &Path) -> Result<PathBuf, ProjectError> {
        let unreadable = |source| ProjectError::Read { path: file.to_owned(), source };
        let Some(name) = file.file_name() else {
            return Err(unreadable(io::Error::from(io::ErrorKind::InvalidInput)));
        };
        let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::canonicalize(dir).map(|dir| dir.join(name)).map_err(unreadable)
    }

    /// Reads a project file that the caller named, with the local file beside it: `rekindle.local.toml` wins key by key.
    ///
    /// # Errors
    /// [`ProjectError`] for the first fault.
    pub fn read(file: &Path) -> Result<Self, ProjectError> {
        let file = Self::canonical(file)?;
        let (sessions, order) = read::read(&file)?;
        tracing::info!(file = %Shown(&file), sessions = sessions.len(), "read the project file");
        Ok(Self { file, order, sessions })
    }

    /// Reads a project file that was found and not named: by [`Self::find`].
    ///
    /// # Errors
    /// As [`Self::read`]; and [`ProjectError::Untrusted`] if another user could have written one of the files.
    pub fn read_found(file: &Path) -> Result<Self, ProjectError> {
        let local = read::local_file(file);
        for path in [file, &local].into_iter().filter(|path| path.exists()) {
            if let Some(what) = distrust(path)? {
                return Err(ProjectError::Untrusted { path: path.to_owned(), what });
            }
        }
        Self::read(file)
    }

    /// Writes an example of a project file, with all keys explained. `file` must not exist.
    ///
    /// # Errors
    /// If the file exists or cannot be written.
    pub fn init(file: &Path) -> Result<(), ProjectError> {
        template::write(file)?;
        tracing::info!(file = %Shown(file), "wrote an example of a project file");
        Ok(())
    }

    /// The project file, as an absolute path.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The sessions, in one possible order of start.
    pub fn sequence(&self) -> Vec<SessionId> {
        self.order.sequence()
    }

    /// The start of a session; `None` if the file names no such session.
    pub fn launch(&self, session: &SessionId) -> Option<Launch> {
        self.sessions.get(session).cloned()
    }

    /// The same project, with every start changed by `change`.
    #[must_use]
    pub fn map_launches(mut self, change: impl Fn(Launch) -> Launch) -> Self {
        for launch in self.sessions.values_mut() {
            *launch = change(launch.clone());
        }
        self
    }

    /// The state root of the project of `file`, a [canonical](Self::canonical) path. The root stands beside the user's
    /// default root.
    ///
    /// # Errors
    /// If no place for the user's state is known.
    pub fn root_of(file: &Path) -> Result<PathBuf, Error> {
        Ok(StateRoot::of_project(file)?)
    }

    /// The sessions in the project's own state root. Creates the root, and notes there which project the root belongs to.
    ///
    /// # Errors
    /// If the root cannot be used, or belongs to another project.
    pub fn open(file: &Path) -> Result<Sessions, Error> {
        let root = StateRoot::open(Self::root_of(file)?)?;
        root.note_project(file)?;
        Sessions::open(root.path())
    }
}

/// A state root of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The directory.
    pub dir: PathBuf,
    /// The project file, for the root of a project.
    pub project: Option<PathBuf>,
    /// Why the project is not known, if the root's note cannot be read.
    pub trouble: Option<String>,
}

impl Root {
    /// The default root, then the root of each project, by path.
    ///
    /// # Errors
    /// If no place for the user's state is known, or the roots cannot be listed.
    pub fn all() -> Result<Vec<Self>, Error> {
        let default = Self::at(StateRoot::locate()?);
        let projects = StateRoot::of_all_projects()?.into_iter().map(Self::at);
        Ok(std::iter::once(default).chain(projects).collect())
    }

    /// The root in `dir`.
    pub fn at(dir: PathBuf) -> Self {
        let noted = StateRoot::open(&dir).map_err(|error| error.to_string());
        match noted.and_then(|root| root.noted_project().map_err(|error| error.to_string())) {
            Ok(project) => Self { dir, project, trouble: None },
            Err(trouble) => Self { dir, project: None, trouble: Some(trouble) },
        }
    }

    /// The root with these sessions, for `ls --all`.
    #[doc(hidden)]
    pub fn to_json<'a, S>(&'a self, sessions: &'a [S]) -> RootJson<'a, S> {
        RootJson {
            dir: path_text(&self.dir),
            project: self.project.as_deref().map(path_text),
            project_gone: self.is_orphaned(),
            sessions,
        }
    }

    /// Whether the project file was moved or removed. The sessions of the root are kept.
    pub fn is_orphaned(&self) -> bool {
        self.project.as_ref().is_some_and(|file| !file.exists())
    }
}
