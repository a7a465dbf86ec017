//! What a caller hears while the sessions of a project start or end.

use crate::error::Error;
use rekindle_core::SessionId;
use std::time::Duration;

/// What happens to a session of a project.
#[derive(Debug)]
pub enum Happening<'a, T> {
    /// The start or the stop begins.
    Begun(&'a SessionId),
    /// The start or the stop has ended.
    Ended {
        /// The session.
        session: &'a SessionId,
        /// The outcome.
        outcome: &'a Result<T, Error>,
        /// The time from the beginning.
        elapsed: Duration,
    },
    /// The session is not started.
    Skipped {
        /// The session.
        session: &'a SessionId,
        /// The failed session that this session needs.
        because: &'a SessionId,
    },
}
