//! How the outside world fails: one shape for every refused system call.

use crate::harmless::*;
use crate::shown::Shown;
use core::fmt;
use serde::Serialize;

/// A system call that failed: what was attempted, on what, and the errno.
///
/// It is plain data, so that a fake can make one and an outcome that holds one can be compared and printed.
///
/// ```
/// use rekindle_core::OsFailure;
///
/// let failure = OsFailure::new("open the record", "permission denied").on("/run/x/session.json").errno(13);
/// assert_eq!(failure.to_string(), "failed to open the record `/run/x/session.json`: permission denied (errno 13)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OsFailure {
    operation: String,
    path: Option<PathBuf>,
    errno: Option<i32>,
    reason: String,
}

impl OsFailure {
    /// A failure of `operation` ("open the record"), for `reason` ("permission denied").
    pub fn new(operation: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { operation: operation.into(), path: None, errno: None, reason: reason.into() }
    }

    /// The file that the operation concerned.
    #[must_use]
    pub fn on(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// The kernel's error number.
    #[must_use]
    pub fn errno(mut self, errno: i32) -> Self {
        self.errno = Some(errno);
        self
    }

    /// What was attempted.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// The kernel's error number, where the kernel gave one.
    pub fn raw_errno(&self) -> Option<i32> {
        self.errno
    }

    /// The file that the operation concerned.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl fmt::Display for OsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to {}", self.operation)?;
        if let Some(path) = &self.path {
            write!(f, " `{}`", Shown(path))?;
        }
        write!(f, ": {}", self.reason)?;
        match self.errno {
            Some(errno) => write!(f, " (errno {errno})"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for OsFailure {}
