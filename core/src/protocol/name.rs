//! The name that a worker gives a session: opaque to us.

use super::malformed::Excerpt;
use crate::prelude::*;
use crate::process::id::SessionId;
use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};

/// The longest name that a worker may give a session, in bytes.
pub const WORKER_NAME_LEN_MAX: usize = 256;

/// The name by which a worker knows a session: one of its own, or ours.
///
/// It is opaque: any text of 1 to [`WORKER_NAME_LEN_MAX`] bytes, handed back as it came, and never part of a path.
/// `Display` shows control characters escaped.
///
/// ```
/// use rekindle_core::protocol::WorkerName;
///
/// let name: WorkerName = "9f:3c/../7".parse()?;
/// assert_eq!(name.as_str(), "9f:3c/../7");
/// assert!("".parse::<WorkerName>().is_err());
/// # Ok::<(), rekindle_core::protocol::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkerName(String);

/// Why a text cannot be a worker's name for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// Nothing at all.
    #[error("a session's name is empty")]
    Empty,
    /// More than [`WORKER_NAME_LEN_MAX`] bytes.
    #[error("a session's name is {len} bytes long; at most {WORKER_NAME_LEN_MAX} are allowed")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
}

impl WorkerName {
    /// The name as the worker gave it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WorkerName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for WorkerName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.len() {
            0 => Err(InvalidName::Empty),
            len if len > WORKER_NAME_LEN_MAX => Err(InvalidName::TooLong { len }),
            _ => Ok(Self(text)),
        }
    }
}

impl From<&SessionId> for WorkerName {
    /// Our own name of the session, which is what a worker is told that gave it none.
    fn from(session: &SessionId) -> Self {
        Self(session.as_str().to_owned())
    }
}

impl From<WorkerName> for String {
    fn from(name: WorkerName) -> Self {
        name.0
    }
}

impl fmt::Display for WorkerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Excerpt::up_to(&self.0, WORKER_NAME_LEN_MAX).fmt(f)
    }
}
