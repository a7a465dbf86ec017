//! The outcomes of a session's operations, in words (`Display`) and as JSON (`Serialize`).

mod json;
mod text;

use crate::advice::Advice;
use crate::error::Error;
use crate::sessions::show::pass::LogPaths;
use crate::sessions::watch::wait::WorkerWatch;
use rekindle_adapters::Connection;
use rekindle_core::again::Part;
use rekindle_core::execute::{Cause, Diagnostic};
use rekindle_core::resume::RetainedReason;
use rekindle_core::{
    ChildExit, Endpoint, Generation, Liveness, LockClaim, Owner, Pid, RejectReason, SessionId, SpawnBgPlan,
    SpawnError,
};
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// The outcome of `ensure`.
#[derive(Debug)]
#[must_use = "it says whether there is a worker, and holds the connection to it"]
pub enum Ensured {
    /// A worker runs and answers.
    Running(Box<Running>),
    /// The worker ended before ready, by itself or after the time-out.
    Exited(Exited),
    /// The worker never started.
    NotStarted(SpawnError),
    /// Neither an answer nor an exit of the worker was observed, so the claim was not released.
    Retained(Box<Retained>),
    /// Nothing was changed.
    Rejected(Box<Rejection>),
}

/// How a running worker was obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StartKind {
    /// This call started the worker.
    Started,
    /// The worker was running.
    Attached,
    /// This call adopted the worker: the worker's launcher had died, and this call observed the rest of the start.
    Adopted,
}

/// A running worker that answers.
#[derive(Debug)]
pub struct Running {
    /// How the worker was obtained.
    pub kind: StartKind,
    /// The pid of the started process; if that process has ended, the pid of the answering process.
    pub pid: Option<Pid>,
    /// The endpoint of the worker.
    pub endpoint: Endpoint,
    /// The generation of the start; 0 if rekindle did not start the worker.
    pub generation: Generation,
    /// Whether rekindle started the worker, and so can stop the worker.
    pub managed: bool,
    /// The parts of the call in which the running worker was started otherwise. Only what the caller named counts: a call
    /// that names nothing differs in nothing.
    pub differs: Vec<Part>,
    /// Whether the worker became ready only after it had been told to end, and so may still end.
    pub after_kill: bool,
    /// The connection that proved the worker live. A worker that ends when its first client leaves needs this very
    /// connection. Where [`Connects`](crate::readiness::Connects) names no client, the connection is made on demand. A worker
    /// without an endpoint cannot be connected to.
    pub connection: Connection,
    /// The address for a browser, if readiness is an HTTP answer on a TCP port.
    pub url: Option<String>,
    /// The logs of this start; none for a worker that rekindle did not start.
    pub logs: LogPaths,
    pub(crate) watch: WorkerWatch,
}

impl Running {
    /// Where the worker answers, as the continuation of a sentence.
    pub fn place(&self) -> String {
        match (&self.url, &self.endpoint) {
            (Some(url), _) => format!(", answers at {url}"),
            (None, Endpoint::None) => ", without an address".to_owned(),
            (None, endpoint @ (Endpoint::Unix(_) | Endpoint::Tcp(_))) => {
                format!(", answers on {}", endpoint.in_words())
            }
        }
    }

    /// Whether the worker was started with another program or other arguments than named by this call.
    pub fn program_differs(&self) -> bool {
        self.differs.contains(&Part::Args)
    }

    /// The path of the worker's socket, if the endpoint is a Unix socket.
    pub fn socket(&self) -> Option<&Path> {
        self.endpoint.socket()
    }

    /// Whether the listener on a TCP port is proved to be the worker's; `None` for other endpoints, and for a listener
    /// that the caller vouched for.
    pub fn owner(&self) -> Option<Owner> {
        self.connection.owner()
    }

    /// Waits until the worker has ended: [`WorkerWatch::wait`].
    ///
    /// # Errors
    /// As for [`WorkerWatch::wait`].
    ///
    /// # Cancel safety
    /// Safe; any number of callers may wait, repeatedly.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn wait(&self) -> Result<ChildExit, Error> {
        self.watch.wait().await
    }

    /// A handle for waiting after the connection was taken out, or in another place.
    pub fn watch(&self) -> WorkerWatch {
        self.watch.clone()
    }
}

/// A worker that ended before ready.
#[derive(Debug)]
pub struct Exited {
    /// The exit of the worker.
    pub exit: ChildExit,
    /// The former pid.
    pub pid: Option<Pid>,
    /// The generation of the start.
    pub generation: Generation,
    /// The endpoint at which the worker should have answered.
    pub endpoint: Endpoint,
    /// Whether the worker had been told to end.
    pub after_kill: bool,
    /// The reason for telling the worker to end.
    pub cause: Option<Cause>,
    /// The last finding of the watch for readiness, if the worker was not ready in time.
    pub last_seen: Option<String>,
    /// The TCP port on which the worker listened when it was told to end, if it did not listen at its endpoint.
    pub listened_at: Option<Endpoint>,
    /// The end of the worker's standard error.
    pub stderr_tail: String,
    /// The worker's last `STATUS=` message, with readiness `notify`: bounded, and without control characters.
    pub status_text: Option<String>,
    /// The worker's `READY=1` message, with readiness `notify`.
    pub said: SaidReady,
    /// The logs of this start.
    pub logs: Box<LogPaths>,
    /// Advice against the early end.
    pub advice: Box<Advice>,
}

/// Whether a worker sent `READY=1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaidReady {
    /// No message was sent, or messages were not received.
    No,
    /// The worker sent `READY=1`, but no process listened on the socket.
    WithoutListener,
}

/// A claim that was not released.
#[derive(Debug)]
pub struct Retained {
    /// The reason for keeping the claim.
    pub reason: RetainedReason,
    /// The cause of the failed start.
    pub cause: Cause,
    /// The retained claim and its worker.
    pub diagnostic: Diagnostic,
    /// The generation of the start.
    pub generation: Generation,
    /// The worker's last `STATUS=` message, as in [`Exited`].
    pub status_text: Option<String>,
    /// The logs of this start.
    pub logs: LogPaths,
}

/// The reason why nothing was done.
#[derive(Debug)]
pub struct Rejection {
    /// The reason in one word.
    pub reason: RejectReason,
    /// The result of the probe, if the endpoint was probed.
    pub liveness: Option<Liveness>,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The holder of a blocking claim, if known.
    pub holder: Option<LockClaim>,
    /// The blocking worker, if any.
    pub pid: Option<Pid>,
    /// The problem in words.
    pub message: String,
    /// The next step.
    pub advice: Advice,
}

/// The foreseen outcome of a call.
#[derive(Debug)]
pub struct DryRun {
    /// `attach`, `spawn`, `adopt`, `replace` or `reject`.
    pub verdict: &'static str,
    /// The foreseen rejection.
    pub rejection: Option<Rejection>,
    /// The plan of the start.
    pub plan: SpawnBgPlan,
}

/// The outcome of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StopOutcome {
    /// The worker ended on request.
    Stopped,
    /// The worker had to be killed.
    Killed,
    /// No worker ran.
    NotRunning,
    /// The worker was killed, but its end was not seen in time.
    GaveUp,
}

/// The worker that a restart ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The former pid, if known.
    pub pid: Option<Pid>,
    /// The generation of the former start.
    pub generation: Generation,
    /// [`StopOutcome::Stopped`] or [`StopOutcome::Killed`].
    pub outcome: StopOutcome,
}

/// The report of a restart. Both parts happened under one claim.
#[derive(Debug)]
#[must_use = "it says whether there is a worker, and holds the connection to it"]
pub struct Restarted {
    /// The worker that was ended; `None` if no worker ran, or if the worker was left alone.
    pub replaced: Option<Replaced>,
    /// The outcome of the start.
    pub started: Result<Ensured, Error>,
}

/// The report of a stop.
#[derive(Debug, Clone)]
pub struct Stopped {
    /// The session.
    pub session: SessionId,
    /// The outcome.
    pub outcome: StopOutcome,
    /// The pid of the worker, if a worker ran.
    pub pid: Option<Pid>,
    /// The generation of the start.
    pub generation: Generation,
    /// The duration of the stop.
    pub elapsed: Duration,
    /// The remaining processes.
    pub survivors: Vec<Pid>,
    /// The failures on the way, and the files that could not be written or removed afterwards.
    pub trouble: Vec<String>,
    /// Whether the worker's leftovers were cleaned up.
    pub tidied: Tidied,
    /// The logs of the last start.
    pub logs: LogPaths,
}

/// Whether a worker's leftovers were cleaned up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tidied {
    /// Everything that was ours to clean up. If another launcher uses the session, that launcher cleans up.
    Yes,
    /// A file could not be written or removed; [`Stopped::trouble`] names the failure.
    No(Advice),
}
