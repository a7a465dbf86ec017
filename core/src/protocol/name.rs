//! A worker's name for a session: opaque to us.

use super::malformed::Excerpt;
use crate::prelude::*;
use crate::process::id::SessionId;
use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};

/// The longest name for a session, in bytes.
pub const WORKER_NAME_LEN_MAX: usize = 256;

/// A worker's name for a session: the worker's own, or ours.
///
/// The name is opaque: any text of 1 to [`WORKER_NAME_LEN_MAX`] bytes, returned unchanged, and never part of a path.
/// `Display` escapes control characters.
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

/// The reason why a text is no worker's name for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// The text is empty.
    #[error("a session's name is empty")]
    Empty,
    /// The text has more than [`WORKER_NAME_LEN_MAX`] bytes.
    #[error("a session's name is {len} bytes long; at most {WORKER_NAME_LEN_MAX} are allowed")]
    TooLong {
        /// The length in bytes.
        len: usize,
    },
}

impl WorkerName {
    /// The name, as given by the worker.
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
    /// Our own name of the session, for a worker that gave the session no name.
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
