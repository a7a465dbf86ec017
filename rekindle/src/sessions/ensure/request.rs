//! The request of one call, and the outcome in words: the plan, the check of the target, the text of each outcome.

use crate::advice::Advice;
use crate::error::Error;
use crate::launch::Launch;
use crate::outcome::{Ensured, Exited, Rejection, Retained, Running, SaidReady, StartKind};
use crate::sessions::list;
use crate::sessions::rejection::Site;
use crate::sessions::show::pass::LogPaths;
use crate::sessions::snapshot::Snapshot;
use crate::sessions::watch::wait::{self, WorkerWatch};
use rekindle_adapters::claim_file::CLAIM_FILE;
use rekindle_adapters::line::Pattern;
use rekindle_adapters::notify::NOTIFY_FILE;
use rekindle_adapters::probe::{self, Connection, Probed};
use rekindle_adapters::start::{SpawnOn, Start};
use rekindle_adapters::tcp;
use rekindle_adapters::worker::ReapedExit;
use rekindle_adapters::{SessionDir, StateRoot, procfs};
use rekindle_core::again::{NoPlan, Part, differences};
use rekindle_core::claim::ConflictReason;
use rekindle_core::execute::Cause;
use rekindle_core::notify::Notices;
use rekindle_core::protocol::Version;
use rekindle_core::readiness::Provides;
use rekindle_core::shown::Shown;
use rekindle_core::target::{BadTarget, check_inherited_socket_path, check_notify_path, check_socket_path};
use rekindle_core::{
    Address, Endpoint, ExecuteError, Generation, Host, Intent, LockClaim, Outcome, Pid, ProcessIdentity,
    Readiness, RejectReason, SessionId, SessionRecord, SpawnBgPlan,
};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The file name of a session's own socket.
pub(crate) const SOCKET_FILE: &str = "sock";

/// One call for one session.
#[derive(Clone)]
pub(crate) struct Ensure {
    pub(crate) root: StateRoot,
    pub(crate) here: Arc<Host>,
    pub(crate) spawn_on: SpawnOn,
    pub(crate) session: SessionId,
    pub(crate) launch: Launch,
}

/// Whether the call holds the session's claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// The call decides about the session.
    Claim,
    /// The call only looks.
    Nothing,
}

impl Ensure {
    /// The endpoint of the worker: the caller's choice, else the running worker's endpoint, else the socket in the
    /// session's directory. `port` is the port that the call has chosen so far.
    pub(super) fn endpoint(
        &self,
        snapshot: &Snapshot,
        port: &mut Option<SocketAddr>,
        hold: Hold,
    ) -> Result<Endpoint, Error> {
        let running = || snapshot.endpoint().filter(|_| snapshot.may_answer());
        Ok(match &self.launch.address {
            None => running().unwrap_or_else(|| Endpoint::Unix(self.own_socket())),
            Some(Address::OwnSocket) => Endpoint::Unix(self.own_socket()),
            Some(Address::AnyPort(host)) => {
                let planned = snapshot.planned_endpoint().and_then(Endpoint::tcp);
                // A worker that was told `localhost` may answer at the other loopback address.
                let of_host = |at: &SocketAddr| {
                    at.ip().is_loopback() == host.is_loopback() || planned.is_some_and(|at| at.ip() == *host)
                };
                match running().and_then(|endpoint| endpoint.tcp()).filter(of_host) {
                    Some(at) => Endpoint::Tcp(at),
                    None => Endpoint::Tcp(self.free_port(*host, snapshot, port, hold)?),
                }
            }
            Some(Address::At(Endpoint::Unix(socket))) => {
                Endpoint::Unix(std::path::absolute(socket).unwrap_or_else(|_| socket.clone()))
            }
            Some(Address::At(endpoint @ (Endpoint::Tcp(_) | Endpoint::None))) => endpoint.clone(),
        })
    }

    /// A free port: the port of the last start if it is free, else any. A port is chosen only under the claim, and then
    /// looked at again each time; before, port 0 stands for the port to choose.
    fn free_port(
        &self,
        host: IpAddr,
        snapshot: &Snapshot,
        port: &mut Option<SocketAddr>,
        hold: Hold,
    ) -> Result<SocketAddr, Error> {
        let last = || snapshot.planned_endpoint()?.tcp().filter(|at| at.ip() == host);
        let wanted = port.or_else(last).unwrap_or(SocketAddr::new(host, 0));
        match hold {
            Hold::Claim => Ok(*port.insert(tcp::free_port(wanted)?)),
            Hold::Nothing if tcp::is_taken(wanted)? => Ok(SocketAddr::new(host, 0)),
            Hold::Nothing => Ok(wanted),
        }
    }

    /// The snapshot of the session, even if the session's files were removed under a living worker.
    pub(super) fn snapshot_of_anything(&self) -> Result<Snapshot, Error> {
        match self.root.session(&self.session)? {
            Some(dir) => self.readable(Snapshot::take(&dir, &self.here)?),
            None => {
                let lost = list::lost_snapshot(&self.root, &self.here, &self.session)?;
                Ok(lost.unwrap_or_else(Snapshot::nothing))
            }
        }
    }

    pub(super) fn own_socket(&self) -> PathBuf {
        self.root.path().join(self.session.as_str()).join(SOCKET_FILE)
    }

    /// The snapshot of the session, read through `dir` if open already.
    pub(super) fn snapshot(&self, dir: Option<&SessionDir>) -> Result<Snapshot, Error> {
        let snapshot = match dir {
            Some(dir) => Snapshot::take(dir, &self.here)?,
            None => match self.root.session(&self.session)? {
                Some(dir) => Snapshot::take(&dir, &self.here)?,
                None => Snapshot::nothing(),
            },
        };
        self.readable(snapshot)
    }

    /// The snapshot if its record can be read, else an error.
    pub(super) fn readable(&self, snapshot: Snapshot) -> Result<Snapshot, Error> {
        snapshot.require_readable(&self.root.path().join(self.session.as_str()), &self.session)?;
        Ok(snapshot)
    }

    /// Checks that the paths of a start fit into socket addresses, and that the condition for ready can be watched for.
    fn check_paths(&self, plan: &SpawnBgPlan) -> Result<Result<(), BadTarget>, Error> {
        let kind = plan.ready.kind();
        if self.launch.intent != Intent::Attach && !kind.row().suits(plan.target().kind()) {
            let endpoint = plan.target().kind();
            return Ok(Err(BadTarget::Unsuited { ready: plan.ready.to_string(), endpoint }));
        }
        if self.launch.intent != Intent::Attach
            && let Readiness::Line(pattern) = &plan.ready
            && let Err(why) = Pattern::new(pattern)
        {
            return Ok(Err(BadTarget::Pattern { pattern: pattern.clone(), why }));
        }
        let Some(socket) = plan.expected_socket_path() else { return Ok(Ok(())) };
        let bound_by_us = || -> Result<bool, Error> {
            let attach = self.launch.intent == Intent::Attach;
            let provides =
                self.snapshot(None)?.readiness_at(plan.target()).map(|it| it.kind().row().provides);
            Ok(attach || provides == Some(Provides::BoundSocket))
        };
        let checked = match (kind.row().provides, check_socket_path(socket)) {
            (Provides::BoundSocket, _) => check_inherited_socket_path(socket),
            // A connect does not need the full path in the address.
            (_, Err(BadTarget::TooLong { .. })) if bound_by_us()? => check_inherited_socket_path(socket),
            (Provides::NotifySocket, Ok(())) if self.launch.intent != Intent::Attach => {
                check_notify_path(&self.root.path().join(self.session.as_str()).join(NOTIFY_FILE))
            }
            (Provides::Nothing | Provides::NotifySocket, checked) => checked,
        };
        Ok(checked)
    }

    /// Before any probe: refuses a path that no worker could use.
    pub(super) fn refuse_target(&self, plan: &SpawnBgPlan) -> Result<Option<Rejection>, Error> {
        let reject = |reason, liveness, message: String, advice| {
            Ok(Some(Rejection::new(reason, liveness, plan.target()).saying(message, advice)))
        };
        let named = self.launch.address.as_ref();
        if let Err(bad) = self.check_paths(plan)? {
            return reject(
                RejectReason::BadTarget,
                None,
                bad.to_string(),
                Advice::of_bad_target(&bad, named),
            );
        }
        // The session's own directory may not exist yet; the start creates the directory.
        let Some(socket) = plan.expected_socket_path().filter(|it| **it != self.own_socket()) else {
            return Ok(None);
        };
        match probe::judge_place(socket)? {
            None => Ok(None),
            Some(Probed::Dormant { why }) => {
                let bad = BadTarget::Directory { path: socket.to_owned(), why };
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

    /// The version last reported by the worker, else the version spoken by the host.
    pub(super) fn recorded_version(&self) -> Option<Version> {
        let record = self.snapshot(None).ok()?.record?;
        record.worker_version.clone().or_else(|| record.speak().cloned())
    }

    /// Somebody may have opened our directories to others: a call that may start a worker makes the directories private
    /// again.
    pub(super) fn mend_modes(&self) {
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

    /// The outcome of a start, for the caller.
    pub(super) fn ensured(
        &self,
        plan: &SpawnBgPlan,
        start: &Start,
        kind: StartKind,
        outcome: Result<Outcome<Connection>, ExecuteError>,
    ) -> Result<Ensured, Error> {
        let generation = start.record().map_or(Generation::UNMANAGED, |record| record.generation);
        let notices = start.notices();
        let extension = notices.as_ref().map(Notices::extension).unwrap_or_default();
        let is_heard = kind == StartKind::Started && notices.as_ref().is_some_and(Notices::is_ready);
        let said = if is_heard { SaidReady::WithoutListener } else { SaidReady::No };
        let status_text = notices.and_then(|notices| notices.status().map(ToOwned::to_owned));
        Ok(match outcome {
            Ok(Outcome::SocketAlive { pid, connection, after_kill }) => {
                let pid = self.pid_after(start, &connection, pid);
                let leader = start.record().and_then(|record| record.worker);
                Ensured::Running(Box::new(Running {
                    kind,
                    pid,
                    endpoint: found_at(plan, &connection),
                    url: url(plan, &connection),
                    generation,
                    managed: true,
                    differs: start.record().map(|record| self.differences(&record, plan)).unwrap_or_default(),
                    after_kill,
                    connection,
                    logs: LogPaths::below(self.root.path(), &self.session),
                    watch: self.watch(generation, leader, start.reaped_exit()),
                }))
            }
            Ok(Outcome::ChildExited { exit, pid, after_kill, cause }) => Ensured::Exited(Exited {
                exit,
                pid,
                generation,
                endpoint: plan.target().clone(),
                last_seen: cause.as_ref().and_then(|_| start.last_seen()),
                listened_at: start.listened_at(),
                after_kill,
                advice: Box::new(Advice::of_early_end(
                    &self.session,
                    cause.as_ref(),
                    said,
                    start.listened_at().as_ref(),
                    &self.launch,
                )),
                cause: cause.map(|cause| self.in_callers_terms(cause, extension)),
                stderr_tail: crate::sessions::list::stderr_tail(&self.root, &self.session),
                status_text,
                said,
                logs: Box::new(LogPaths::below(self.root.path(), &self.session)),
            }),
            Ok(Outcome::SpawnStartFailed { error }) => Ensured::NotStarted(error),
            Ok(Outcome::LockRetained { reason, cause, diagnostic }) => {
                if let Err(error) = start.retain() {
                    tracing::warn!(session = %self.session, %error, "the claim could not be marked retained");
                }
                let cause = self.in_callers_terms(cause, extension);
                let logs = LogPaths::below(self.root.path(), &self.session);
                Ensured::Retained(Box::new(Retained {
                    reason,
                    cause,
                    diagnostic,
                    generation,
                    status_text,
                    logs,
                }))
            }
            Err(ExecuteError::Release { source, observed }) => {
                return Err(Error::Release { session: self.session.clone(), observed, source });
            }
            Err(ExecuteError::Pairing(error)) => {
                unreachable!("the claim was taken on the plan's own session: {error}")
            }
        })
    }

    /// The pid to show: the started process, or the current worker process if the started process has daemonised.
    fn pid_after(&self, start: &Start, connection: &Connection, started: Option<Pid>) -> Option<Pid> {
        let (leader, peer) = start.record().map_or((None, None), |record| (record.worker, record.peer));
        let runs = |leader: &ProcessIdentity| {
            // The peer was identified when the connection was accepted.
            (connection.is_open() && peer.as_ref() == Some(leader))
                || procfs::standing_of_leader(leader, &self.here).is_alive()
        };
        match leader.filter(runs) {
            Some(leader) => Some(leader.pid),
            None => self.snapshot(None).map_or(started, |snapshot| snapshot.pid()),
        }
    }

    /// The cause, with the caller's time-out plus the worker's extension. The machine only knows the time that was left
    /// for observing.
    fn in_callers_terms(&self, cause: Cause, extension: Duration) -> Cause {
        match cause {
            Cause::ObserveTimeout { .. } => {
                Cause::ObserveTimeout { after: self.launch.observe_timeout().saturating_add(extension) }
            }
            seam @ Cause::Seam(_) => seam,
        }
    }

    /// A process answers. Reports that process as our worker if our worker may still run.
    pub(super) fn attached(
        &self,
        plan: &SpawnBgPlan,
        snapshot: &Snapshot,
        connection: Connection,
    ) -> Ensured {
        let managed = snapshot.may_answer();
        let record = snapshot.record.as_ref().filter(|_| managed);
        Ensured::Running(Box::new(Running {
            kind: StartKind::Attached,
            pid: if managed { snapshot.pid() } else { connection.peer() },
            endpoint: found_at(plan, &connection),
            url: record.and_then(|record| record.whole_plan()).and_then(|plan| url(plan, &connection)),
            generation: if managed { snapshot.generation() } else { Generation::UNMANAGED },
            managed,
            differs: record.map(|record| self.differences(record, plan)).unwrap_or_default(),
            after_kill: false,
            connection,
            logs: if managed {
                LogPaths::below(self.root.path(), &self.session)
            } else {
                LogPaths::default()
            },
            watch: if managed {
                self.watch(snapshot.generation(), snapshot.leader().cloned(), None)
            } else {
                WorkerWatch::unmanaged(plan.target().clone())
            },
        }))
    }

    /// The parts named by the caller in which the recorded start differs.
    fn differences(&self, record: &SessionRecord, plan: &SpawnBgPlan) -> Vec<Part> {
        differences(record, plan, &self.launch.named_parts())
    }

    /// Refuses a start for which the record is not enough.
    pub(super) fn no_plan(&self, why: NoPlan, snapshot: &Snapshot) -> Error {
        let advice = Box::new(Advice::of_no_plan(&self.session, &why, snapshot, &self.own_socket()));
        Error::NoPlan { session: self.session.clone(), why, advice }
    }

    /// The handle to wait for the worker of a start.
    fn watch(
        &self,
        generation: Generation,
        leader: Option<ProcessIdentity>,
        reaped: Option<ReapedExit>,
    ) -> WorkerWatch {
        let (root, here, session) = (self.root.clone(), self.here.clone(), self.session.clone());
        WorkerWatch::of_start(wait::Start { root, here, session, generation, leader, reaped })
    }

    pub(super) fn locked(
        &self,
        plan: &SpawnBgPlan,
        why: &ConflictReason,
        holder: Option<LockClaim>,
    ) -> Rejection {
        let claim = self.root.path().join(self.session.as_str()).join(CLAIM_FILE);
        Rejection::locked(&self.session, plan.target(), why, holder, &claim)
    }

    pub(super) fn reject(
        &self,
        reason: RejectReason,
        plan: &SpawnBgPlan,
        probed: &Probed,
        snapshot: &Snapshot,
    ) -> Rejection {
        let own_socket = self.own_socket();
        let named = self.launch.address.as_ref();
        let site = Site { session: &self.session, own_socket: &own_socket, named };
        let rejection = Rejection::of_worker(reason, &site, plan.target(), probed, snapshot);
        if reason == RejectReason::NotRunning && !snapshot.is_known() {
            // Without a similar name the advice stays: how to start the worker.
            let similar = list::similar(&self.root, &self.session);
            let advice = similar.map(|session| Advice::of_unknown_session(Some(&session)));
            return Rejection { advice: advice.unwrap_or(rejection.advice), ..rejection };
        }
        rejection
    }
}

/// The endpoint at which a worker was found: a port may be served at another address of this machine than planned.
fn found_at(plan: &SpawnBgPlan, connection: &Connection) -> Endpoint {
    match connection.endpoint() {
        endpoint @ Endpoint::Tcp(_) => endpoint.clone(),
        Endpoint::Unix(_) | Endpoint::None => plan.target().clone(),
    }
}

/// The address for a browser, if the worker is known to speak HTTP on a port.
fn url(plan: &SpawnBgPlan, connection: &Connection) -> Option<String> {
    let (Readiness::Http(path), Endpoint::Tcp(at)) = (&plan.ready, connection.endpoint()) else {
        return None;
    };
    Some(format!("http://{at}{path}"))
}
