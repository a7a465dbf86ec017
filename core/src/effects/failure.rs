//! Failures of the outside world: the same shape for every refused system call.

use crate::prelude::*;
use crate::text::shown::Shown;
use core::fmt;
use serde::Serialize;

/// A failed system call: the attempted operation, the file and the errno.
///
/// Plain data: a fake can make a failure, and an outcome with a failure can be compared and printed.
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
    #[serde(with = "crate::text::byte_text")]
    path: Option<PathBuf>,
    errno: Option<i32>,
    reason: String,
}

impl OsFailure {
    /// A failure of `operation` ("open the record"), for `reason` ("permission denied").
    pub fn new(operation: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { operation: operation.into(), path: None, errno: None, reason: reason.into() }
    }

    /// The file of the operation.
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

    /// The kernel's error number, if there is a number.
    pub fn raw_errno(&self) -> Option<i32> {
        self.errno
    }

    /// The file of the operation.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

/// The operation in which `EAGAIN` means too many processes; in other operations `EAGAIN` means a busy resource.
pub const CREATE_PROCESS: &str = "create a process";

/// A shortage of the system. No other command or option helps, and the same command may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shortage {
    /// The disk is full, or the user's quota.
    DiskFull,
    /// The file would exceed the limit on the size of files.
    FileSizeLimit,
    /// This process, or the system, has reached the limit of open descriptors.
    TooManyOpenFiles,
    /// The number of processes has reached the limit.
    TooManyProcesses,
    /// No memory is left.
    OutOfMemory,
}

impl Shortage {
    /// The shortage of a Linux errno that means a shortage in every operation.
    const fn of_errno(errno: i32) -> Option<Self> {
        const ENOMEM: i32 = 12;
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        const EFBIG: i32 = 27;
        const ENOSPC: i32 = 28;
        const EDQUOT: i32 = 122;
        match errno {
            ENOSPC | EDQUOT => Some(Self::DiskFull),
            EFBIG => Some(Self::FileSizeLimit),
            ENFILE | EMFILE => Some(Self::TooManyOpenFiles),
            ENOMEM => Some(Self::OutOfMemory),
            _ => None,
        }
    }
}

impl OsFailure {
    /// The shortage behind the failure, if there is a shortage.
    pub fn shortage(&self) -> Option<Shortage> {
        const EAGAIN: i32 = 11;
        match self.errno? {
            EAGAIN if self.operation == CREATE_PROCESS => Some(Shortage::TooManyProcesses),
            errno => Shortage::of_errno(errno),
        }
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
