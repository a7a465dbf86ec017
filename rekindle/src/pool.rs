//! The worker pool: each piece of work runs in a separate worker, pauses for an answer, and can be continued by any
//! process.
//!
//! A session is a worker; the sessions' records are the registry. A host may end, by SIGKILL too, at any point of a
//! run: [`WorkerPool::list`] still lists the session.
//!
//! # Invariants
//! 1. The record exists before the worker. `run` adds later facts to the record. If adding fails, `save_error` beside
//!    the answer reports the failure; the answer is returned nevertheless.
//! 2. If a run never began, the worker started for the run is ended. If the beginning is uncertain, the worker is kept.
//! 3. A worker that ran before a call is never ended because of its answer, least of all because of its version.
//! 4. The conversation uses the connection that proved the worker live: there is no second connection.
//! 5. Every wait for a worker is bounded by the [`Deadlines`] in the caller's [`Limits`], every start by the time-out
//!    of its [`Launch`], every stop by the caller's graces.
//!
//! Checked by `smoke/tests/smoke/pool/verbs.rs` and `pool/patience.rs`.

mod call;
mod error;
mod job;
mod outcome;
mod registry;
mod report;
pub mod serve;

use crate::launch::Launch;
use crate::outcome::Stopped;
use crate::sessions::Sessions;
use crate::sessions::gc::{self, Collected, Collection, FailedRuns};
pub use error::PoolError;
use job::{Ask, Call, Means};
pub use outcome::{PoolEntry, PoolStatus, Reply, RunOutcome};
#[doc(inline)]
pub use rekindle_adapters::client::{Deadlines, Limits, PoolCallError, PoolClient};
#[doc(inline)]
pub use rekindle_adapters::lines::{Limit, LineError, Phase, Whose};
use rekindle_adapters::{clock, random};
use rekindle_core::SessionId;
use rekindle_core::plan::Role;
use rekindle_core::pool::generate;
use rekindle_core::protocol::{Run, Speaking, StatusRequest};
use rekindle_core::stop::StopPolicy;

/// Runs and continues pieces of work, each in a separate worker. Cheap to clone.
///
/// Workers of a pool answer on Unix sockets. A launch with another address is rejected.
///
/// All state is in the state directory: another process with a pool on the same directory continues the work of an
/// ended process.
#[derive(Debug, Clone)]
pub struct WorkerPool {
    sessions: Sessions,
    speaking: Option<Speaking>,
    worker: Option<Launch>,
    limits: Limits,
}

impl WorkerPool {
    /// A pool with its sessions among `sessions`.
    pub fn new(sessions: Sessions) -> Self {
        Self { sessions, speaking: None, worker: None, limits: Limits::default() }
    }

    /// The version for workers. Without a version, the pool uses the version last reported by the worker, or spoken by
    /// the worker's host; enough for `status` and `shutdown`.
    #[must_use]
    pub fn speaking(self, speaking: Speaking) -> Self {
        Self { speaking: Some(speaking), ..self }
    }

    /// The launch of a new session's worker. The pool sets the readiness; the worker has to accept on `{socket}`.
    #[must_use]
    pub fn worker(self, launch: Launch) -> Self {
        Self { worker: Some(launch), ..self }
    }

    /// The time limits for workers, and the length limits of their lines.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Starts a worker for a new session and runs a piece of work until the work is finished or paused.
    ///
    /// # Errors
    /// [`PoolError`] with the reason and, if a worker is left, the session.
    ///
    /// # Cancel safety
    /// If dropped, the worker may have been started and may be at work: [`Self::list`] lists the session.
    pub async fn run(&self, run: Run) -> Result<RunOutcome, PoolError> {
        let speaking = self.speaking.clone().ok_or(PoolError::NoVersion)?;
        let launch =
            self.worker.clone().ok_or(PoolError::NoProgram)?.speaking(speaking).role(Role::PoolWorker);
        let session = generate(clock::now(), random::number()?);
        let mut call = Call::new(self.means(), session, Ask::Run(Box::new((run, launch))));
        let end = call.run().await;
        call.fed(end)
    }

    /// Answers a paused session, and runs the work until finished or paused again.
    ///
    /// # Errors
    /// [`PoolError`]; the worker is left alone.
    ///
    /// # Cancel safety
    /// If dropped, the worker may have taken the answer.
    pub async fn continue_session(&self, sid: &str, reply: Reply) -> Result<RunOutcome, PoolError> {
        if self.speaking.is_none() {
            return Err(PoolError::NoVersion);
        }
        let mut call = Call::new(self.means(), self.find(sid)?, Ask::Continue(reply));
        let end = call.run().await;
        call.fed(end)
    }

    /// Asks the worker of a session for its status.
    ///
    /// # Errors
    /// [`PoolError`]; [`PoolError::WorkerGone`] if the worker is provably gone.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn status(&self, sid: &str, request: StatusRequest) -> Result<PoolStatus, PoolError> {
        let mut call = Call::new(self.means(), self.find(sid)?, Ask::Status(request));
        call.run().await;
        call.told()
    }

    /// Ends the worker of a session: by request, then by signals.
    ///
    /// # Errors
    /// [`PoolError`] if the session is unknown or its worker cannot be signalled. A worker that is gone already or does
    /// not answer is no error.
    ///
    /// # Cancel safety
    /// If dropped, the worker may be ending; a second call is safe.
    pub async fn shutdown(&self, sid: &str, policy: &StopPolicy) -> Result<Stopped, PoolError> {
        let mut call = Call::new(self.means(), self.find(sid)?, Ask::Shutdown(*policy));
        let end = call.run().await;
        call.shut_down(end)
    }

    /// Every session of the pool, oldest first. Asks no worker.
    ///
    /// # Errors
    /// If the state directory cannot be listed.
    pub fn list(&self) -> Result<Vec<PoolEntry>, PoolError> {
        registry::list(&self.sessions)
    }

    /// Removes the sessions of the pool whose worker is provably gone. Ends a worker without work if its host died.
    ///
    /// # Errors
    /// If the state directory cannot be listed. A session that cannot be removed is kept, with the reason in the
    /// result.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn gc(&self) -> Result<Collected, PoolError> {
        for session in registry::forsaken(&self.sessions)? {
            if let Err(error) = self.settle_forsaken(&session).await {
                tracing::info!(%session, %error, "a worker whose host died cannot be asked, and stays");
            }
        }
        let what = Collection { failed_runs: FailedRuns::Remove, ..Collection::default() };
        let is_member = |session: &SessionId| registry::is_member(&self.sessions, session);
        Ok(gc::gc(self.sessions.root(), self.sessions.here(), &what, is_member)?)
    }

    /// Settles a worker whose host died: a worker with a session has its name recorded, a worker without work is ended.
    async fn settle_forsaken(&self, session: &SessionId) -> Result<(), PoolError> {
        let mut call = Call::new(self.means(), session.clone(), Ask::Settle);
        let end = call.run().await;
        call.settled(end)
    }

    fn find(&self, sid: &str) -> Result<SessionId, PoolError> {
        registry::find(&self.sessions, sid)
    }

    fn means(&self) -> Means<'_> {
        let Self { sessions, speaking, limits, .. } = self;
        Means { sessions, speaking: speaking.as_ref(), limits: *limits }
    }
}
