//! Which versions of the protocol go together. Ours is the caller's to say.

use super::malformed::Excerpt;
use crate::prelude::*;
use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};

/// The longest version, in bytes.
pub const VERSION_LEN_MAX: usize = 128;

/// A version as one side reports it: any text of 1 to [`VERSION_LEN_MAX`] bytes. Nothing is read into it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(String);

/// A text that cannot be a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a version has 1 to {VERSION_LEN_MAX} bytes, this one {len}")]
pub struct InvalidVersion {
    /// Its length in bytes.
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

/// Which of a worker's versions are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum VersionPolicy {
    /// The one that we speak.
    #[default]
    Exact,
    /// The one that we speak, and these.
    AlsoOneOf(Vec<Version>),
    /// Every one: the caller looks at what the worker reported.
    Any,
}

/// What we speak, and which answers we take.
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
    /// The version that we report.
    pub version: Version,
    /// Which of the worker's are taken.
    pub policy: VersionPolicy,
}

/// The worker speaks another version. It is left as it is: nothing is ended for its version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the worker speaks version `{theirs}`, we speak `{ours}`")]
pub struct VersionMismatch {
    /// What we reported.
    pub ours: Version,
    /// What it reported.
    pub theirs: Version,
}

impl Speaking {
    /// We speak `version`, and only with workers that do.
    pub fn exactly(version: Version) -> Self {
        Self { version, policy: VersionPolicy::Exact }
    }

    /// The same version, with another policy.
    #[must_use]
    pub fn policy(self, policy: VersionPolicy) -> Self {
        Self { policy, ..self }
    }

    /// Whether we go together with a worker that reports `theirs`.
    ///
    /// # Errors
    /// [`VersionMismatch`], which names both.
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
