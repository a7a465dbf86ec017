//! The report of a stop.

use rekindle_core::{ChildExit, KillSignal, Pid};
use serde::Serialize;
use std::fmt;

/// The report of a stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StdioStopped {
    /// The step after which everything had ended.
    pub end: StdioEnd,
    /// The child's exit, if seen.
    pub exit: Option<ChildExit>,
    /// The strongest signal sent before the child ended; `None` if the child ended by itself.
    pub signalled: Option<KillSignal>,
    /// The processes of the child still running; empty unless the stop gave up.
    pub survivors: Vec<Pid>,
    /// The running descendants left alone because of
    /// [`StdioLaunch::leave_detached`](super::StdioLaunch::leave_detached); at most 64.
    pub left: Vec<Pid>,
    /// The failures on the way.
    pub trouble: Vec<String>,
}

/// The step after which the child and all of its processes had ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StdioEnd {
    /// All processes had ended by themselves.
    HadEnded,
    /// The child's stdin was closed.
    ClosedStdin,
    /// The processes got SIGTERM.
    Terminated,
    /// The processes got SIGKILL.
    Killed,
    /// Some process did not end in time.
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
