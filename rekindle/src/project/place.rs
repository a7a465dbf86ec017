//! A place in a project file, for messages.

use rekindle_core::shown::Shown;
use std::fmt;
use std::path::PathBuf;

/// A place in a project file. Line and column count from 1; a column counts characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", Shown(&self.file), self.line, self.column)
    }
}
