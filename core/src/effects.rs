//! Every effect that a start or a stop needs, as a method. The adapters perform them; the gates fake them.
//!
//! Abort is drop: a future that is dropped at any await stops its timers, watches and descriptors then, and changes
//! nothing that has not happened yet.

use crate::claim::LockClaim;
use crate::failure::{OsFailure, Shortage};
use crate::prelude::*;
use crate::process::id::Pid;
use crate::session::plan::SpawnBgPlan;
use crate::text::shown::Shown;
use async_trait::async_trait;
use core::fmt;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

/// The effects of one start.
#[async_trait]
pub trait SpawnBgResumeDeps: Send + Sync {
    /// An opaque handle of a started child.
    type Child: Send + Sync;
    /// Whatever proved liveness; it is handed to the caller and never thrown away, since some workers end when
    /// their first client leaves.
    type Connection: Send;

    /// Starts the worker and returns once its program runs.
    ///
    /// # Errors
    /// [`SpawnError`] means that nothing of it is left running.
    ///
    /// # Cancel safety
    /// If dropped, the child either was never created or runs on unwatched, guarded by its lifeline, and is reaped.
    async fn spawn_child(&self, plan: &SpawnBgPlan) -> Result<Self::Child, SpawnError>;

    /// Resolves once `socket` answers; a socket that is merely not there yet keeps waiting.
    ///
    /// # Errors
    /// [`WatchError`] if waiting longer cannot help: the path is forged, or it cannot be watched.
    ///
    /// # Cancel safety
    /// Safe; a connection in the making is closed.
    async fn await_socket_alive(&self, socket: &Path) -> Result<Self::Connection, WatchError>;

    /// Resolves once the child and all of its start are gone, also if that was before anybody asked.
    ///
    /// # Errors
    /// [`WatchError`] if the exit cannot be observed; it may be asked again.
    ///
    /// # Cancel safety
    /// Safe; the exit is not lost and can be asked for again.
    async fn await_child_exit(&self, child: &Self::Child) -> Result<ChildExit, WatchError>;

    /// Resolves after `after`.
    ///
    /// # Errors
    /// [`WatchError`] if time cannot be measured.
    ///
    /// # Cancel safety
    /// Safe; the timer is gone with its future.
    async fn await_timeout(&self, after: Duration) -> Result<(), WatchError>;

    /// Signals every process of the child's start.
    ///
    /// # Errors
    /// [`KillError`] if a signal could not be sent; that all of them are gone already is no error.
    ///
    /// # Cancel safety
    /// Safe; some processes may have been signalled and others not.
    async fn kill_child(&self, child: &Self::Child, how: KillSignal) -> Result<(), KillError>;

    /// Gives the claim up: evidence first, then the kernel's lock.
    ///
    /// # Errors
    /// [`ReleaseError`] if the evidence could not be removed, or was not ours to remove.
    ///
    /// # Cancel safety
    /// If dropped, the claim is either held or released, never released twice.
    async fn release_lock(&self, claim: &LockClaim) -> Result<(), ReleaseError>;

    /// The pid of the child, where it has one that can be named.
    fn child_pid(&self, child: &Self::Child) -> Option<Pid>;
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChildExit {
    /// It returned this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It is gone, and nobody can say how: it was no child of ours, or its status was taken by somebody else.
    Unknown,
}

impl ChildExit {
    /// The exit status, if it returned one.
    pub const fn code(self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(code),
            Self::Signal(_) | Self::Unknown => None,
        }
    }

    /// The signal, if one ended it.
    pub const fn signal(self) -> Option<i32> {
        match self {
            Self::Signal(signal) => Some(signal),
            Self::Code(_) | Self::Unknown => None,
        }
    }
}

impl fmt::Display for ChildExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with {code}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Self::Unknown => f.write_str("ended"),
        }
    }
}

/// How strongly a worker is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KillSignal {
    /// SIGTERM, followed by SIGCONT so that a stopped process hears it.
    Term,
    /// SIGKILL.
    Kill,
}

impl KillSignal {
    /// Its name, as the system has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Term => "SIGTERM",
            Self::Kill => "SIGKILL",
        }
    }
}

/// Why a worker was never started. Nothing of it runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// The plan names no program.
    #[error("the plan names no program")]
    NoProgram,
    /// The directory in which the launcher was called is gone, and no other was named.
    #[error("the directory in which rekindle was called was removed")]
    NoWorkingDirectory,
    /// There is no such program.
    #[error(
        "program `{}` was not found{}",
        Shown(program),
        searched.as_ref().map(|path| format!("; PATH is `{}`", Shown(path))).unwrap_or_default()
    )]
    ProgramNotFound {
        /// The program as given.
        program: OsString,
        /// The PATH that was searched, if it was searched.
        searched: Option<OsString>,
    },
    /// The program is there, the interpreter that it names is not.
    #[error(
        "program `{}` needs the interpreter `{}`, which was not found",
        Shown(program),
        Shown(interpreter)
    )]
    InterpreterNotFound {
        /// The program.
        program: PathBuf,
        /// The interpreter that it names in its first line or its header.
        interpreter: PathBuf,
    },
    /// The program is there and may not be executed.
    #[error("program `{}` cannot be executed: {why}", Shown(program))]
    NotExecutable {
        /// The program.
        program: PathBuf,
        /// What stands in the way.
        why: String,
    },
    /// The directory in which it should start cannot be entered.
    #[error("working directory `{}` cannot be entered: {why}", Shown(cwd))]
    Directory {
        /// The directory.
        cwd: PathBuf,
        /// What stands in the way.
        why: String,
    },
    /// An argument or a variable holds a NUL byte.
    #[error("{what} holds a NUL byte, which no program can be given")]
    HoldsNul {
        /// Which text.
        what: String,
    },
    /// The session is not what it was when the start began.
    #[error("the start was abandoned: {why}")]
    Abandoned {
        /// What changed.
        why: String,
    },
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsFailure),
}

impl SpawnError {
    /// What the system has no more of, where that is why nothing was started.
    pub fn shortage(&self) -> Option<Shortage> {
        match self {
            Self::Os(failure) => failure.shortage(),
            Self::NoProgram
            | Self::NoWorkingDirectory
            | Self::ProgramNotFound { .. }
            | Self::InterpreterNotFound { .. }
            | Self::NotExecutable { .. }
            | Self::Directory { .. }
            | Self::HoldsNul { .. }
            | Self::Abandoned { .. } => None,
        }
    }
}

/// An object of `reason`, what the system has no more of if that is why, and `message`.
impl Serialize for SpawnError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("SpawnError", 2)?;
        fields.serialize_field("reason", &self.shortage())?;
        fields.serialize_field("message", &self.to_string())?;
        fields.end()
    }
}

/// Why something could not be watched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// What stands at the socket path will never be our worker.
    #[error("socket `{}` is not to be trusted: {why}", Shown(path))]
    Forged {
        /// The socket path.
        path: PathBuf,
        /// What stands there.
        why: String,
    },
    /// Somebody answers, and will never go together with us.
    #[error("the worker on `{}` answers, but not to us: {why}", Shown(path))]
    Handshake {
        /// The socket path.
        path: PathBuf,
        /// What it said instead.
        why: String,
    },
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsFailure),
}

/// Why a signal could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KillError {
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsFailure),
}

/// Why a claim could not be given up in order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The evidence is not the one that we put there; it was left alone.
    #[error("the claim file `{}` was replaced by somebody else and was left alone", Shown(path))]
    NotOurs {
        /// The claim file.
        path: PathBuf,
    },
    /// The session's directory is not the one that we hold.
    #[error("the session directory `{}` was removed or replaced while it was held", Shown(path))]
    DirectoryReplaced {
        /// The directory.
        path: PathBuf,
    },
    /// No claim of this process answers to it.
    #[error("no claim with this nonce is held on `{}`", Shown(path))]
    NotHeld {
        /// The claim file.
        path: PathBuf,
    },
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsFailure),
}
