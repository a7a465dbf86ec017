//! What can be said of a lifeline: the kernel lock that a worker holds as long as any process of it lives.

/// What the kernel says of the lifeline: the lock that a worker and its descendants hold as long as they live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lifeline {
    /// Nobody holds it.
    Free,
    /// Some process of the start holds it.
    Held,
    /// There is no lifeline file, and no process keeps one that was removed or moved.
    Missing,
    /// The question failed, or the search for a lifeline without a file could not look everywhere.
    Unreadable,
}

/// Whether the lifeline is known to have been held by the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LifelineHistory {
    /// It was held when the start was observed; or, of a start that nobody observed, the worker has marked it.
    WasHeld,
    /// Nobody wrote that down: a worker may have closed it.
    NotKnown,
}
