//! How a stop of a child ended.

use rekindle_core::{ChildExit, KillSignal, Pid};
use serde::Serialize;
use std::fmt;

/// How a stop ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StdioStopped {
    /// What was enough.
    pub end: StdioEnd,
    /// How the child ended, where that was seen.
    pub exit: Option<ChildExit>,
    /// The strongest signal that the child was sent before it ended; `None` if it ended by itself.
    pub signalled: Option<KillSignal>,
    /// The processes of the child that still run; empty unless the stop gave up.
    pub survivors: Vec<Pid>,
    /// The running descendants that [`StdioLaunch::leave_detached`](super::StdioLaunch::leave_detached) left alone; 64 of
    /// them at most.
    pub left: Vec<Pid>,
    /// What went wrong on the way.
    pub trouble: Vec<String>,
}

/// What was enough to end a child and all of its processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StdioEnd {
    /// They had ended by themselves.
    HadEnded,
    /// Its stdin was closed.
    ClosedStdin,
    /// They were asked to end.
    Terminated,
    /// They were killed.
    Killed,
    /// Nothing was enough in time.
    GaveUp,
}

impl fmt::Display for StdioEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HadEnded => "had ended by itself",
            Self::ClosedStdin => "ended when its standard input was closed",
            Self::Terminated => "ended when asked",
            Self::Killed => "was killed: it did not end when asked",
            Self::GaveUp => "still runs: nothing was enough in time",
        })
    }
}

impl fmt::Display for StdioStopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the child {}", self.end)?;
        self.trouble.iter().try_for_each(|trouble| write!(f, "; {trouble}"))
    }
}
