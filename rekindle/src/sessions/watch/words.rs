//! The end of a worker in words.

use rekindle_core::ChildExit;
use rekindle_core::record::EndedBy;
use std::fmt;

/// An end in words: the exit, the cause, and why the exit is unknown.
pub(crate) fn write_end(
    f: &mut fmt::Formatter<'_>,
    exit: Option<ChildExit>,
    by: Option<EndedBy>,
    why: Option<&str>,
) -> fmt::Result {
    match exit.filter(|exit| exit.is_known()) {
        Some(exit) => write!(f, "the worker {exit}")?,
        None => f.write_str("the worker ended, and how is not known")?,
    }
    match by {
        Some(EndedBy::Stop) => f.write_str(", by a stop")?,
        Some(EndedBy::Timeout) => f.write_str(", ended by its launcher: it was not ready in time")?,
        Some(EndedBy::WatchFailed) => f.write_str(", ended by its launcher: it could not be watched")?,
        Some(EndedBy::Worker) | None => {}
    }
    why.map_or(Ok(()), |why| write!(f, " ({why})"))
}
