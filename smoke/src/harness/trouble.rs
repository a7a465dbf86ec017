//! The report of a broken promise.

use std::fmt;

/// The broken promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TroubleKind {
    /// Two workers at once.
    Double,
    /// A worker without any record, or a worker replaced while alive.
    Lost,
    /// A session not repaired by the next command, or a hanging command.
    Wedged,
    /// Any other trouble: an untyped error, a panic, leftover files.
    Other,
}

impl TroubleKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Double, Self::Lost, Self::Wedged, Self::Other];

    /// The name of several such troubles.
    pub fn name(self) -> &'static str {
        match self {
            Self::Double => "doubles",
            Self::Lost => "lost workers",
            Self::Wedged => "wedged sessions",
            Self::Other => "other failures",
        }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or(Self::Other)
    }
}

/// A broken promise.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// The kind.
    pub kind: TroubleKind,
    /// The observations.
    pub text: String,
}

impl Trouble {
    /// A trouble with its observations.
    pub fn new(kind: TroubleKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.kind.name(), self.text)
    }
}

/// Fails with a trouble unless `is_so`.
pub(super) fn ensure(is_so: bool, kind: TroubleKind, text: impl FnOnce() -> String) -> Result<(), Trouble> {
    if is_so { Ok(()) } else { Err(Trouble::new(kind, text())) }
}
