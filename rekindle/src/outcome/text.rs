//! The outcomes in words, for people. Paths and texts of other programs are escaped.

use super::{
    DryRun, Ensured, Exited, Rejection, Replaced, Retained, Running, SaidReady, StartKind, StopOutcome,
    Stopped,
};
use rekindle_core::Pid;
use rekindle_core::execute::Cause;
use rekindle_core::shown::Shown;
use serde::Serialize;
use std::fmt;

/// A pid in words.
pub(crate) fn pid_text(pid: Option<Pid>) -> String {
    pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string())
}

impl fmt::Display for Ensured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running(running) => running.fmt(f),
            Self::Exited(exited) => exited.fmt(f),
            Self::NotStarted(error) => error.fmt(f),
            Self::Retained(retained) => retained.fmt(f),
            Self::Rejected(rejection) => rejection.fmt(f),
        }
    }
}

impl fmt::Display for StartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: pid {}{}", self.kind, pid_text(self.pid), self.place())
    }
}

impl fmt::Display for Exited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Some(Cause::ObserveTimeout { after }) => {
                write!(f, "the worker was not ready within {} ms, and was ended", after.as_millis())?;
            }
            Some(cause @ Cause::Seam(_)) => write!(f, "the worker was ended: {cause}")?,
            None => write!(f, "the worker {} before it was ready", self.exit)?,
        }
        f.write_str(&self.findings())?;
        self.last_seen.as_ref().map_or(Ok(()), |seen| write!(f, "; seen last: {}", Shown(seen)))
    }
}

impl Exited {
    /// The findings about a worker that was not ready, as the continuation of a sentence; empty if there are none.
    pub fn findings(&self) -> String {
        let at = self.endpoint.in_words();
        let said = match self.said {
            SaidReady::No => String::new(),
            SaidReady::WithoutListener => format!("; it said READY=1, and nobody listened on {at}"),
        };
        let elsewhere =
            self.listened_at.as_ref().map(|port| format!("; it listened on {port}, and not on {at}"));
        [Some(said), elsewhere].into_iter().flatten().collect()
    }
}

impl fmt::Display for Retained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, and its end was not seen: the claim is kept", self.cause)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The continuation of a sentence about the start that followed.
impl fmt::Display for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the worker before it (pid {}) was {}", pid_text(self.pid), self.outcome)
    }
}

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "would {}", self.verdict)?;
        self.rejection.as_ref().map_or(Ok(()), |rejection| write!(f, ": {rejection}"))
    }
}

impl fmt::Display for StopOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (session, pid, elapsed) = (&self.session, pid_text(self.pid), self.elapsed.as_millis());
        match self.outcome {
            StopOutcome::Stopped => write!(f, "stopped {session} (pid {pid}) in {elapsed} ms"),
            StopOutcome::Killed => {
                write!(f, "killed {session} (pid {pid}) in {elapsed} ms: it did not end when asked")
            }
            StopOutcome::NotRunning => write!(f, "{session} is not running"),
            StopOutcome::GaveUp => {
                write!(f, "gave up on {session} (pid {pid}) after {elapsed} ms: it still runs")?;
                self.trouble.last().map_or(Ok(()), |trouble| write!(f, ": {trouble}"))
            }
        }
    }
}
