//! Performs the steps of [`rekindle_core::pool::job`] for one session of a pool.
//!
//! Decides nothing: each answer goes into the machine, and the machine names the next step.

use super::call::Dialogue;
use super::error::PoolError;
use super::outcome::{self, PoolStatus, Reply, RunOutcome};
use super::registry;
use crate::launch::Launch;
use crate::outcome::{Ensured, Rejection, Running, StopOutcome, Stopped};
use crate::sessions::Sessions;
use rekindle_adapters::client::{Limits, PoolClient};
use rekindle_core::pool::job::{self, Attached, Effect, End, Event, Job, Name, Purpose, WasRunning};
use rekindle_core::protocol::{
    Continue, Feed, Run, Speaking, StatusReport, StatusRequest, Version, WorkerName, host_json,
};
use rekindle_core::stop::StopPolicy;
use rekindle_core::{Intent, RejectReason, SessionId};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The pause before another connect to a worker that is starting.
const ATTACH_PAUSE: Duration = Duration::from_millis(5);

/// The reason why an error must be present.
const SAID: &str = "a step that fails says why";

/// The reason why a dialogue must be present.
const GREETED: &str = "the machine speaks to a worker only after a handshake";

/// The request of a call.
pub(super) enum Ask {
    /// Run a piece of work in a worker of this launch.
    Run(Box<(Run, Launch)>),
    /// Continue with this answer.
    Continue(Reply),
    /// Ask for the status.
    Status(StatusRequest),
    /// Record or end a worker whose host died.
    Settle,
    /// End the worker.
    Shutdown(StopPolicy),
}

impl Ask {
    fn purpose(&self) -> Purpose {
        match self {
            Self::Run(_) => Purpose::Run,
            Self::Continue(_) => Purpose::Continue,
            Self::Status(_) => Purpose::Status,
            Self::Settle => Purpose::Settle,
            Self::Shutdown(_) => Purpose::Shutdown,
        }
    }
}

/// The parts of a pool that a call uses.
pub(super) struct Means<'p> {
    pub(super) sessions: &'p Sessions,
    /// The version to speak; without a version, the recorded version of the worker.
    pub(super) speaking: Option<&'p Speaking>,
    pub(super) limits: Limits,
}

/// A call in progress, with its connection and its findings.
pub(super) struct Call<'p> {
    pool: Means<'p>,
    session: SessionId,
    ask: Ask,
    began: Instant,
    running: Option<Box<Running>>,
    rejection: Option<Box<Rejection>>,
    dialogue: Option<Dialogue>,
    /// The worker's name for the session.
    name: Option<WorkerName>,
    feed: Option<Feed>,
    report: Option<StatusReport>,
    stopped: Option<Stopped>,
    save_error: Option<String>,
    error: Option<PoolError>,
}

impl<'p> Call<'p> {
    pub(super) fn new(pool: Means<'p>, session: SessionId, ask: Ask) -> Self {
        Self {
            pool,
            session,
            ask,
            began: Instant::now(),
            running: None,
            rejection: None,
            dialogue: None,
            name: None,
            feed: None,
            report: None,
            stopped: None,
            save_error: None,
            error: None,
        }
    }

    /// Drives the machine to the end.
    pub(super) async fn run(&mut self) -> End {
        let mut job = Job::new(self.ask.purpose());
        loop {
            let effect = job.effect();
            let event = match effect {
                Effect::Done(end) => return end,
                effect => self.perform(effect).await.unwrap_or_else(|error| {
                    self.error = Some(error);
                    Event::Failed
                }),
            };
            tracing::debug!(session = %self.session, ?effect, ?event, "a step of the pool's call");
            job = job::step(job, event);
        }
    }

    async fn perform(&mut self, effect: Effect) -> Result<Event, PoolError> {
        match effect {
            Effect::Start => self.start().await,
            Effect::Attach => self.attach().await,
            Effect::AskWhetherGone => {
                let is_gone = registry::worker_is_gone(self.pool.sessions, &self.session)?;
                if is_gone {
                    self.error = Some(PoolError::WorkerGone { session: self.session.clone() });
                }
                Ok(yes_or_no(is_gone))
            }
            Effect::Pause => Ok(self.pause().await),
            Effect::Greet => self.greet().await.map(Event::Greeted),
            Effect::AskName => self.ask_name().await,
            Effect::Feed => self.feed().await,
            Effect::AskStatus => {
                let Ask::Status(request) = &self.ask else { return Ok(Event::Failed) };
                let request = *request;
                self.report = Some(self.dialogue().status(request).await?);
                Ok(Event::Did)
            }
            Effect::Remember => {
                self.save_error = self.remember().await;
                Ok(if self.save_error.is_none() { Event::Did } else { Event::Failed })
            }
            Effect::EndWorker => {
                self.end_worker().await;
                Ok(Event::Did)
            }
            Effect::AskToEnd => {
                self.dialogue().shutdown().await?;
                Ok(Event::Did)
            }
            Effect::Stop => self.stop().await,
            Effect::Done(_) => Ok(Event::Did),
        }
    }

    fn dialogue(&mut self) -> &mut Dialogue {
        self.dialogue.as_mut().expect(GREETED)
    }

    async fn start(&mut self) -> Result<Event, PoolError> {
        let Ask::Run(work) = &self.ask else { return Ok(Event::Failed) };
        let launch = work.1.clone().intent(Intent::Resume);
        match self.pool.sessions.ensure(&self.session, launch).await? {
            Ensured::Running(running) => {
                self.running = Some(running);
                Ok(Event::Did)
            }
            outcome => {
                self.error = Some(self.not_started(outcome));
                Ok(Event::Refused)
            }
        }
    }

    fn not_started(&self, outcome: Ensured) -> PoolError {
        PoolError::NotStarted { session: self.session.clone(), outcome: Box::new(outcome) }
    }

    /// If the host died during the start, waits for the worker within the time for connecting.
    async fn attach(&mut self) -> Result<Event, PoolError> {
        let left = self.pool.limits.deadlines.connect.saturating_sub(self.began.elapsed());
        let attach = Launch::attach().intent(Intent::Attach).timeout(left);
        Ok(Event::Attached(match self.pool.sessions.ensure(&self.session, attach).await? {
            Ensured::Running(running) => {
                self.running = Some(running);
                Attached::Running
            }
            Ensured::Rejected(rejection) if rejection.reason == RejectReason::NotRunning => {
                self.rejection = Some(rejection);
                Attached::NotRunning
            }
            Ensured::Rejected(rejection) => {
                self.error = Some(PoolError::unreachable(&self.session, rejection));
                Attached::Rejected
            }
            outcome @ (Ensured::Exited(_) | Ensured::NotStarted(_) | Ensured::Retained(_)) => {
                self.error = Some(self.not_started(outcome));
                Attached::Other
            }
        }))
    }

    async fn pause(&mut self) -> Event {
        let within = self.pool.limits.deadlines.connect;
        if self.began.elapsed() < within {
            tokio::time::sleep(ATTACH_PAUSE).await;
            return Event::Did;
        }
        let rejection = self.rejection.as_ref().expect("a call waits for a worker that was not running");
        self.error = Some(PoolError::silent(&self.session, rejection, within));
        Event::Late
    }

    async fn greet(&mut self) -> Result<Name, PoolError> {
        let running = self.running.take().expect("the machine greets a worker that it reached");
        let session = self.session.clone();
        if let Ask::Run(_) = self.ask {
            let speaking = self.pool.speaking.ok_or(PoolError::NoVersion)?;
            let generation = running.generation;
            let opened = PoolClient::open(running.connection, speaking, self.pool.limits).await;
            let client = opened.map_err(|source| PoolError::Handshake {
                session: session.clone(),
                source: Box::new(source),
                recorded: None,
                stopped: None,
            })?;
            tracing::info!(%session, version = %client.greeting().version, "the worker answered the handshake");
            self.dialogue = Some(Dialogue { session, generation, client });
            return Ok(Name::New);
        }
        // Read after the connect, so that the record describes the worker that answered.
        let record = registry::record(self.pool.sessions, &session)?;
        let recorded = record.worker_version.clone().or_else(|| record.speak().cloned());
        let known = || recorded.clone().map(Speaking::exactly);
        let speaking = self.pool.speaking.cloned().or_else(known).ok_or(PoolError::NoVersion)?;
        let recorded_text = recorded.as_ref().map(Version::as_str);
        tracing::info!(%session, spoken = speaking.version.as_str(), recorded = recorded_text, "shaking hands");
        let opened = PoolClient::open(running.connection, &speaking, self.pool.limits).await;
        let client = opened
            .map_err(|source| PoolError::strange(session.clone(), source, &speaking.version, recorded))?;
        self.dialogue = Some(Dialogue { session, generation: record.generation, client });
        self.name = record.worker_name;
        Ok(if self.name.is_some() { Name::Recorded } else { Name::New })
    }

    async fn ask_name(&mut self) -> Result<Event, PoolError> {
        let report = self.dialogue().status(StatusRequest::default()).await?;
        if !report.has_session {
            self.error = Some(PoolError::NoSession { session: self.session.clone() });
            return Ok(Event::Refused);
        }
        self.name = Some(report.session_id.unwrap_or_else(|| WorkerName::from(&self.session)));
        Ok(Event::Did)
    }

    async fn feed(&mut self) -> Result<Event, PoolError> {
        let name = self.name.clone();
        let dialogue = self.dialogue.as_mut().expect(GREETED);
        let fed = match (&self.ask, name) {
            (Ask::Run(work), _) => dialogue.run(work.0.clone()).await,
            (Ask::Continue(reply), Some(sid)) => {
                let Reply { response, query_id, usage } = reply.clone();
                dialogue.continue_session(Continue { sid, response, query_id, usage }).await
            }
            (Ask::Continue(_) | Ask::Status(_) | Ask::Settle | Ask::Shutdown(_), _) => {
                return Ok(Event::Failed);
            }
        };
        match fed {
            Ok(feed) => {
                if self.name.is_none() {
                    let ours = || WorkerName::from(&self.session);
                    self.name = Some(feed.session_id.clone().unwrap_or_else(ours));
                }
                self.feed = Some(feed);
                Ok(Event::Did)
            }
            Err(refused) if refused.is_refusal() => {
                self.error = Some(refused);
                Ok(Event::Refused)
            }
            Err(error) => Err(error),
        }
    }

    /// Records the worker's facts about the session; returns the reason if recording failed.
    async fn remember(&self) -> Option<String> {
        let dialogue = self.dialogue.as_ref().expect(GREETED);
        let name = self.name.clone().expect("the worker tells the name before it is recorded");
        let version = dialogue.client.greeting().version.clone();
        let within = self.pool.limits.deadlines.connect;
        // The call waits only for the claim, and holds no claim while waiting.
        match timeout(within, registry::remember(self.pool.sessions, dialogue, version, name)).await {
            Ok(remembered) => remembered.err().map(|error| error.to_string()),
            Err(_) => {
                Some(format!("the claim on the session was not to be had within {} ms", within.as_millis()))
            }
        }
    }

    /// Ends a worker that cannot be used, or has no work.
    async fn end_worker(&mut self) {
        tracing::info!(session = %self.session, error = ?self.error, "the worker is of no use, and is ended");
        let stopped = self.pool.sessions.stop(&self.session, &self.ending()).await;
        let words = match stopped {
            Ok(stopped) => outcome::in_words(stopped.outcome),
            Err(error) => {
                tracing::warn!(session = %self.session, %error, "a worker that is of no use could not be ended");
                error.to_string()
            }
        };
        if let Some(PoolError::Handshake { stopped, .. }) = &mut self.error {
            *stopped = Some(words);
        }
    }

    /// The kill policy of the worker's plan, as if the worker had not become ready.
    fn ending(&self) -> StopPolicy {
        let record = registry::record(self.pool.sessions, &self.session);
        record.map(|record| record.kill_policy()).unwrap_or_default().into()
    }

    async fn stop(&mut self) -> Result<Event, PoolError> {
        let Ask::Shutdown(policy) = &self.ask else { return Ok(Event::Failed) };
        if let Some(error) = &self.error {
            tracing::info!(session = %self.session, %error, "the worker did not agree to end, and is signalled");
        }
        // The caller has the graces; only the record has the signal.
        let policy = StopPolicy { signal: self.ending().signal, ..*policy };
        let stopped = self.pool.sessions.stop(&self.session, &policy).await?;
        let ran = if stopped.outcome == StopOutcome::NotRunning { WasRunning::No } else { WasRunning::Yes };
        self.stopped = Some(stopped);
        Ok(Event::Stopped(ran))
    }

    /// The result of [`Ask::Run`] and [`Ask::Continue`].
    pub(super) fn fed(self, end: End) -> Result<RunOutcome, PoolError> {
        match (end, self.feed, self.name) {
            (End::Fed, Some(feed), Some(name)) => Ok(RunOutcome {
                host: host_json(&name, &feed.feed_result),
                session: self.session,
                save_error: self.save_error,
            }),
            _ => Err(self.error.expect(SAID)),
        }
    }

    /// The result of [`Ask::Status`].
    pub(super) fn told(self) -> Result<PoolStatus, PoolError> {
        let Some(report) = self.report else { return Err(self.error.expect(SAID)) };
        Ok(PoolStatus { session: self.session, name: self.name, report })
    }

    /// The result of [`Ask::Settle`].
    pub(super) fn settled(self, end: End) -> Result<(), PoolError> {
        if end != End::Settled {
            return Err(self.error.expect(SAID));
        }
        if let Some(error) = self.save_error {
            tracing::warn!(session = %self.session, error, "the name of a session could not be recorded");
        }
        Ok(())
    }

    /// The result of [`Ask::Shutdown`].
    pub(super) fn shut_down(self, end: End) -> Result<Stopped, PoolError> {
        match (end, self.stopped) {
            (End::Stopped(job::Stopped::ByItself), Some(stopped)) => {
                Ok(Stopped { outcome: StopOutcome::Stopped, ..stopped })
            }
            (End::Stopped(job::Stopped::AsReported), Some(stopped)) => Ok(stopped),
            _ => Err(self.error.expect(SAID)),
        }
    }
}

fn yes_or_no(yes: bool) -> Event {
    if yes { Event::Did } else { Event::Refused }
}
