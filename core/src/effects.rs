//! The effects of a start and a stop, as methods. The adapters perform the effects; the gates fake them.
//!
//! To abort an effect, drop the future: a dropped future stops its timers, watches and descriptors at once. Effects
//! that have not happened yet do not happen.

pub mod failure;

use crate::claim::LockClaim;
use crate::effects::failure::{OsFailure, Shortage};
use crate::prelude::*;
use crate::process::id::Pid;
use crate::session::endpoint::Endpoint;
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
    /// The proof of liveness. The caller receives the connection, and no code discards it, since some workers end when
    /// their first client leaves.
    type Connection: Send;

    /// Starts the worker and returns as soon as the program runs.
    ///
    /// # Errors
    /// [`SpawnError`] means that no process of the start is left.
    ///
    /// # Cancel safety
    /// If dropped, the child either was never created, or runs on unwatched; the lifeline guards such a child, and the
    /// child is reaped.
    async fn spawn_child(&self, plan: &SpawnBgPlan) -> Result<Self::Child, SpawnError>;

    /// Resolves as soon as the worker is ready at `endpoint`; an absent listener keeps the wait going.
    ///
    /// # Errors
    /// [`WatchError`] if longer waiting cannot help: the path is forged, a stranger listens, or nothing can be watched.
    ///
    /// # Cancel safety
    /// Safe; a connection in the making is closed.
    async fn await_socket_alive(&self, endpoint: &Endpoint) -> Result<Self::Connection, WatchError>;

    /// Resolves as soon as the child and all processes of its start are gone, even if they were gone before the call.
    ///
    /// # Errors
    /// [`WatchError`] if the exit cannot be observed; the caller may call again.
    ///
    /// # Cancel safety
    /// Safe; the exit is not lost, and the next call reports the exit.
    async fn await_child_exit(&self, child: &Self::Child) -> Result<ChildExit, WatchError>;

    /// Resolves after `after`.
    ///
    /// # Errors
    /// [`WatchError`] if time cannot be measured.
    ///
    /// # Cancel safety
    /// Safe; dropping the future ends the timer.
    async fn await_timeout(&self, after: Duration) -> Result<(), WatchError>;

    /// Signals every process of the child's start.
    ///
    /// # Errors
    /// [`KillError`] if a signal could not be sent; absent processes are no error.
    ///
    /// # Cancel safety
    /// Safe; some processes may have been signalled and others not.
    async fn kill_child(&self, child: &Self::Child, how: KillSignal) -> Result<(), KillError>;

    /// Releases the claim: evidence first, then the kernel's lock.
    ///
    /// # Errors
    /// [`ReleaseError`] if the evidence could not be removed, or belongs to another process.
    ///
    /// # Cancel safety
    /// If dropped, the claim is either held or released, never released twice.
    async fn release_lock(&self, claim: &LockClaim) -> Result<(), ReleaseError>;

    /// The pid of the child, if the child has a nameable pid.
    fn child_pid(&self, child: &Self::Child) -> Option<Pid>;
}

/// The end of a child. The JSON is `{"code":3}`, `{"signal":"TERM","core":false}` or `null`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChildExit {
    /// The child returned this status.
    Code(i32),
    /// This signal ended the child; the kernel wrote no core dump.
    Signal(i32),
    /// This signal ended the child, and the kernel wrote a core dump.
    CoreDumped(i32),
    /// The child is gone, and the status is unknown: the process was no child of ours, or another process took the
    /// status.
    Unknown,
}

impl ChildExit {
    /// The exit status, if the child returned a status.
    pub const fn code(self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(code),
            Self::Signal(_) | Self::CoreDumped(_) | Self::Unknown => None,
        }
    }

    /// The signal, if a signal ended the child.
    pub const fn signal(self) -> Option<i32> {
        match self {
            Self::Signal(signal) | Self::CoreDumped(signal) => Some(signal),
            Self::Code(_) | Self::Unknown => None,
        }
    }

    /// Whether the status of the child is known.
    pub const fn is_known(self) -> bool {
        match self {
            Self::Code(_) | Self::Signal(_) | Self::CoreDumped(_) => true,
            Self::Unknown => false,
        }
    }
}

impl fmt::Display for ChildExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with {code}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Self::CoreDumped(signal) => write!(f, "was ended by signal {signal} (core dumped)"),
            Self::Unknown => f.write_str("ended"),
        }
    }
}

/// The strength of the request to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KillSignal {
    /// The stop signal of the plan, SIGTERM by default; then SIGCONT, so that a stopped process handles the stop signal.
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

/// The reason why no worker was started. No process of the start runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// The plan names no program.
    #[error("the plan names no program")]
    NoProgram,
    /// The launcher's working directory is gone, and the plan names no other.
    #[error("the directory in which rekindle was called was removed")]
    NoWorkingDirectory,
    /// The program does not exist.
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
    /// The program exists, and the program's interpreter does not.
    #[error(
        "program `{}` needs the interpreter `{}`, which was not found",
        Shown(program),
        Shown(interpreter)
    )]
    InterpreterNotFound {
        /// The program.
        program: PathBuf,
        /// The interpreter named in the program's first line or header.
        interpreter: PathBuf,
    },
    /// The program exists and may not be executed.
    #[error("program `{}` cannot be executed: {why}", Shown(program))]
    NotExecutable {
        /// The program.
        program: PathBuf,
        /// The obstacle.
        why: String,
    },
    /// The working directory of the plan cannot be entered.
    #[error("working directory `{}` cannot be entered: {why}", Shown(cwd))]
    Directory {
        /// The directory.
        cwd: PathBuf,
        /// The obstacle.
        why: String,
    },
    /// A file with variables cannot be used. The text shows no part of the content.
    #[error(
        "the environment file `{}`{} cannot be used: {why}",
        Shown(path),
        line.map(|line| format!(" at line {line}")).unwrap_or_default()
    )]
    EnvironmentFile {
        /// The file.
        path: PathBuf,
        /// The faulty line, counted from 1, if a line is at fault.
        line: Option<usize>,
        /// The fault.
        why: String,
    },
    /// An argument or a variable holds a NUL byte.
    #[error("{what} holds a NUL byte, and no program accepts a NUL byte")]
    HoldsNul {
        /// The name of the text.
        what: String,
    },
    /// The session changed after the beginning of the start.
    #[error("the start was abandoned: {why}")]
    Abandoned {
        /// The change.
        why: String,
    },
    /// The system refused a call.
    #[error(transparent)]
    Os(#[from] OsFailure),
}

impl SpawnError {
    /// The shortage that prevented the start, if there was a shortage.
    pub fn shortage(&self) -> Option<Shortage> {
        match self {
            Self::Os(failure) => failure.shortage(),
            Self::NoProgram
            | Self::NoWorkingDirectory
            | Self::ProgramNotFound { .. }
            | Self::InterpreterNotFound { .. }
            | Self::NotExecutable { .. }
            | Self::Directory { .. }
            | Self::EnvironmentFile { .. }
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

/// The reason why a watch is impossible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The file at the socket path will never be our worker's socket.
    #[error("socket `{}` is not to be trusted: {why}", Shown(path))]
    Forged {
        /// The socket path.
        path: PathBuf,
        /// The reason for the distrust.
        why: String,
    },
    /// A process that is no part of the worker listens at the endpoint.
    #[error("{who} listens on {address}, and is no process of the worker")]
    Stranger {
        /// The endpoint.
        address: Endpoint,
        /// The process in words: program, pid and user, as far as known.
        who: String,
    },
    /// The condition for ready cannot be watched for.
    #[error("`{ready}` cannot be watched for: {why}")]
    Unwatchable {
        /// The condition.
        ready: String,
        /// The obstacle.
        why: String,
    },
    /// The answering process will never match the caller's version or protocol.
    #[error("the worker on `{}` fails the handshake: {why}", Shown(path))]
    Handshake {
        /// The socket path.
        path: PathBuf,
        /// The answer.
        why: String,
    },
    /// The system refused a call.
    #[error(transparent)]
    Os(#[from] OsFailure),
}

/// The reason why a signal could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KillError {
    /// The system refused a call.
    #[error(transparent)]
    Os(#[from] OsFailure),
}

/// The reason why a release failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The evidence in place belongs to another claim, and was left alone.
    #[error("the claim file `{}` was replaced by another process and was left alone", Shown(path))]
    NotOurs {
        /// The claim file.
        path: PathBuf,
    },
    /// The session's directory is not the held directory.
    #[error("the session directory `{}` was removed or replaced while it was held", Shown(path))]
    DirectoryReplaced {
        /// The directory.
        path: PathBuf,
    },
    /// This process holds no claim with the nonce.
    #[error("no claim with this nonce is held on `{}`", Shown(path))]
    NotHeld {
        /// The claim file.
        path: PathBuf,
    },
    /// The system refused a call.
    #[error(transparent)]
    Os(#[from] OsFailure),
}
