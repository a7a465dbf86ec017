//! One call in progress: performs the effects of [`rekindle_core::ensure`], and keeps their results.
//!
//! Decides nothing: performs an effect, passes the answer to the machine, and receives the next effect.

use super::request::{Ensure, Hold};
use crate::error::Error;
use crate::launch::{Launch, Source};
use crate::outcome::{DryRun, Ensured, Rejection, Replaced, StartKind, StopOutcome};
use crate::sessions::restore;
use crate::sessions::snapshot::Snapshot;
use crate::sessions::stop::Ending;
use rekindle_adapters::backoff::Backoff;
use rekindle_adapters::claim_lock::{ClaimAttempt, ClaimQueue, read_evidence, try_claim};
use rekindle_adapters::handshake::{HandshakeSocketWatcher, OnVersionMismatch};
use rekindle_adapters::probe::{Connection, Probed};
use rekindle_adapters::seams::SharedClaim;
use rekindle_adapters::start::Start;
use rekindle_adapters::tcp;
use rekindle_adapters::{
    HeldClaim, ProductionSpawnBgResumeDeps, clock, env_file, program, record_file, worker,
};
use rekindle_core::again::{NoPlan, startable};
use rekindle_core::claim::Found;
use rekindle_core::ensure::{
    self, Before, Conclusion, Deadline, Depth, Effect, Ended, Event, MayPass, Request, StartPath, Stranger,
};
use rekindle_core::execute::{Cause, Seen};
use rekindle_core::record::EndedBy;
use rekindle_core::stop::{StopEnd, StopPolicy, StopStep, execute_stop};
use rekindle_core::{
    ChildExit, ExecuteError, Liveness, Outcome, Pid, ReleaseError, SessionRecord, SpawnBgPlan, SpawnError,
    Verdict, WatchError, execute_spawn_bg_resume,
};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The pause before a start is repeated after another process made the start impossible.
const ABANDONED_PAUSE: Duration = Duration::from_millis(2);

/// The reason why a claim must be held.
const UNDER_THE_CLAIM: &str = "the machine asks for this only while the claim is held";

/// A call, with open resources and findings.
pub(super) struct Call<'e> {
    /// The call as the caller asked.
    asked: &'e Ensure,
    /// The call with the launch of the record, if the caller asked for the recorded start.
    ensure: Cow<'e, Ensure>,
    /// Why the record is not enough for a start.
    no_plan: Option<NoPlan>,
    began: Instant,
    deadline: Instant,
    depth: Depth,
    queue: ClaimQueue<'e>,
    snapshot: Snapshot,
    plan: Option<SpawnBgPlan>,
    probed: Option<Probed>,
    held: Option<HeldClaim>,
    /// The port chosen by this call.
    port: Option<SocketAddr>,
    /// The pauses while a worker does not answer.
    pauses: Option<Backoff>,
    rejection: Option<Rejection>,
    /// The result of a start.
    started: Option<Result<Ensured, Error>>,
    not_released: Option<ReleaseError>,
    /// The remaining processes of a worker that a restart could not end.
    survivors: Vec<Pid>,
    /// The worker that a restart ended.
    replaced: Option<Replaced>,
    error: Option<Error>,
}

impl<'e> Call<'e> {
    pub(super) fn new(ensure: &'e Ensure, began: Instant, depth: Depth) -> Self {
        Self {
            asked: ensure,
            ensure: Cow::Borrowed(ensure),
            no_plan: None,
            began,
            deadline: began + ensure.launch.observe_timeout(),
            depth,
            queue: ClaimQueue::new(&ensure.root, &ensure.session, &ensure.here),
            snapshot: Snapshot::nothing(),
            plan: None,
            probed: None,
            held: None,
            port: None,
            pauses: None,
            rejection: None,
            started: None,
            not_released: None,
            survivors: Vec::new(),
            replaced: None,
            error: None,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn replaced(&self) -> Option<Replaced> {
        self.replaced.clone()
    }

    /// The launch, completed from the record if the caller asked for the recorded start.
    pub(super) fn launch(&self) -> &Launch {
        &self.ensure.launch
    }

    /// Drives the machine to its conclusion.
    pub(super) async fn run(&mut self) -> Conclusion {
        let launch = &self.ensure.launch;
        let (intent, depth, port) = (launch.intent, self.depth, launch.port_choice());
        let unrecorded = launch.unrecorded;
        let mut call = ensure::Ensure::new(Request { intent, depth, port, unrecorded });
        loop {
            let event = match call.effect() {
                Effect::Done(conclusion) => return conclusion,
                effect => self.perform(effect).await.unwrap_or_else(|error| {
                    self.error = Some(error);
                    Event::Failed
                }),
            };
            tracing::debug!(session = %self.ensure.session, effect = ?call.effect(), ?event, "a step of the call");
            call = ensure::step(call, event).on_port(self.launch().port_choice());
        }
    }

    async fn perform(&mut self, effect: Effect) -> Result<Event, Error> {
        match effect {
            Effect::Look => self.look(),
            Effect::CheckTarget => {
                self.rejection = self.ensure.refuse_target(self.planned())?;
                Ok(yes_or_no(self.rejection.is_none()))
            }
            Effect::Probe => Ok(Event::Probed(self.probe().await)),
            Effect::InspectClaim => {
                self.ensure.mend_modes();
                let session = self.ensure.root.session(&self.ensure.session)?;
                let found = session.map(|dir| read_evidence(&dir)).transpose()?;
                Ok(yes_or_no(found.is_some_and(|found| found != Found::Nothing)))
            }
            Effect::ClearClaim => {
                self.clear_claim();
                Ok(Event::Did)
            }
            Effect::Acquire => self.acquire(),
            Effect::AwaitClaim => Ok(match timeout_at(self.deadline, self.queue.wait()).await {
                Ok(()) => Event::Did,
                Err(_) => Event::Late,
            }),
            Effect::LookUnderClaim => self.look_under_claim(),
            Effect::Complete => Ok(self.complete()),
            Effect::CheckProgram => Ok(self.check_program()),
            Effect::EndWorker => self.end_worker().await,
            Effect::Start(kind) => self.start(kind).await,
            Effect::Release => Ok(self.release()),
            Effect::Pause => {
                tokio::time::sleep(ABANDONED_PAUSE).await;
                Ok(Event::Did)
            }
            Effect::AwaitAnswer => Ok(self.await_answer().await),
            Effect::Done(_) => Ok(Event::Did),
        }
    }

    fn look(&mut self) -> Result<Event, Error> {
        self.snapshot = match self.depth {
            Depth::DryRun => self.ensure.snapshot_of_anything()?,
            Depth::Whole | Depth::AtOnce => self.ensure.snapshot(self.queue.dir())?,
        };
        self.looked()
    }

    fn looked(&mut self) -> Result<Event, Error> {
        self.read_launch()?;
        self.plan()?;
        let asked = self.ensure.launch.ready.as_ref();
        let endpoint = self.snapshot.endpoint_view(self.planned().target(), asked);
        Ok(Event::Looked(self.snapshot.view(endpoint)))
    }

    /// Completes the launch from the record of the last look. A running worker can be attached to even if its record is not
    /// enough for a start; but a restart would end what it cannot start again.
    fn read_launch(&mut self) -> Result<(), Error> {
        let asked = self.asked;
        if asked.launch.source == Source::Defaults || self.snapshot.newer.is_some() {
            return Ok(());
        }
        self.plan = None;
        match startable(self.snapshot.record.as_ref(), &asked.launch.supplied()) {
            Ok(plan) => {
                let launch = asked.launch.over(plan, &asked.own_socket());
                self.deadline = self.began + launch.observe_timeout();
                self.ensure = Cow::Owned(Ensure { launch, ..asked.clone() });
                self.no_plan = None;
            }
            Err(why) => {
                if asked.launch.intent.is_restart() || !self.snapshot.may_answer() {
                    return Err(asked.no_plan(why, &self.snapshot));
                }
                self.ensure = Cow::Borrowed(asked);
                self.no_plan = Some(why);
            }
        }
        Ok(())
    }

    /// Refuses a start if the record is not enough for one.
    fn require_plan(&self) -> Result<(), Error> {
        match &self.no_plan {
            Some(why) => Err(self.asked.no_plan(why.clone(), &self.snapshot)),
            None => Ok(()),
        }
    }

    /// Plans for the endpoint of the last look. Another start since the look before may have another port; otherwise the
    /// plan stays.
    fn plan(&mut self) -> Result<(), Error> {
        let hold = if self.held.is_some() { Hold::Claim } else { Hold::Nothing };
        let endpoint = self.ensure.endpoint(&self.snapshot, &mut self.port, hold)?;
        if self.plan.as_ref().is_none_or(|plan| *plan.target() != endpoint) {
            self.plan = Some(self.ensure.launch.plan(&self.ensure.session, endpoint));
        }
        Ok(())
    }

    async fn probe(&mut self) -> Liveness {
        let probed = match (&self.plan, self.depth) {
            (Some(plan), Depth::AtOnce) => {
                self.snapshot.probe_once(plan.target(), plan.foreign_listener, &self.ensure.here)
            }
            (Some(plan), Depth::Whole | Depth::DryRun) => {
                self.snapshot.probe(plan.target(), plan.foreign_listener, &self.ensure.here).await
            }
            (None, _) => Probed::Indeterminate { why: "it was not planned where".into() },
        };
        let liveness = probed.liveness();
        tracing::info!(session = %self.ensure.session, intent = ?self.ensure.launch.intent, ?liveness,
            last = ?self.snapshot.last_worker(), "looked at the worker");
        self.probed = Some(probed);
        liveness
    }

    /// Clears the claim of a launcher that died once its worker was ready: takes the claim over and releases it. A claim
    /// held by another launcher is left to that launcher; a worker that answers does not wait for the release.
    fn clear_claim(&self) {
        let Ensure { root, here, session, .. } = self.asked;
        if let Ok(ClaimAttempt::Held(held)) = try_claim(root, session, here)
            && let Err(error) = held.release()
        {
            tracing::warn!(%session, %error, "a claim that was left behind could not be cleared");
        }
    }

    fn acquire(&mut self) -> Result<Event, Error> {
        Ok(match self.queue.attempt()? {
            ClaimAttempt::Held(held) => {
                self.held = Some(*held);
                Event::Did
            }
            ClaimAttempt::Conflict { why, holder } => {
                let may_pass = if why.may_pass() { MayPass::Yes } else { MayPass::No };
                self.rejection = Some(self.ensure.locked(self.planned(), &why, holder.map(|it| *it)));
                Event::Conflict(may_pass)
            }
        })
    }

    fn look_under_claim(&mut self) -> Result<Event, Error> {
        let held = self.held.as_ref().expect(UNDER_THE_CLAIM);
        let snapshot = restore::in_place(held.dir(), &self.ensure.here)?;
        self.snapshot = self.ensure.readable(snapshot)?;
        self.looked()
    }

    /// For a worker found live under the claim: completes the record, then releases the claim.
    fn complete(&mut self) -> Event {
        let held = self.held.take().expect(UNDER_THE_CLAIM);
        let record = self.snapshot.adopted_record();
        let start = Start::new(SharedClaim::new(held), self.ensure.here.clone(), record);
        if let Some(Probed::Live(connection)) = &self.probed {
            start.note_alive(connection);
        }
        self.gave_up(start.settle())
    }

    fn release(&mut self) -> Event {
        let released = self.held.take().map_or(Ok(()), HeldClaim::release);
        self.gave_up(released)
    }

    fn gave_up(&mut self, released: Result<(), ReleaseError>) -> Event {
        self.begin_anew();
        match released {
            Ok(()) => Event::Did,
            Err(error) => {
                tracing::warn!(session = %self.ensure.session, %error, "the claim could not be released");
                self.not_released = Some(error);
                Event::Failed
            }
        }
    }

    /// Queues for the claim as at the beginning of the call.
    fn begin_anew(&mut self) {
        self.queue = ClaimQueue::new(&self.asked.root, &self.asked.session, &self.asked.here);
    }

    fn check_program(&mut self) -> Event {
        let resolved = self.planned().program().map_or(Err(SpawnError::NoProgram), program::resolve);
        let checked = resolved.and_then(|_| env_file::read(&self.planned().env_files));
        let Err(error) = checked else { return Event::Did };
        self.started = Some(Ok(Ensured::NotStarted(error)));
        Event::Refused
    }

    /// Ends the worker to be replaced by a restart. This call keeps the claim.
    async fn end_worker(&mut self) -> Result<Event, Error> {
        let worker = self.snapshot.worker(&self.ensure.here)?;
        let recorded = self.snapshot.record.as_ref().map(SessionRecord::kill_policy).unwrap_or_default();
        let policy = StopPolicy::from(recorded.changed(&self.asked.launch.kill));
        tracing::info!(session = %self.ensure.session, generation = %self.snapshot.generation(), "ending the worker for a restart");
        let ended = execute_stop(&policy, &Ending { worker: &worker, signal: policy.signal }).await;
        Ok(match ended.end {
            StopEnd::Ended { by } => {
                self.note_replaced(by, ended.exit.unwrap_or(ChildExit::Unknown));
                Event::Did
            }
            StopEnd::GaveUp => {
                self.survivors = worker::members(&worker).unwrap_or_default();
                Event::Refused
            }
        })
    }

    /// Notes the end of the worker, and records the end: if this launcher dies before the next start, nobody takes the worker
    /// for one that ended by itself.
    fn note_replaced(&mut self, by: StopStep, exit: ChildExit) {
        let outcome = match by {
            StopStep::CloseStdin | StopStep::Terminate => StopOutcome::Stopped,
            StopStep::Kill => StopOutcome::Killed,
        };
        let (pid, generation) = (self.snapshot.pid(), self.snapshot.generation());
        self.replaced = Some(Replaced { pid, generation, outcome });
        let record = self.snapshot.record.clone();
        let record = record.and_then(|record| record.after_end(clock::now(), exit, EndedBy::Stop));
        if let (Some(held), Some(record)) = (&self.held, record)
            && let Err(error) = record_file::write(held.dir(), &record)
        {
            tracing::warn!(session = %self.asked.session, %error, "the end of the worker could not be recorded");
        }
    }

    async fn start(&mut self, kind: StartPath) -> Result<Event, Error> {
        if kind == StartPath::Fresh
            && let Err(error) = self.require_plan()
        {
            self.error = Some(error);
            return Ok(Event::Ended(Ended::NotBegun, Deadline::Passed));
        }
        let mut plan = self.planned().clone();
        plan.observe_timeout = self.deadline.saturating_duration_since(Instant::now());
        let ended = match kind {
            StartPath::Fresh => self.spawn(&plan).await,
            StartPath::Adopted | StartPath::AdoptedConnected | StartPath::Attached => {
                self.adopt(&plan, kind).await
            }
        };
        let is_ahead = Instant::now() < self.deadline;
        if ended != Ended::NotBegun {
            self.begin_anew();
        }
        Ok(Event::Ended(ended, if is_ahead { Deadline::Ahead } else { Deadline::Passed }))
    }

    async fn spawn(&mut self, plan: &SpawnBgPlan) -> Ended {
        if let Err(error) = self.require_nowhere_else() {
            self.error = Some(error);
            return Ended::NotBegun;
        }
        let held = self.held.as_ref().expect(UNDER_THE_CLAIM);
        let generation = match held.generation(self.snapshot.generation()) {
            Ok(generation) => generation,
            Err(error) => {
                self.error = Some(error.into());
                return Ended::NotBegun;
            }
        };
        let held = self.held.take().expect(UNDER_THE_CLAIM);
        let claim = held.claim().clone();
        let left_behind =
            self.snapshot.record.as_ref().filter(|record| record.socket() == plan.expected_socket_path());
        let start = Start::new(SharedClaim::new(held), self.ensure.here.clone(), None)
            .spawn_on(self.ensure.spawn_on)
            .recorded_as(self.planned().clone())
            .replacing(left_behind.and_then(|record| record.socket_file));
        let mut deps = ProductionSpawnBgResumeDeps::fresh(&start, generation);
        if let Some(speaking) = plan.handshake() {
            let watcher = HandshakeSocketWatcher::new(&start, speaking.clone(), OnVersionMismatch::Fail);
            deps = deps.socket_watcher(watcher);
        }
        let deps = deps.build();
        let outcome = execute_spawn_bg_resume(plan, Some(&claim), &deps).await;
        let ended = self.ended(plan, &outcome);
        if ended == Ended::Abandoned {
            tracing::info!(session = %self.ensure.session, ?outcome, "a start was abandoned");
        }
        self.started = Some(self.ensure.ensured(plan, &start, StartKind::Started, outcome));
        ended
    }

    /// Fails if the session may run in another state directory of the same home.
    fn require_nowhere_else(&self) -> Result<(), Error> {
        let session = &self.ensure.session;
        match self.ensure.root.elsewhere(session)? {
            Some(place) => Err(Error::Elsewhere { session: session.clone(), place }),
            None => Ok(()),
        }
    }

    /// Adopts a worker whose launcher died: watches the worker as if this call had started it.
    async fn adopt(&mut self, plan: &SpawnBgPlan, kind: StartPath) -> Ended {
        let worker = match self.snapshot.worker(&self.ensure.here) {
            Ok(worker) => worker,
            Err(error) => {
                self.error = Some(error.into());
                return Ended::NotBegun;
            }
        };
        let held = self.held.take().expect(UNDER_THE_CLAIM);
        tracing::info!(session = %self.ensure.session, generation = %self.snapshot.generation(), "adopting a worker whose launcher died");
        let claim = held.claim().clone();
        // A worker that serves one client at a time would wait for the probe's connection, and answer no request.
        let found = self.connection().filter(|_| kind == StartPath::AdoptedConnected);
        let record = self.snapshot.adopted_record();
        let start = Start::new(SharedClaim::new(held), self.ensure.here.clone(), record);
        let mut deps = ProductionSpawnBgResumeDeps::adopting(&start, worker);
        if let Some(speaking) = plan.handshake() {
            let watcher = HandshakeSocketWatcher::new(&start, speaking.clone(), OnVersionMismatch::PassOn);
            deps =
                deps.socket_watcher(found.into_iter().fold(watcher, HandshakeSocketWatcher::beginning_with));
        }
        let deps = deps.build();
        let outcome = execute_spawn_bg_resume(plan, Some(&claim), &deps).await;
        let ended = self.ended(plan, &outcome);
        self.started = Some(self.ensure.ensured(plan, &start, StartKind::Adopted, outcome));
        ended
    }

    /// The end of a start. A worker that ended may have found its port taken.
    fn ended(&mut self, plan: &SpawnBgPlan, outcome: &Result<Outcome<Connection>, ExecuteError>) -> Ended {
        let who = match outcome {
            Ok(Outcome::ChildExited {
                cause: Some(Cause::Seam(WatchError::Stranger { who, .. })), ..
            }) => Some(who.clone()),
            Ok(Outcome::ChildExited { .. }) => plan.target().tcp().and_then(tcp::foreign_listener),
            Ok(_) | Err(_) => None,
        };
        let stranger = if who.is_some() { Stranger::Listens } else { Stranger::Absent };
        let ended = Ended::of(outcome, stranger);
        if let (Ended::AddressTaken, Some(who)) = (ended, who) {
            self.port = None;
            self.probed = Some(Probed::Foreign { who });
        }
        ended
    }

    /// Waits without the claim, until a worker that had been ready may answer again or be gone.
    async fn await_answer(&mut self) -> Event {
        let pauses = self.pauses.take();
        let mut pauses = pauses.unwrap_or_else(|| match self.planned().expected_socket_path() {
            Some(socket) => Backoff::for_name_in(socket.parent().unwrap_or(socket)),
            None => Backoff::blind(),
        });
        let waited = Instant::now() < self.deadline && timeout_at(self.deadline, pauses.wait()).await.is_ok();
        self.pauses = Some(pauses);
        if waited { Event::Did } else { Event::Late }
    }

    fn connection(&mut self) -> Option<Connection> {
        match self.probed.take() {
            Some(Probed::Live(connection)) => Some(connection),
            probed => {
                self.probed = probed;
                None
            }
        }
    }

    fn planned(&self) -> &SpawnBgPlan {
        self.plan.as_ref().expect("a call looks before anything else, and plans then")
    }

    /// The outcome of the call.
    pub(super) fn outcome(mut self, conclusion: Conclusion) -> Result<Ensured, Error> {
        const SAID: &str = "what led to a conclusion is kept";
        let session = || self.ensure.session.clone();
        match conclusion {
            Conclusion::Running(StartPath::Attached) => {
                // A worker that its process shows to be live need not listen.
                let connection = self.connection();
                let connection =
                    connection.unwrap_or_else(|| Connection::deferred(self.planned().target().clone()));
                Ok(self.ensure.attached(self.planned(), &self.snapshot, connection))
            }
            Conclusion::Running(StartPath::Fresh | StartPath::Adopted | StartPath::AdoptedConnected)
            | Conclusion::Exited
            | Conclusion::NotStarted
            | Conclusion::Retained
            | Conclusion::ReleaseFailed(Before::Start) => self.started.expect(SAID),
            Conclusion::BadTarget | Conclusion::Locked => {
                Ok(Ensured::Rejected(Box::new(self.rejection.expect(SAID))))
            }
            Conclusion::Rejected(reason) => {
                let probed = self.probed.as_ref().expect(SAID);
                let rejection = self.ensure.reject(reason, self.planned(), probed, &self.snapshot);
                Ok(Ensured::Rejected(Box::new(rejection)))
            }
            Conclusion::NotEnded => Err(Error::NotEnded { session: session(), survivors: self.survivors }),
            Conclusion::RecordNewer => {
                let schema_version = self.snapshot.newer.as_ref().map_or(0, |newer| newer.schema_version);
                Err(Error::RecordNewer { session: session(), schema_version })
            }
            Conclusion::ReleaseFailed(before @ (Before::Answering | Before::Nothing)) => {
                let observed = match before {
                    Before::Answering => Seen::SocketAlive { pid: self.snapshot.pid() },
                    Before::Nothing | Before::Start => Seen::SpawnStartFailed,
                };
                let source = self.not_released.expect(SAID);
                Err(Error::Release { session: self.ensure.session.clone(), observed, source })
            }
            Conclusion::Failed => Err(self.error.expect(SAID)),
            Conclusion::NotAtOnce | Conclusion::WouldBe(_) => {
                unreachable!("only a call that goes less far concludes so")
            }
        }
    }

    /// The outcome of a dry run.
    pub(super) fn foreseen(self, conclusion: Conclusion) -> Result<DryRun, Error> {
        let rejected = |rejection: Rejection, plan: Option<SpawnBgPlan>| {
            let plan = plan.expect("the target was checked");
            Ok(DryRun { verdict: "reject", rejection: Some(rejection), plan })
        };
        match conclusion {
            Conclusion::WouldBe(verdict) => {
                let word = match verdict {
                    Verdict::Attach => "attach",
                    Verdict::Spawn => "spawn",
                    Verdict::Adopt => "adopt",
                    Verdict::Replace => "replace",
                    Verdict::Reject(reason) => {
                        let probed = self.probed.as_ref().expect("a verdict follows a probe");
                        let rejection = self.ensure.reject(reason, self.planned(), probed, &self.snapshot);
                        return rejected(rejection, self.plan);
                    }
                };
                let plan = self.plan.expect("the target was checked");
                Ok(DryRun { verdict: word, rejection: None, plan })
            }
            Conclusion::BadTarget => {
                rejected(self.rejection.expect("the target was refused for a reason"), self.plan)
            }
            Conclusion::Running(_)
            | Conclusion::Exited
            | Conclusion::NotStarted
            | Conclusion::Retained
            | Conclusion::Locked
            | Conclusion::Rejected(_)
            | Conclusion::NotEnded
            | Conclusion::RecordNewer
            | Conclusion::ReleaseFailed(_)
            | Conclusion::NotAtOnce
            | Conclusion::Failed => Err(self.error.expect("a dry run fails for a reason")),
        }
    }
}

fn yes_or_no(yes: bool) -> Event {
    if yes { Event::Did } else { Event::Refused }
}
