//! Why a project file cannot be used.

use super::place::Place;
use crate::advice::{Advice, Step};
use rekindle_core::OsFailure;
use rekindle_core::shown::Shown;
use std::io;
use std::path::PathBuf;

/// Why a project file cannot be used. No session was touched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// There is no project file here or above.
    #[error("there is no rekindle.toml in `{}` or in a directory above", Shown(from))]
    NotFound {
        /// The first directory of the search.
        from: PathBuf,
    },
    /// A file could not be read.
    #[error("failed to read `{}`: {source}", Shown(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// The failure.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("failed to write `{}`: {source}", Shown(path))]
    Write {
        /// The file.
        path: PathBuf,
        /// The failure.
        source: io::Error,
    },
    /// There is a file already.
    #[error("`{}` exists, and is not overwritten", Shown(path))]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The text is faulty.
    #[error("{place}: {message}")]
    Wrong {
        /// The place of the fault.
        place: Place,
        /// The fault.
        message: String,
        /// What to write instead; may be empty.
        hint: String,
    },
    /// The file names no session.
    #[error("`{}` names no session", Shown(path))]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Another user could have written the file that was found.
    #[error("`{}` {what}, and a project file names the programs to run", Shown(path))]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// The fault, as a phrase to follow the name.
        what: String,
    },
    /// The system refused an operation.
    #[error(transparent)]
    Os(#[from] OsFailure),
}

impl ProjectError {
    /// The reason in one word, as in the JSON.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "no-project",
            Self::Read { .. } | Self::Write { .. } => "project-file-unusable",
            Self::Exists { .. } => "project-file-exists",
            Self::Wrong { .. } | Self::Empty { .. } => "project-file-wrong",
            Self::Untrusted { .. } => "project-file-untrusted",
            Self::Os(_) => "system",
        }
    }

    /// Whether the error is a refusal, because something present must not be touched or trusted.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Exists { .. } | Self::Untrusted { .. } => true,
            Self::NotFound { .. }
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::Wrong { .. }
            | Self::Empty { .. }
            | Self::Os(_) => false,
        }
    }

    /// The next step.
    pub(crate) fn advice(&self) -> Advice {
        match self {
            Self::NotFound { .. } => {
                Advice::from(Step::Init).knowing("or name a session: rekindle up SESSION -- PROGRAM")
            }
            Self::Read { .. } => Advice::by_hand("name a file that can be read with --file"),
            Self::Write { .. } => Advice::by_hand("name a file in a directory of your own with --file"),
            Self::Exists { .. } => Advice::by_hand("edit the file, or name another file with --file"),
            Self::Wrong { place, hint, .. } => {
                let mend = || format!("mend line {} of `{}`", place.line, Shown(&place.file));
                Advice::by_hand(if hint.is_empty() { mend() } else { hint.clone() })
            }
            Self::Empty { .. } => Advice::by_hand("add a table [sessions.NAME] with a `command`"),
            Self::Untrusted { path, .. } => {
                Advice::by_hand(format!("if you trust the file, name the file: --file {}", Shown(path)))
            }
            Self::Os(failure) => Advice::of_failure(failure),
        }
    }
}
