//! The five steps to a running worker: look without a lock, take the claim, look again, decide, start or adopt.
//!
//! # Invariants
//! 1. Every way out gives the claim up: released on an observation or a rejection, retained if nothing was seen.
//! 2. One deadline bounds waiting and observing together; the graces of a kill come on top.
//! 3. The verdict is the core's; this only gathers what it asks for and carries it out.
//! 4. A worker that had been ready and is silent is waited for until the deadline, without the claim; it is never ended, and
//!    no second one is started beside it.

use crate::advice::Advice;
use crate::error::Error;
use crate::handshake;
use crate::launch::Launch;
use crate::listing;
use crate::outcome::{DryRun, Ensured, Exited, How, Rejection, Retained, Running, SaidReady};
use crate::rejection::Site;
use crate::restore;
use crate::survey::Survey;
use rekindle_adapters::backoff::Backoff;
use rekindle_adapters::claim_lock::{CLAIM_FILE, ClaimAttempt, ClaimQueue, try_claim};
use rekindle_adapters::handshake::{HandshakeSocketWatcher, OnVersionMismatch};
use rekindle_adapters::notify::NOTIFY_FILE;
use rekindle_adapters::probe::{self, Connection, Probed};
use rekindle_adapters::seams::SharedClaim;
use rekindle_adapters::start::{SpawnOn, Start};
use rekindle_adapters::{HeldClaim, ProductionSpawnBgResumeDeps, SessionDir, StateRoot, procfs};
use rekindle_core::claim::ConflictReason;
use rekindle_core::execute::{Cause, Seen};
use rekindle_core::notify::Notices;
use rekindle_core::protocol::Version;
use rekindle_core::shown::Shown;
use rekindle_core::target::{BadTarget, check_inherited_socket_path, check_notify_path, check_socket_path};
use rekindle_core::{
    ExecuteError, Finding, Generation, Host, Intent, LastWorker, LockClaim, Outcome, Pid, ProcessIdentity,
    ReadyKind, RecordState, RejectReason, ReleaseError, SessionId, SpawnBgPlan, SpawnError, Verdict, decide,
    execute_spawn_bg_resume,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The name of a session's own socket.
pub(crate) const SOCKET_FILE: &str = "sock";

/// How long to wait before a start is begun again that somebody else made impossible.
const ABANDONED_PAUSE: Duration = Duration::from_millis(2);

/// One call for one session.
pub(crate) struct Ensure {
    pub(crate) root: StateRoot,
    pub(crate) here: Arc<Host>,
    pub(crate) spawn_on: SpawnOn,
    pub(crate) session: SessionId,
    pub(crate) launch: Launch,
}

/// Whether the call is over, or has to begin again.
enum Next {
    Over(Ensured),
    Again,
    /// The worker had been ready and does not answer now: perhaps it is binding its socket anew. What to say if it stays so.
    Silent(Box<Rejection>),
}

impl Ensure {
    /// Runs the transaction to its end.
    pub(crate) async fn run(self) -> Result<Ensured, Error> {
        let deadline = Instant::now() + self.launch.timeout;
        if self.launch.intent != Intent::Attach {
            self.root.mend_session(&self.session)?;
        }
        let ensured = self.settle(deadline).await?;
        match (ensured, self.launch.handshake_spoken()) {
            // No claim is held any more: who is slow to answer holds up nobody but us.
            (Ensured::Running(worker), Some(speaking)) => {
                let left = deadline.saturating_duration_since(Instant::now());
                Ok(handshake::introduce(&self.session, *worker, speaking, left, || self.recorded_version())
                    .await)
            }
            (ensured, _) => Ok(ensured),
        }
    }

    /// Attaches, starts, adopts or rejects.
    async fn settle(&self, deadline: Instant) -> Result<Ensured, Error> {
        let mut queue = ClaimQueue::new(&self.root, &self.session, &self.here);
        loop {
            let survey = self.survey(queue.dir())?;
            let plan = self.plan(&survey);
            if let Some(rejection) = self.refuse_target(&plan)? {
                return Ok(rejected(rejection));
            }
            if let Some(over) = self.without_a_lock(&plan, survey, queue.dir()).await? {
                return Ok(over);
            }
            match queue.attempt()? {
                ClaimAttempt::Held(held) => {
                    let socket = plan.expected_socket_path.clone();
                    match self.under_the_claim(*held, plan, deadline).await? {
                        Next::Over(over) => return Ok(over),
                        Next::Silent(rejection) if !self.silence_ends(&socket, deadline).await? => {
                            return Ok(Ensured::Rejected(rejection));
                        }
                        Next::Silent(_) | Next::Again => {}
                    }
                    queue = ClaimQueue::new(&self.root, &self.session, &self.here);
                }
                ClaimAttempt::Conflict { why, holder } => {
                    if !why.may_pass() || timeout_at(deadline, queue.wait()).await.is_err() {
                        return Ok(rejected(self.locked(&plan, &why, holder.map(|holder| *holder))));
                    }
                }
            }
        }
    }

    /// Waits, holding no claim, until the worker that had been ready answers again or is gone; `false` at the deadline.
    async fn silence_ends(&self, socket: &Path, deadline: Instant) -> Result<bool, Error> {
        let mut pauses = Backoff::for_name_in(socket.parent().unwrap_or(socket));
        while Instant::now() < deadline && timeout_at(deadline, pauses.wait()).await.is_ok() {
            let survey = self.survey(None)?;
            let probed = survey.probe(socket).await;
            if finding(&probed, &survey) != Finding::Dormant(LastWorker::AliveReady) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What `run` would do, taking and creating nothing.
    pub(crate) async fn rehearse(self) -> Result<DryRun, Error> {
        let survey = match self.root.session(&self.session)? {
            Some(dir) => self.readable(Survey::take(&dir, &self.here)?)?,
            // Its files may have been removed under a living worker.
            None => match listing::lost_survey(&self.root, &self.here, &self.session) {
                Err(Error::UnknownSession { .. }) => Survey::nothing(),
                found => found?,
            },
        };
        let plan = self.plan(&survey);
        if let Some(rejection) = self.refuse_target(&plan)? {
            return Ok(DryRun { verdict: "reject", rejection: Some(rejection), plan });
        }
        let probed = survey.probe(&plan.expected_socket_path).await;
        let verdict = self.verdict(&probed, &survey);
        let (word, rejection) = match verdict {
            Verdict::Attach => ("attach", None),
            Verdict::Spawn => ("spawn", None),
            Verdict::Adopt => ("adopt", None),
            Verdict::Reject(reason) => ("reject", Some(self.reject(reason, &plan, &probed, &survey))),
        };
        Ok(DryRun { verdict: word, rejection, plan })
    }

    /// The plan: it answers where the caller says, or where the running worker was told to, or in the session's
    /// directory.
    fn plan(&self, survey: &Survey) -> SpawnBgPlan {
        let recorded = || survey.socket().filter(|_| survey.may_answer()).map(Path::to_owned);
        let socket = match &self.launch.socket {
            Some(socket) => std::path::absolute(socket).unwrap_or_else(|_| socket.clone()),
            None => recorded().unwrap_or_else(|| self.own_socket()),
        };
        self.launch.plan(&self.session, &socket)
    }

    fn own_socket(&self) -> PathBuf {
        self.root.path().join(self.session.as_str()).join(SOCKET_FILE)
    }

    /// What is known of the session, by way of `dir` where it is open already.
    fn survey(&self, dir: Option<&SessionDir>) -> Result<Survey, Error> {
        let survey = match dir {
            Some(dir) => Survey::take(dir, &self.here)?,
            None => match self.root.session(&self.session)? {
                Some(dir) => Survey::take(&dir, &self.here)?,
                None => Survey::nothing(),
            },
        };
        self.readable(survey)
    }

    /// A survey whose record can be read.
    fn readable(&self, survey: Survey) -> Result<Survey, Error> {
        survey.require_readable(&self.root.path().join(self.session.as_str()), &self.session)?;
        Ok(survey)
    }

    /// Whether the paths of a start fit into the addresses that they have to fit into.
    fn check_paths(&self, plan: &SpawnBgPlan) -> Result<Result<(), BadTarget>, Error> {
        let socket = &plan.expected_socket_path;
        let bound_by_us = || -> Result<bool, Error> {
            let attach = self.launch.intent == Intent::Attach;
            Ok(attach || self.survey(None)?.readiness_on(socket) == Some(ReadyKind::Listen))
        };
        let checked = match (self.launch.ready, check_socket_path(socket)) {
            (ReadyKind::Listen, _) => check_inherited_socket_path(socket),
            // Whoever only connects needs no address as long as the path.
            (_, Err(BadTarget::TooLong { .. })) if bound_by_us()? => check_inherited_socket_path(socket),
            (ReadyKind::Notify, Ok(())) if self.launch.intent != Intent::Attach => {
                check_notify_path(&self.root.path().join(self.session.as_str()).join(NOTIFY_FILE))
            }
            (_, checked) => checked,
        };
        Ok(checked)
    }

    /// Before any probe: a path that no worker could use.
    fn refuse_target(&self, plan: &SpawnBgPlan) -> Result<Option<Rejection>, Error> {
        let socket = &plan.expected_socket_path;
        let reject = |reason, liveness, message: String, advice| {
            Ok(Some(Rejection::new(reason, liveness, socket).saying(message, advice)))
        };
        let named = self.launch.socket.as_deref();
        if let Err(bad) = self.check_paths(plan)? {
            return reject(
                RejectReason::BadTarget,
                None,
                bad.to_string(),
                Advice::of_bad_target(&bad, named),
            );
        }
        // The session's own directory may not exist yet, and is made by us.
        if *socket == self.own_socket() {
            return Ok(None);
        }
        match probe::judge_place(socket)? {
            None => Ok(None),
            Some(Probed::Dormant { why }) => {
                let bad = BadTarget::Directory { path: socket.clone(), why };
                let advice = Advice::of_bad_target(&bad, named);
                reject(RejectReason::BadTarget, None, bad.to_string(), advice)
            }
            Some(found) => {
                let message = format!("`{}` is not to be trusted: {}", Shown(socket), found.why());
                let advice = Advice::of_socket_place(socket);
                reject(RejectReason::TargetAddressConflict, Some(found.liveness()), message, advice)
            }
        }
    }

    /// The version that the worker reported last, or that its host spoke.
    fn recorded_version(&self) -> Option<Version> {
        let record = self.survey(None).ok()?.record?;
        record.worker_version.or(record.speak)
    }

    /// What is to be done, by what was found.
    fn verdict(&self, probed: &Probed, survey: &Survey) -> Verdict {
        let finding = finding(probed, survey);
        let verdict = decide(self.launch.intent, finding);
        tracing::info!(session = %self.session, intent = ?self.launch.intent, ?finding, ?verdict, "looked at the worker");
        verdict
    }

    /// Step 1 alone, and without waiting: `None` if there is more to do than to connect.
    pub(crate) fn at_once(&self) -> Result<Option<Ensured>, Error> {
        if self.launch.intent == Intent::Resume || self.launch.ready != ReadyKind::Connect {
            return Ok(None);
        }
        let survey = self.survey(None)?;
        if !is_known_to_answer(&survey) {
            return Ok(None);
        }
        let plan = self.plan(&survey);
        if self.refuse_target(&plan)?.is_some() {
            return Ok(None);
        }
        // A worker that must not be connected to for a mere look is looked at with more care.
        if !survey.may_be_connected_to(&plan.expected_socket_path) {
            return Ok(None);
        }
        let probed = probe::probe_once(&plan.expected_socket_path);
        // Between the record and the connection the worker may have been replaced.
        let survey = self.survey(None)?;
        Ok(match (self.verdict(&probed, &survey), probed) {
            (Verdict::Attach, Probed::Live(connection)) => {
                self.clear_stale_claim();
                Some(self.attached(&plan, &survey, connection))
            }
            (Verdict::Attach | Verdict::Spawn | Verdict::Adopt | Verdict::Reject(_), _) => None,
        })
    }

    /// Step 1: a worker that answers needs no lock.
    async fn without_a_lock(
        &self,
        plan: &SpawnBgPlan,
        survey: Survey,
        dir: Option<&SessionDir>,
    ) -> Result<Option<Ensured>, Error> {
        // A call that may start nothing takes no claim and makes no directory.
        if !is_known_to_answer(&survey) && self.launch.intent != Intent::Attach {
            return Ok(None);
        }
        let probed = survey.probe(&plan.expected_socket_path).await;
        // Between the record and the connection the worker may have been replaced.
        let survey = self.survey(dir)?;
        let verdict = self.verdict(&probed, &survey);
        Ok(match (verdict, probed) {
            (Verdict::Attach, Probed::Live(connection)) => {
                self.clear_stale_claim();
                Some(self.attached(plan, &survey, connection))
            }
            (Verdict::Reject(reason), probed)
                if self.launch.intent == Intent::Attach || reason == RejectReason::AlreadyLive =>
            {
                Some(rejected(self.reject(reason, plan, &probed, &survey)))
            }
            (Verdict::Attach | Verdict::Spawn | Verdict::Adopt | Verdict::Reject(_), _) => None,
        })
    }

    /// Somebody may have let others into what is ours; a call that may start something takes that back.
    fn mend_modes(&self) {
        if self.launch.intent == Intent::Attach {
            return;
        }
        if let Err(error) = self.root.create() {
            tracing::warn!(session = %self.session, %error, "the mode of the state directory could not be mended");
        }
        if let Err(error) = self.root.mend_session(&self.session) {
            tracing::warn!(session = %self.session, %error, "the mode of the session's directory could not be mended");
        }
    }

    /// A launcher that died after its worker was ready left its claim behind. Taking it over and releasing it clears
    /// it; whoever holds it will release it, and a worker that answers does not wait for that.
    fn clear_stale_claim(&self) {
        self.mend_modes();
        let left = || self.root.session(&self.session).ok()??.inspect(CLAIM_FILE).ok()?;
        if self.launch.intent == Intent::Attach || left().is_none() {
            return;
        }
        if let Ok(ClaimAttempt::Held(held)) = try_claim(&self.root, &self.session, &self.here)
            && let Err(error) = held.release()
        {
            tracing::warn!(session = %self.session, %error, "a claim that was left behind could not be cleared");
        }
    }

    /// Steps 3 to 5.
    async fn under_the_claim(
        &self,
        held: HeldClaim,
        mut plan: SpawnBgPlan,
        deadline: Instant,
    ) -> Result<Next, Error> {
        let surveyed = restore::in_place(held.dir(), &self.here);
        let survey = match surveyed.map_err(Error::from).and_then(|survey| self.readable(survey)) {
            Ok(survey) => survey,
            Err(error) => return Err(self.give_up(held, error)),
        };
        let probed = survey.probe(&plan.expected_socket_path).await;
        let verdict = self.verdict(&probed, &survey);
        let verdict = match verdict {
            Verdict::Spawn | Verdict::Adopt if survey.newer.is_some() => {
                let schema_version = survey.newer.map_or(0, |newer| newer.schema_version);
                let error = Error::RecordNewer { session: self.session.clone(), schema_version };
                return Err(self.give_up(held, error));
            }
            verdict => verdict,
        };
        plan.observe_timeout = deadline.saturating_duration_since(Instant::now());
        match (verdict, probed) {
            // It accepts, and whether it is ready only its answer can say: its launcher died before it heard that.
            (Verdict::Attach, Probed::Live(connection))
                if plan.handshake().is_some() && survey.last_worker() == LastWorker::AliveUnobserved =>
            {
                self.adopt(held, &plan, &survey, deadline, Some(connection)).await
            }
            (Verdict::Attach, Probed::Live(connection)) => self.attach(held, &plan, &survey, connection),
            (Verdict::Reject(reason), probed) => {
                let rejection = self.reject(reason, &plan, &probed, &survey);
                self.release(held)?;
                let may_come_back =
                    reason == RejectReason::WorkerUnresponsive && self.launch.intent == Intent::Ensure;
                Ok(match may_come_back {
                    true => Next::Silent(Box::new(rejection)),
                    false => Next::Over(rejected(rejection)),
                })
            }
            (Verdict::Adopt, _) => self.adopt(held, &plan, &survey, deadline, None).await,
            (Verdict::Spawn, _) => self.spawn(held, &plan, &survey, deadline).await,
            // The verdict comes from this very probe, so this cannot be; if it were, it would be no reason to start.
            (Verdict::Attach, probed) => {
                let rejection = self.reject(RejectReason::IndeterminateNoSpawn, &plan, &probed, &survey);
                self.release(held)?;
                Ok(Next::Over(rejected(rejection)))
            }
        }
    }

    /// Found live under the claim: the record is completed before the claim goes.
    fn attach(
        &self,
        held: HeldClaim,
        plan: &SpawnBgPlan,
        survey: &Survey,
        connection: Connection,
    ) -> Result<Next, Error> {
        let unfinished = survey.record.clone().filter(|record| {
            survey.may_answer() && (record.state != RecordState::Ready || record.worker.is_none())
        });
        let claim = held.claim().clone();
        let shared = SharedClaim::new(held);
        if let Some(mut record) = unfinished {
            record.worker = record.worker.or_else(|| survey.leader.clone());
            let start = Start::new(shared.clone(), self.here.clone(), Some(record));
            start.note_alive(&connection);
            start.complete();
        }
        let released = shared.take().map_or(Ok(()), HeldClaim::release);
        released.map_err(|source| Error::Release {
            session: claim.session_id,
            observed: Seen::SocketAlive { pid: survey.pid() },
            source,
        })?;
        Ok(Next::Over(self.attached(plan, survey, connection)))
    }

    async fn spawn(
        &self,
        held: HeldClaim,
        plan: &SpawnBgPlan,
        survey: &Survey,
        deadline: Instant,
    ) -> Result<Next, Error> {
        let claim = held.claim().clone();
        let left_behind = survey.record.as_ref().filter(|record| record.socket == plan.expected_socket_path);
        let start = Start::new(SharedClaim::new(held), self.here.clone(), None)
            .spawn_on(self.spawn_on)
            .replacing(left_behind.and_then(|record| record.socket_file));
        let mut deps = ProductionSpawnBgResumeDeps::fresh(&start, survey.generation.next());
        if let Some(speaking) = plan.handshake() {
            let watcher = HandshakeSocketWatcher::new(&start, speaking.clone(), OnVersionMismatch::Fail);
            deps = deps.socket_watcher(watcher);
        }
        let deps = deps.kill_policy(plan.kill_policy).build();
        match self.execute(plan, &claim, &start, &deps, How::Started).await {
            // Somebody removed, moved or took what the start needs, before its process existed: nothing was begun.
            Ok(Ensured::NotStarted(SpawnError::Abandoned { why })) if Instant::now() < deadline => {
                tracing::info!(session = %self.session, why, "a start was abandoned, and is begun again");
                tokio::time::sleep(ABANDONED_PAUSE).await;
                Ok(Next::Again)
            }
            Err(Error::Release {
                observed: Seen::SpawnStartFailed,
                source: ReleaseError::DirectoryReplaced { .. },
                ..
            }) if Instant::now() < deadline => Ok(Next::Again),
            over => Ok(Next::Over(over?)),
        }
    }

    /// Watches a worker whose launcher died like one of ours. If it ends, the call begins anew while it has time.
    async fn adopt(
        &self,
        held: HeldClaim,
        plan: &SpawnBgPlan,
        survey: &Survey,
        deadline: Instant,
        found: Option<Connection>,
    ) -> Result<Next, Error> {
        let worker = match survey.worker(&self.here) {
            Ok(worker) => worker,
            Err(error) => return Err(self.give_up(held, error.into())),
        };
        tracing::info!(session = %self.session, generation = %survey.generation, "adopting a worker whose launcher died");
        let mut record = survey.record.clone();
        if let Some(record) = &mut record {
            record.worker = record.worker.take().or_else(|| survey.leader.clone());
        }
        let claim = held.claim().clone();
        let start = Start::new(SharedClaim::new(held), self.here.clone(), record);
        let mut deps = ProductionSpawnBgResumeDeps::adopting(&start, worker);
        if let Some(speaking) = plan.handshake() {
            let watcher = HandshakeSocketWatcher::new(&start, speaking.clone(), OnVersionMismatch::PassOn);
            deps =
                deps.socket_watcher(found.into_iter().fold(watcher, HandshakeSocketWatcher::beginning_with));
        }
        let deps = deps.kill_policy(plan.kill_policy).build();
        let over = self.execute(plan, &claim, &start, &deps, How::Adopted).await?;
        Ok(match over {
            Ensured::Exited(_) if Instant::now() < deadline => Next::Again,
            over => Next::Over(over),
        })
    }

    /// Runs the machine to its outcome.
    async fn execute(
        &self,
        plan: &SpawnBgPlan,
        claim: &LockClaim,
        start: &Start,
        deps: &ProductionSpawnBgResumeDeps,
        how: How,
    ) -> Result<Ensured, Error> {
        let outcome = execute_spawn_bg_resume(plan, Some(claim), deps).await;
        let generation = start.record().map_or(Generation::UNMANAGED, |record| record.generation);
        let notices = start.notices();
        let extension = notices.as_ref().map(Notices::extension).unwrap_or_default();
        let is_heard = how == How::Started && notices.as_ref().is_some_and(Notices::is_ready);
        let said = if is_heard { SaidReady::WithoutListener } else { SaidReady::No };
        let status_text = notices.and_then(|notices| notices.status().map(ToOwned::to_owned));
        Ok(match outcome {
            Ok(Outcome::SocketAlive { pid, connection, after_kill }) => {
                let pid = self.pid_after(start, &connection, pid);
                Ensured::Running(Box::new(Running {
                    how,
                    pid,
                    socket: plan.expected_socket_path.clone(),
                    generation,
                    managed: true,
                    program_differs: start.record().is_some_and(|record| record.differs_from(plan)),
                    after_kill,
                    connection,
                }))
            }
            Ok(Outcome::ChildExited { exit, pid, after_kill, cause }) => Ensured::Exited(Exited {
                exit,
                pid,
                generation,
                socket: plan.expected_socket_path.clone(),
                after_kill,
                advice: Box::new(Advice::of_early_end(&self.session, cause.as_ref(), said, &self.launch)),
                cause: cause.map(|cause| self.in_callers_terms(cause, extension)),
                stderr_tail: crate::listing::stderr_tail(&self.root, &self.session),
                status_text,
                said,
            }),
            Ok(Outcome::SpawnStartFailed { error }) => Ensured::NotStarted(error),
            Ok(Outcome::LockRetained { reason, cause, diagnostic }) => {
                if let Err(error) = start.retain() {
                    tracing::warn!(session = %self.session, %error, "the claim could not be marked retained");
                }
                let cause = self.in_callers_terms(cause, extension);
                Ensured::Retained(Box::new(Retained { reason, cause, diagnostic, generation, status_text }))
            }
            Err(ExecuteError::Release { source, observed }) => {
                return Err(Error::Release { session: self.session.clone(), observed, source });
            }
            Err(ExecuteError::Pairing(error)) => {
                unreachable!("the claim was taken on the plan's own session: {error}")
            }
        })
    }

    /// The pid to show: that of the process that was started, unless it has daemonised meanwhile.
    fn pid_after(&self, start: &Start, connection: &Connection, started: Option<Pid>) -> Option<Pid> {
        let (leader, peer) = start.record().map_or((None, None), |record| (record.worker, record.peer));
        let runs = |leader: &ProcessIdentity| {
            // Who was connected to was looked at when it answered.
            (connection.is_open() && peer.as_ref() == Some(leader))
                || procfs::standing_of_leader(leader, &self.here).is_alive()
        };
        match leader.filter(runs) {
            Some(leader) => Some(leader.pid),
            None => self.survey(None).map_or(started, |survey| survey.pid()),
        }
    }

    /// The machine knows how long it watched; the caller said how long waiting and watching may take together, to which
    /// comes what the worker was granted on top.
    fn in_callers_terms(&self, cause: Cause, extension: Duration) -> Cause {
        match cause {
            Cause::ObserveTimeout { .. } => {
                Cause::ObserveTimeout { after: self.launch.timeout.saturating_add(extension) }
            }
            seam @ Cause::Seam(_) => seam,
        }
    }

    /// Somebody answers; it is our worker if one of ours may still run.
    fn attached(&self, plan: &SpawnBgPlan, survey: &Survey, connection: Connection) -> Ensured {
        let managed = survey.may_answer();
        let record = survey.record.as_ref().filter(|_| managed);
        Ensured::Running(Box::new(Running {
            how: How::Attached,
            pid: if managed { survey.pid() } else { connection.peer() },
            socket: plan.expected_socket_path.clone(),
            generation: if managed { survey.generation } else { Generation::UNMANAGED },
            managed,
            program_differs: plan.program().is_some()
                && record.is_some_and(|record| record.differs_from(plan)),
            after_kill: false,
            connection,
        }))
    }

    fn locked(&self, plan: &SpawnBgPlan, why: &ConflictReason, holder: Option<LockClaim>) -> Rejection {
        let claim = self.root.path().join(self.session.as_str()).join(CLAIM_FILE);
        Rejection::locked(&self.session, &plan.expected_socket_path, why, holder, &claim)
    }

    fn reject(
        &self,
        reason: RejectReason,
        plan: &SpawnBgPlan,
        probed: &Probed,
        survey: &Survey,
    ) -> Rejection {
        let own_socket = self.own_socket();
        let named = self.launch.socket.as_deref();
        let site = Site { session: &self.session, own_socket: &own_socket, named };
        Rejection::of_worker(reason, &site, &plan.expected_socket_path, probed, survey)
    }

    /// Releases a claim under which nothing was started.
    fn release(&self, held: HeldClaim) -> Result<(), Error> {
        let observed = Seen::SpawnStartFailed;
        held.release().map_err(|source| Error::Release { session: self.session.clone(), observed, source })
    }

    /// Releases the claim for an error, which matters more than what releasing says.
    fn give_up(&self, held: HeldClaim, error: Error) -> Error {
        if let Err(release) = held.release() {
            tracing::warn!(session = %self.session, error = %release, "the claim could not be released");
        }
        error
    }
}

fn rejected(rejection: Rejection) -> Ensured {
    Ensured::Rejected(Box::new(rejection))
}

/// Whether the record says that a worker of ours answers.
fn is_known_to_answer(survey: &Survey) -> bool {
    survey.evidence.recorded == Some(RecordState::Ready) && survey.may_answer()
}

fn finding(probed: &Probed, survey: &Survey) -> Finding {
    match probed {
        Probed::Live(_) => Finding::Live,
        Probed::Dormant { .. } => Finding::Dormant(survey.last_worker()),
        Probed::Indeterminate { .. } => Finding::Indeterminate,
        Probed::Forged { .. } => Finding::Forged,
    }
}
