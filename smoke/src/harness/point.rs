//! One place in a run of `rekindle`, and the fault there.

use std::fmt;
use std::str::FromStr;

/// A command, and the state before its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Case {
    /// `up` of a session that does not exist.
    Up,
    /// `up` of a session whose worker crashed and left a socket.
    Restart,
    /// `up` of a session whose launcher was killed at the worker's first answer.
    Adopt,
    /// `stop` of a live session.
    Stop,
    /// `unlock` of a claim left by a launcher that was killed before the start of a worker.
    Unlock,
    /// `unlock` of a claim left by a killed launcher, with a live worker.
    UnlockLive,
    /// `pool run` of a piece of work that waits for an answer.
    PoolRun,
    /// `up` of a session that does not exist, on a port that the launcher chooses.
    UpPort,
    /// `up` of a session that does not exist, without an endpoint.
    UpNone,
}

impl Case {
    /// All cases.
    pub const ALL: [Self; 9] = [
        Self::Up,
        Self::Restart,
        Self::Adopt,
        Self::Stop,
        Self::Unlock,
        Self::UnlockLive,
        Self::PoolRun,
        Self::UpPort,
        Self::UpNone,
    ];

    /// The name in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Restart => "restart",
            Self::Adopt => "adopt",
            Self::Stop => "stop",
            Self::Unlock => "unlock",
            Self::UnlockLive => "unlock-live",
            Self::PoolRun => "pool-run",
            Self::UpPort => "up-port",
            Self::UpNone => "up-none",
        }
    }
}

/// A fault of the launcher at a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// SIGKILL before the call is made.
    Kill,
    /// The call is not made and fails.
    Error(&'static str),
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 7] = [
        Self::Kill,
        Self::Error("ENOSPC"),
        Self::Error("EIO"),
        Self::Error("EMFILE"),
        Self::Error("ENOMEM"),
        Self::Error("EINTR"),
        Self::Error("EACCES"),
    ];

    /// `kill`, or the name of the error.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Error(errno) => errno,
        }
    }
}

/// The `nth` call with this name in a run, and the fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The run.
    pub case: Case,
    /// The fault.
    pub fault: Fault,
    /// The system call.
    pub call: String,
    /// The number of the call among calls with this name, counted from 1.
    pub nth: u32,
}

impl Point {
    /// The injection, as an option of `strace`.
    pub fn injection(&self) -> String {
        let Self { call, nth, .. } = self;
        match self.fault {
            Fault::Kill => format!("inject={call}:signal=SIGKILL:when={nth}"),
            Fault::Error(errno) => format!("inject={call}:error={errno}:when={nth}"),
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.case.name(), self.fault.name(), self.call, self.nth)
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|it| it.name() == text).ok_or_else(|| format!("`{text}` is no case"))
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|it| it.name() == text).ok_or_else(|| format!("`{text}` is no fault"))
    }
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split(' ').collect();
        let &[case, fault, call, nth] = words.as_slice() else { return Err(format!("`{text}` is no point")) };
        let nth = nth.parse().map_err(|error| format!("`{nth}` is no number: {error}"))?;
        Ok(Self { case: case.parse()?, fault: fault.parse()?, call: call.to_owned(), nth })
    }
}
