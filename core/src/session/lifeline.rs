//! The states of a lifeline: the kernel lock that a worker holds as long as any of its processes lives.

/// The kernel's answer about the lifeline: the lock that a worker and its descendants hold for life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lifeline {
    /// No process holds the lifeline.
    Free,
    /// A process of the start holds the lifeline.
    Held,
    /// There is no lifeline file, and no process holds a removed or moved lifeline.
    Missing,
    /// The question failed, or the search for a lifeline without a file could not search everywhere.
    Unreadable,
}

impl Lifeline {
    /// Whether a process holds the lifeline; `None` if the kernel does not say, or there is no file.
    pub fn is_held(self) -> Option<bool> {
        match self {
            Self::Held => Some(true),
            Self::Free => Some(false),
            Self::Missing | Self::Unreadable => None,
        }
    }
}

/// Whether the worker is known to have held the lifeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LifelineHistory {
    /// The lifeline was held at the observation of the start; or, without an observation, the worker has marked the
    /// lifeline.
    WasHeld,
    /// The record does not say: the worker may have closed the lifeline.
    NotKnown,
}
