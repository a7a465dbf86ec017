//! The worker pool: pieces of work in workers of their own, paused for an answer and continued from anywhere.
//!
//! One session is one worker; the registry is the sessions' own records. A host may end, by SIGKILL too, at any point of
//! a run: what is left is a session that [`WorkerPool::list`] knows.
//!
//! # Invariants
//! 1. The record is there before the worker is. What `run` learns is added to it afterwards, and a failure to add it is
//!    told beside the answer, never in its place.
//! 2. A worker that was started for a run which never began is ended, unless it cannot be told whether it began.
//! 3. No worker that was there before a call is ended for what it answered, least of all for its version.
//! 4. The connection that proved that the worker answers is the one that is spoken on: there is no other.
//! 5. Every wait for a worker has one of the [`Deadlines`] of the caller's
//!    [`Limits`], every start the time-out of its [`Launch`], every stop the graces that the caller gave.
//!
//! Checked by `smoke/tests/smoke/pool/verbs.rs` and `pool/patience.rs`.

mod call;
mod error;
mod job;
mod outcome;
mod registry;
mod report;

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

/// Runs and continues pieces of work in workers of their own. Cheap to clone.
///
/// All that it knows is in the state directory: another process with a pool on the same directory goes on where this
/// one ended.
#[derive(Debug, Clone)]
pub struct WorkerPool {
    sessions: Sessions,
    speaking: Option<Speaking>,
    worker: Option<Launch>,
    limits: Limits,
}

impl WorkerPool {
    /// A pool whose sessions are among `sessions`.
    pub fn new(sessions: Sessions) -> Self {
        Self { sessions, speaking: None, worker: None, limits: Limits::default() }
    }

    /// What is spoken with workers. Without it, each worker is spoken to in the version that it last reported, or that
    /// its host spoke, which is enough to ask for its status and to shut it down.
    #[must_use]
    pub fn speaking(self, speaking: Speaking) -> Self {
        Self { speaking: Some(speaking), ..self }
    }

    /// What is started for a new session. Its readiness is the pool's business: it has to accept on `{socket}`.
    #[must_use]
    pub fn worker(self, launch: Launch) -> Self {
        Self { worker: Some(launch), ..self }
    }

    /// How long workers may take, and how long their lines may be.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Starts a worker for a new session and has it run a piece of work, until that is over or waits for an answer.
    ///
    /// # Errors
    /// [`PoolError`] says what went wrong and, where a worker is left, which session to ask.
    ///
    /// # Cancel safety
    /// If dropped, the worker may have been started and may be at work: [`Self::list`] knows its session.
    pub async fn run(&self, run: Run) -> Result<RunOutcome, PoolError> {
        let speaking = self.speaking.clone().ok_or(PoolError::NoVersion)?;
        let launch =
            self.worker.clone().ok_or(PoolError::NoProgram)?.speaking(speaking).role(Role::PoolWorker);
        let session = generate(clock::now(), random::number()?);
        let mut call = Call::new(self.means(), session, Ask::Run(Box::new((run, launch))));
        let end = call.run().await;
        call.fed(end)
    }

    /// Hands a paused session its answer, and has it go on until it is over or waits again.
    ///
    /// # Errors
    /// [`PoolError`]; the worker is left as it is.
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

    /// Asks the worker of a session how it stands.
    ///
    /// # Errors
    /// [`PoolError`]; [`PoolError::WorkerGone`] if there is nobody left to ask.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn status(&self, sid: &str, request: StatusRequest) -> Result<PoolStatus, PoolError> {
        let mut call = Call::new(self.means(), self.find(sid)?, Ask::Status(request));
        let _end = call.run().await;
        call.told()
    }

    /// Ends the worker of a session: it is asked to, then signalled.
    ///
    /// # Errors
    /// [`PoolError`] if the session is not known or its worker cannot be signalled. That the worker was gone already, or
    /// did not answer, is none.
    ///
    /// # Cancel safety
    /// If dropped, the worker may be ending; asking again is safe.
    pub async fn shutdown(&self, sid: &str, policy: &StopPolicy) -> Result<Stopped, PoolError> {
        let mut call = Call::new(self.means(), self.find(sid)?, Ask::Shutdown(*policy));
        let end = call.run().await;
        call.shut_down(end)
    }

    /// Every session of the pool, in order of their age. Asks no worker.
    ///
    /// # Errors
    /// If the state directory cannot be listed.
    pub fn list(&self) -> Result<Vec<PoolEntry>, PoolError> {
        registry::list(&self.sessions)
    }

    /// Removes the sessions of the pool whose worker is provably gone, and ends those workers that were started by a
    /// host which died before it gave them anything to do.
    ///
    /// # Errors
    /// If the state directory cannot be listed. A session that cannot be removed is kept, and says why.
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

    /// A worker whose host died either has a session, whose name is then written down, or nothing to do.
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
