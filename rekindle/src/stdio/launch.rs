//! The description of a child: the program, its options, and the listeners.

use crate::json::programs::EventJson;
use crate::launch::{Command, command_setters};
use rekindle_adapters::stdio::{Detached, StdioSpec};
use rekindle_core::lines::LineLimits;
use rekindle_core::plan::{KILL_GRACE_DEFAULT, TERM_GRACE_DEFAULT};
use rekindle_core::{ChildExit, KillSignal, OsFailure, Pid};
use serde::{Serialize, Serializer};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A program to run as a child, with its options.
///
/// ```
/// use rekindle::StdioLaunch;
///
/// let launch = StdioLaunch::new("my-mcp-server").args(["--verbose"]).on_stderr_line(|line| eprintln!("{line}"));
/// ```
pub struct StdioLaunch {
    command: Command,
    term_grace: Duration,
    kill_grace: Duration,
    detached: Detached,
    pub(super) stderr: StderrMode,
    pub(super) line_limits: LineLimits,
    pub(super) on_line: Box<dyn FnMut(&str) + Send>,
    pub(super) listener: Listener,
}

/// The treatment of the child's stderr.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StderrMode {
    /// Stderr is always read, line by line, and the last lines are kept.
    #[default]
    Lines,
    /// The caller reads the raw stream.
    Stream,
}

/// An event in a child's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StdioEvent {
    /// The child executes its program.
    Started {
        /// The pid.
        pid: Pid,
    },
    /// A stop has begun: the child's stdin is closed.
    Stopping,
    /// A stop had all of the child's processes signalled.
    Signalled {
        /// The signal.
        how: KillSignal,
    },
    /// The child has ended.
    Exited {
        /// The exit.
        exit: ChildExit,
    },
}

/// An object; the field `event` names the variant.
impl Serialize for StdioEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = match self {
            Self::Started { pid } => EventJson::Started { pid: *pid },
            Self::Stopping => EventJson::Stopping { why: None },
            Self::Signalled { how } => EventJson::Signalled { signal: how.name() },
            Self::Exited { exit } => EventJson::Exited { exit_code: exit.code(), signal: exit.signal() },
        };
        fields.serialize(serializer)
    }
}

impl fmt::Display for StdioEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { pid } => write!(f, "process {pid} runs its program"),
            Self::Stopping => f.write_str("a stop has begun"),
            Self::Signalled { how } => write!(f, "its processes were sent {}", how.name()),
            Self::Exited { exit } => write!(f, "it {exit}"),
        }
    }
}

/// The caller's listener.
#[derive(Clone)]
pub(super) struct Listener(Arc<dyn Fn(StdioEvent) + Send + Sync>);

impl Listener {
    pub(super) fn tell(&self, event: StdioEvent) {
        (self.0)(event);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

impl StdioLaunch {
    /// A launch of `program`: looked up in PATH, or relative to the working directory if `program` contains a slash.
    pub fn new(program: impl Into<OsString>) -> Self {
        Command::new(program).into()
    }

    command_setters!();

    /// The grace after SIGTERM once the supervisor has ended or has dropped the child; the default is 5 s. A stop has
    /// its own policy.
    #[must_use]
    pub fn term_grace(mut self, grace: Duration) -> Self {
        self.term_grace = grace;
        self
    }

    /// The grace after SIGKILL in the same case; the default is 5 s.
    #[must_use]
    pub fn kill_grace(mut self, grace: Duration) -> Self {
        self.kill_grace = grace;
        self
    }

    /// Leaves descendants with their own process session alone: daemons, browsers, `setsid`. By default these
    /// descendants end with the child. A stop reports the processes left alone.
    #[must_use]
    pub fn leave_detached(mut self) -> Self {
        self.detached = Detached::Leave;
        self
    }

    /// The treatment of stderr; by default stderr is read and kept as lines.
    #[must_use]
    pub fn stderr(mut self, mode: StderrMode) -> Self {
        self.stderr = mode;
        self
    }

    /// The limits of the kept lines.
    #[must_use]
    pub fn line_limits(mut self, limits: LineLimits) -> Self {
        self.line_limits = limits;
        self
    }

    /// Calls `listener` with each line of stderr, on the runtime. No more is read while `listener` runs.
    #[must_use]
    pub fn on_stderr_line(mut self, listener: impl FnMut(&str) + Send + 'static) -> Self {
        self.on_line = Box::new(listener);
        self
    }

    /// Calls `listener` with each event, on the runtime; `listener` must not block.
    #[must_use]
    pub fn on_event(mut self, listener: impl Fn(StdioEvent) + Send + Sync + 'static) -> Self {
        self.listener = Listener(Arc::new(listener));
        self
    }

    pub(super) fn absolute_cwd(&self) -> Result<PathBuf, OsFailure> {
        let cwd = self.command.absolute_cwd();
        cwd.map_err(|error| OsFailure::new("read the current directory", error.to_string()))
    }

    pub(super) fn spec<'a>(&'a self, cwd: &'a Path) -> StdioSpec<'a> {
        StdioSpec {
            command: self.command.words(),
            cwd,
            environment: self.command.environment_ref(),
            term_grace: self.term_grace,
            kill_grace: self.kill_grace,
            detached: self.detached,
        }
    }
}

impl From<Command> for StdioLaunch {
    fn from(command: Command) -> Self {
        Self {
            command,
            term_grace: TERM_GRACE_DEFAULT,
            kill_grace: KILL_GRACE_DEFAULT,
            detached: Detached::default(),
            stderr: StderrMode::default(),
            line_limits: LineLimits::default(),
            on_line: Box::new(|_| {}),
            listener: Listener(Arc::new(|_| {})),
        }
    }
}

impl fmt::Debug for StdioLaunch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdioLaunch").field("command", &self.command).finish_non_exhaustive()
    }
}
