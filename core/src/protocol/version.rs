//! The rules for matching versions of the protocol. The caller chooses our version.

use super::malformed::Excerpt;
use crate::prelude::*;
use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};

/// The longest version, in bytes.
pub const VERSION_LEN_MAX: usize = 128;

/// A version as reported by a side: any text of 1 to [`VERSION_LEN_MAX`] bytes, compared but not interpreted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(String);

/// A text that cannot be a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a version has 1 to {VERSION_LEN_MAX} bytes, this one {len}")]
pub struct InvalidVersion {
    /// The length in bytes.
    pub len: usize,
}

impl Version {
    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for Version {
    type Error = InvalidVersion;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let len = text.len();
        if (1..=VERSION_LEN_MAX).contains(&len) { Ok(Self(text)) } else { Err(InvalidVersion { len }) }
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Excerpt::up_to(&self.0, VERSION_LEN_MAX).fmt(f)
    }
}

/// The accepted versions of a worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum VersionPolicy {
    /// Only our version.
    #[default]
    Exact,
    /// Our version, and these versions.
    AlsoOneOf(Vec<Version>),
    /// Every version: the caller judges the reported version.
    Any,
}

/// Our version, and the accepted versions of a worker.
///
/// ```
/// use rekindle_core::protocol::Speaking;
///
/// let speaking = Speaking::exactly("2".parse()?);
/// let mismatch = speaking.judge(&"1".parse()?).unwrap_err();
/// assert_eq!(mismatch.to_string(), "the worker speaks version `1`, we speak `2`");
/// # Ok::<(), rekindle_core::protocol::InvalidVersion>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaking {
    /// Our reported version.
    pub version: Version,
    /// The accepted versions of a worker.
    pub policy: VersionPolicy,
}

/// The worker speaks another version. The worker is left alone: no worker is ended for its version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the worker speaks version `{theirs}`, we speak `{ours}`")]
pub struct VersionMismatch {
    /// Our reported version.
    pub ours: Version,
    /// The worker's reported version.
    pub theirs: Version,
}

impl Speaking {
    /// We speak `version`, and accept only workers with the same version.
    pub fn exactly(version: Version) -> Self {
        Self { version, policy: VersionPolicy::Exact }
    }

    /// The same version, with another policy.
    #[must_use]
    pub fn policy(self, policy: VersionPolicy) -> Self {
        Self { policy, ..self }
    }

    /// Accepts or refuses a worker that reports `theirs`.
    ///
    /// # Errors
    /// [`VersionMismatch`], with both versions.
    pub fn judge(&self, theirs: &Version) -> Result<(), VersionMismatch> {
        let taken = match &self.policy {
            VersionPolicy::Exact => *theirs == self.version,
            VersionPolicy::AlsoOneOf(others) => *theirs == self.version || others.contains(theirs),
            VersionPolicy::Any => true,
        };
        if taken {
            Ok(())
        } else {
            Err(VersionMismatch { ours: self.version.clone(), theirs: theirs.clone() })
        }
    }
}
