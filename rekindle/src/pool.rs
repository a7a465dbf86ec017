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
//! 5. Every wait for a worker has one of the [`Deadlines`](rekindle_adapters::client::Deadlines) of the caller's
//!    [`Limits`], every start the time-out of its [`Launch`], every stop the graces that the caller gave.
//!
//! Checked by `smoke/tests/smoke/pool/verbs.rs` and `pool/patience.rs`.

mod call;
mod error;
mod outcome;
mod registry;

use crate::collect::{self, Collected, Collection, FailedRuns};
use crate::launch::Launch;
use crate::outcome::{Ensured, Running, StopOutcome, Stopped};
use crate::sessions::Sessions;
use call::Dialogue;
pub use error::PoolError;
pub use outcome::{PoolEntry, PoolStatus, Reply, RunOutcome};
use rekindle_adapters::client::{Limits, PoolCallError, PoolClient};
use rekindle_adapters::{clock, random};
use rekindle_core::plan::Role;
use rekindle_core::pool::generate;
use rekindle_core::protocol::{Continue, Run, Speaking, StatusRequest, Version, WorkerName, host_json};
use rekindle_core::stop::StopPolicy;
use rekindle_core::{Intent, RejectReason, SessionId};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long to wait before a worker that is coming up is asked again.
const ATTACH_PAUSE: Duration = Duration::from_millis(5);

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
        let speaking = self.speaking.as_ref().ok_or(PoolError::NoVersion)?;
        let launch = self.worker.clone().ok_or(PoolError::NoProgram)?;
        let session = generate(clock::now(), random::number()?);
        let running = self.start(&session, launch.speaking(speaking.clone())).await?;
        let generation = running.generation;
        let client = match PoolClient::open(running.connection, speaking, self.limits).await {
            Ok(client) => client,
            Err(source) => return Err(self.give_up(session, source).await),
        };
        tracing::info!(%session, version = %client.greeting().version, "the worker answered the handshake; sending `run`");
        let mut dialogue = Dialogue { session: session.clone(), generation, client, name: None };
        match dialogue.run(run).await {
            Ok(feed) => {
                let name = feed.session_id.clone().unwrap_or_else(|| WorkerName::from(&session));
                let save_error = self.remember(&dialogue, &name).await;
                Ok(RunOutcome { host: host_json(&name, &feed.feed_result), session, save_error })
            }
            // It has said that nothing began; nobody will ever come back to this worker.
            Err(refused) if refused.is_refusal() => {
                self.end(&session).await;
                Err(refused)
            }
            Err(error) => Err(error),
        }
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
        let mut dialogue = self.dialogue(sid).await?;
        let (name, known) = match dialogue.name.clone() {
            Some(name) => (name, true),
            // Whoever began it did not live to write its name down.
            None => (dialogue.ask_for_the_name().await?, false),
        };
        let Reply { response, query_id, usage } = reply;
        let feed =
            dialogue.continue_session(Continue { sid: name.clone(), response, query_id, usage }).await?;
        let save_error = if known { None } else { self.remember(&dialogue, &name).await };
        Ok(RunOutcome { host: host_json(&name, &feed.feed_result), session: dialogue.session, save_error })
    }

    /// Asks the worker of a session how it stands.
    ///
    /// # Errors
    /// [`PoolError`]; [`PoolError::WorkerGone`] if there is nobody left to ask.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn status(&self, sid: &str, request: StatusRequest) -> Result<PoolStatus, PoolError> {
        let mut dialogue = self.dialogue(sid).await?;
        let report = dialogue.status(request).await?;
        Ok(PoolStatus { session: dialogue.session, name: dialogue.name, report })
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
        let session = self.find(sid)?;
        let agreed = match self.dialogue(session.as_str()).await {
            Ok(mut dialogue) => dialogue.shutdown().await,
            Err(error) => Err(error),
        };
        if let Err(error) = &agreed {
            tracing::info!(%session, %error, "the worker did not agree to end, and is signalled");
        }
        let stopped = self.sessions.stop(&session, policy).await?;
        // It may be gone before it could be signalled.
        let by_itself = agreed.is_ok() && stopped.outcome == StopOutcome::NotRunning;
        Ok(if by_itself { Stopped { outcome: StopOutcome::Stopped, ..stopped } } else { stopped })
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
        Ok(collect::collect(self.sessions.root(), self.sessions.here(), &what, is_member)?)
    }

    /// A worker whose host died either has a session, whose name is then written down, or nothing to do.
    async fn settle_forsaken(&self, session: &SessionId) -> Result<(), PoolError> {
        let mut dialogue = self.dialogue(session.as_str()).await?;
        match dialogue.ask_for_the_name().await {
            Ok(name) => {
                if let Some(error) = self.remember(&dialogue, &name).await {
                    tracing::warn!(%session, error, "the name of a session could not be written down");
                }
            }
            Err(PoolError::NoSession { .. }) => self.end(session).await,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn find(&self, sid: &str) -> Result<SessionId, PoolError> {
        registry::find(&self.sessions, sid)
    }

    async fn start(&self, session: &SessionId, launch: Launch) -> Result<Running, PoolError> {
        let launch = launch.intent(Intent::Resume).role(Role::PoolWorker);
        match self.sessions.ensure(session, launch).await? {
            Ensured::Running(running) => Ok(*running),
            other => Err(PoolError::NotStarted { session: session.clone(), outcome: Box::new(other) }),
        }
    }

    /// Connects to the worker of a session and shakes hands.
    async fn dialogue(&self, sid: &str) -> Result<Dialogue, PoolError> {
        let session = self.find(sid)?;
        let running = self.attach(&session).await?;
        // After the connection, so that it speaks of the worker that answered.
        let record = registry::record(&self.sessions, &session)?;
        let recorded = record.worker_version.clone().or_else(|| record.speak().cloned());
        let known = || recorded.clone().map(Speaking::exactly);
        let speaking = self.speaking.clone().or_else(known).ok_or(PoolError::NoVersion)?;
        let recorded_text = recorded.as_ref().map(Version::as_str);
        tracing::info!(%session, spoken = speaking.version.as_str(), recorded = recorded_text, "shaking hands");
        let client = PoolClient::open(running.connection, &speaking, self.limits).await;
        let client = client
            .map_err(|source| PoolError::strange(session.clone(), source, &speaking.version, recorded))?;
        Ok(Dialogue { session, generation: record.generation, client, name: record.worker_name })
    }

    /// Connects to the worker of a session. One whose host died while it came up is given a moment to do so.
    async fn attach(&self, session: &SessionId) -> Result<Running, PoolError> {
        let within = self.limits.deadlines.connect;
        let began = Instant::now();
        loop {
            let left = within.saturating_sub(began.elapsed());
            let attach = Launch::attach().intent(Intent::Attach).timeout(left);
            match self.sessions.ensure(session, attach).await? {
                Ensured::Running(running) => return Ok(*running),
                Ensured::Rejected(rejection) if rejection.reason == RejectReason::NotRunning => {
                    if registry::worker_is_gone(&self.sessions, session)? {
                        return Err(PoolError::WorkerGone { session: session.clone() });
                    }
                    if began.elapsed() >= within {
                        return Err(PoolError::silent(session, &rejection, within));
                    }
                    tokio::time::sleep(ATTACH_PAUSE).await;
                }
                Ensured::Rejected(rejection) => return Err(PoolError::unreachable(session, rejection)),
                other @ (Ensured::Exited(_) | Ensured::NotStarted(_) | Ensured::Retained(_)) => {
                    return Err(PoolError::NotStarted { session: session.clone(), outcome: Box::new(other) });
                }
            }
        }
    }

    /// Writes down what a worker said of its session; what prevented it, if something did.
    async fn remember(&self, dialogue: &Dialogue, name: &WorkerName) -> Option<String> {
        let version = dialogue.client.greeting().version.clone();
        let within = self.limits.deadlines.connect;
        // All that it waits for is the claim, which it does not hold while it waits.
        match timeout(within, registry::remember(&self.sessions, dialogue, version, name.clone())).await {
            Ok(remembered) => remembered.err().map(|it| it.to_string()),
            Err(_) => {
                Some(format!("the claim on the session was not to be had within {} ms", within.as_millis()))
            }
        }
    }

    /// A worker with which nobody can speak is not left to itself.
    async fn give_up(&self, session: SessionId, source: PoolCallError) -> PoolError {
        tracing::info!(%session, error = %source, "the worker that was started is of no use, and is ended");
        let stopped = self.sessions.stop(&session, &self.stop_policy(&session)).await;
        let stopped =
            stopped.map_or_else(|error| error.to_string(), |stopped| outcome::in_words(stopped.outcome));
        PoolError::Handshake { session, source: Box::new(source), recorded: None, stopped: Some(stopped) }
    }

    /// How a worker that is of no use is ended: by the plan of its start, as if it had not come up.
    fn stop_policy(&self, session: &SessionId) -> StopPolicy {
        registry::record(&self.sessions, session)
            .map(|record| record.kill_policy())
            .unwrap_or_default()
            .into()
    }

    async fn end(&self, session: &SessionId) {
        if let Err(error) = self.sessions.stop(session, &self.stop_policy(session)).await {
            tracing::warn!(%session, %error, "a worker without a session could not be ended");
        }
    }
}
