//! How it went: every way in which a session can turn out, in words (`Display`) and as JSON (`Serialize`).

mod json;
mod text;

use crate::advice::Advice;
use crate::error::Error;
use crate::sessions::wait::WorkerWatch;
use rekindle_adapters::Connection;
use rekindle_core::execute::{Cause, Diagnostic};
use rekindle_core::resume::RetainedReason;
use rekindle_core::{
    ChildExit, Generation, Liveness, LockClaim, Pid, RejectReason, SessionId, SpawnBgPlan, SpawnError,
};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// How a session turned out.
#[derive(Debug)]
#[must_use = "it says whether there is a worker, and holds the connection to it"]
pub enum Ensured {
    /// A worker runs and answers.
    Running(Box<Running>),
    /// The worker ended before it was ready, by itself or because it took too long.
    Exited(Exited),
    /// The worker never started.
    NotStarted(SpawnError),
    /// Nothing could be observed of the worker, so the claim was not released.
    Retained(Box<Retained>),
    /// Nothing was done.
    Rejected(Box<Rejection>),
}

/// How a running worker was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartKind {
    /// It was started by this call.
    Started,
    /// It was running.
    Attached,
    /// It had been started by a launcher that died, and was watched to the end of its start by this call.
    Adopted,
}

/// A worker that answers.
#[derive(Debug)]
pub struct Running {
    /// How it was come by.
    pub kind: StartKind,
    /// Its pid: of the process that was started, or of the one that answers if that has ended.
    pub pid: Option<Pid>,
    /// Where it answers.
    pub socket: PathBuf,
    /// Which start of the session it is; 0 if it was not started by us.
    pub generation: Generation,
    /// Whether it was started by us, and so can be stopped by us.
    pub managed: bool,
    /// Whether it was started with another program or other arguments than this call named.
    pub program_differs: bool,
    /// Whether it came up only after it had been told to go, and may yet go.
    pub after_kill: bool,
    /// The connection that proved that it answers. A worker that ends when its first client leaves must not lose it.
    /// Where the worker said itself that it is ready, or listens from birth, it is made when it is asked for.
    pub connection: Connection,
    pub(crate) watch: WorkerWatch,
}

impl Running {
    /// Waits until the worker has ended: [`WorkerWatch::wait`].
    ///
    /// # Errors
    /// As for [`WorkerWatch::wait`].
    ///
    /// # Cancel safety
    /// Safe; any number of callers may wait, and ask again.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn wait(&self) -> Result<ChildExit, Error> {
        self.watch.wait().await
    }

    /// The worker to be waited for, for those who take the connection out, or wait elsewhere.
    pub fn watch(&self) -> WorkerWatch {
        self.watch.clone()
    }
}

/// A worker that ended before it was ready.
#[derive(Debug)]
pub struct Exited {
    /// How it ended.
    pub exit: ChildExit,
    /// The pid that it had.
    pub pid: Option<Pid>,
    /// Which start of the session it was.
    pub generation: Generation,
    /// Where it should have answered.
    pub socket: PathBuf,
    /// Whether it had been told to go.
    pub after_kill: bool,
    /// Why it had been told to go.
    pub cause: Option<Cause>,
    /// The end of what it wrote to its standard error.
    pub stderr_tail: String,
    /// What it said last of how it is (`STATUS=`), where it was listened to: bounded, and without control characters.
    pub status_text: Option<String>,
    /// What it said of being ready, where it was listened to.
    pub said: SaidReady,
    /// How to start it so that it does not end so early.
    pub advice: Box<Advice>,
}

/// What a worker said of being ready (`READY=1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaidReady {
    /// Nothing, or nobody listened.
    No,
    /// It said so, and nothing listened on its socket.
    WithoutListener,
}

/// A claim that was not released.
#[derive(Debug)]
pub struct Retained {
    /// Why it stays.
    pub reason: RetainedReason,
    /// What led there.
    pub cause: Cause,
    /// What is held.
    pub diagnostic: Diagnostic,
    /// Which start of the session it was.
    pub generation: Generation,
    /// What the worker said last of how it is, as in [`Exited`].
    pub status_text: Option<String>,
}

/// Why nothing was done.
#[derive(Debug)]
pub struct Rejection {
    /// Why.
    pub reason: RejectReason,
    /// How the socket was found, if it was looked at.
    pub liveness: Option<Liveness>,
    /// The socket.
    pub socket: PathBuf,
    /// Who holds the claim, if that is why and it can be told.
    pub holder: Option<LockClaim>,
    /// The worker that is in the way, if one is.
    pub pid: Option<Pid>,
    /// What is wrong, in words.
    pub message: String,
    /// What to do about it.
    pub advice: Advice,
}

/// What a call would have done.
#[derive(Debug)]
pub struct DryRun {
    /// `attach`, `spawn`, `adopt` or `reject`.
    pub verdict: &'static str,
    /// Why it would reject.
    pub rejection: Option<Rejection>,
    /// The plan of the start.
    pub plan: SpawnBgPlan,
}

/// How a stop turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopOutcome {
    /// It ended when it was asked to.
    Stopped,
    /// It had to be killed.
    Killed,
    /// There was nothing to stop.
    NotRunning,
    /// It was killed, and its end was not seen in time.
    GaveUp,
}

/// What a stop did.
#[derive(Debug, Clone)]
pub struct Stopped {
    /// The session.
    pub session: SessionId,
    /// How it turned out.
    pub outcome: StopOutcome,
    /// The pid of the worker, where there was one.
    pub pid: Option<Pid>,
    /// Which start of the session it was.
    pub generation: Generation,
    /// How long it took.
    pub elapsed: Duration,
    /// What still runs.
    pub survivors: Vec<Pid>,
    /// What went wrong on the way, and what could not be written or removed afterwards.
    pub trouble: Vec<String>,
    /// Whether what the worker left behind was cleaned up.
    pub tidied: Tidied,
}

/// Whether what a worker left behind was cleaned up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tidied {
    /// As far as it was ours to do: a launcher that is at work on the session does it itself.
    Yes,
    /// Something could not be written or removed; [`Stopped::trouble`] says what.
    No(Advice),
}
