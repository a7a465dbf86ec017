//! The text of a rejection: the obstacle, and the process or file behind the obstacle.

use crate::advice::{Advice, Step};
use crate::error::Error;
use crate::outcome::Rejection;
use crate::sessions::snapshot::Snapshot;
use crate::sessions::unlock::Force;
use rekindle_adapters::Probed;
use rekindle_core::claim::ConflictReason;
use rekindle_core::shown::Shown;
use rekindle_core::{Address, Endpoint, LastWorker, Liveness, LockClaim, RejectReason, SessionId};
use std::fmt;
use std::path::Path;

/// The session of a rejection, and the sockets where its worker may answer.
pub(crate) struct Site<'a> {
    pub(crate) session: &'a SessionId,
    /// The socket in the session's own directory.
    pub(crate) own_socket: &'a Path,
    /// The caller's address.
    pub(crate) named: Option<&'a Address>,
}

impl Rejection {
    pub(crate) fn new(reason: RejectReason, liveness: Option<Liveness>, endpoint: &Endpoint) -> Self {
        let endpoint = endpoint.clone();
        Self {
            reason,
            liveness,
            endpoint,
            holder: None,
            pid: None,
            message: String::new(),
            advice: Advice::nothing(),
        }
    }

    pub(crate) fn saying(self, message: impl Into<String>, advice: impl Into<Advice>) -> Self {
        Self { message: message.into(), advice: advice.into(), ..self }
    }

    /// Rejects because of the worker, or because of the file at the worker's socket path.
    pub(crate) fn of_worker(
        reason: RejectReason,
        at: &Site<'_>,
        endpoint: &Endpoint,
        probed: &Probed,
        snapshot: &Snapshot,
    ) -> Self {
        let Site { session, own_socket, named } = at;
        let (shown, why) = (endpoint.in_words(), probed.why());
        let pid = snapshot.pid().filter(|_| snapshot.last_worker() != LastWorker::Gone);
        let worker = pid.map_or_else(|| "its worker".to_owned(), |pid| format!("its worker (pid {pid})"));
        let (message, advice) = match reason {
            RejectReason::TargetAddressConflict => match endpoint {
                Endpoint::Unix(socket) => {
                    (format!("`{shown}` is not to be trusted: {why}"), Advice::of_socket_place(socket))
                }
                Endpoint::Tcp(_) | Endpoint::None => (
                    format!("{why} listens on `{shown}`, and is no process of session `{session}`"),
                    Advice::of_foreign_listener(),
                ),
            },
            RejectReason::IndeterminateNoSpawn => {
                let step = match endpoint {
                    Endpoint::Unix(socket) => Step::Probe(socket.clone()),
                    Endpoint::Tcp(at) => Step::ProbePort(*at),
                    Endpoint::None => Step::Doctor((*session).clone()),
                };
                (format!("`{shown}` could not be judged: {why}"), step.into())
            }
            RejectReason::NoEndpoint => (
                format!("session `{session}`: {worker} runs, and has no endpoint to attach to"),
                Step::Show((*session).clone()).into(),
            ),
            RejectReason::NotRunning => {
                let advice = if snapshot.last_worker() == LastWorker::Gone {
                    Advice::start(session, snapshot, own_socket)
                } else {
                    Step::Doctor((*session).clone()).into()
                };
                let why = match snapshot.endpoint() {
                    // The session's own socket says nothing about a worker with another endpoint.
                    Some(recorded) if recorded != *endpoint && snapshot.last_worker() == LastWorker::Gone => {
                        format!("the last worker, {}, is gone", Place(&recorded))
                    }
                    Some(_) | None => why.to_owned(),
                };
                (format!("no worker of session `{session}` answers: {why}"), advice)
            }
            RejectReason::AlreadyLive => {
                let address = (*named).cloned();
                let attach = Step::Attach { session: (*session).clone(), address, speak: None };
                (format!("a worker of session `{session}` answers already"), attach.into())
            }
            RejectReason::RecordLessSocket => (
                format!(
                    "what answers on `{shown}` is in no record of session `{session}`, and --managed-only takes no other"
                ),
                Advice::by_hand("end it the way it was started, or leave --managed-only out"),
            ),
            RejectReason::WorkerUnresponsive => {
                let message =
                    format!("session `{session}`: {worker} runs but does not answer on `{shown}`: {why}");
                let advice = match snapshot.newer {
                    Some(_) => Advice::use_its_version(),
                    None => Step::Stop((*session).clone()).into(),
                };
                (message, advice)
            }
            RejectReason::WorkerUnknown => {
                let doubts = snapshot.doubts().join("; ");
                let message = format!(
                    "session `{session}`: whether its worker still runs cannot be told from here: {doubts}"
                );
                (message, Advice::of_unknown(session, snapshot))
            }
            RejectReason::BadTarget
            | RejectReason::TargetLocked
            | RejectReason::VersionMismatch
            | RejectReason::HandshakeFailed => (
                format!("session `{session}` cannot be started now"),
                Step::Doctor((*session).clone()).into(),
            ),
        };
        Self { pid, ..Self::new(reason, Some(probed.liveness()), endpoint).saying(message, advice) }
    }

    /// Rejects because of a claim held by another launcher or judged in conflict.
    pub(crate) fn locked(
        session: &SessionId,
        endpoint: &Endpoint,
        why: &ConflictReason,
        holder: Option<LockClaim>,
        claim: &Path,
    ) -> Self {
        let message = describe_claim(session, why, holder.as_ref(), claim);
        let rejection = Self::new(RejectReason::TargetLocked, None, endpoint);
        Self { holder, ..rejection.saying(message, Advice::of_claim(session, why)) }
    }
}

impl Error {
    /// Refuses to clear a claim.
    pub(crate) fn claimed(
        session: &SessionId,
        claim: &Path,
        why: &ConflictReason,
        holder: Option<LockClaim>,
        force: Force,
    ) -> Self {
        let is_retained = holder.as_ref().is_some_and(|it| it.retained_at.is_some());
        let (message, advice) = match (why, force) {
            (ConflictReason::HolderAlive, Force::No) if is_retained => (
                format!("the claim on session `{session}` is kept for a worker that still runs"),
                Step::Doctor(session.clone()).into(),
            ),
            (_, Force::No | Force::Yes) => {
                let message = describe_claim(session, why, holder.as_ref(), claim);
                (message, Advice::of_claim(session, why))
            }
        };
        Self::Claimed { message, advice: Box::new(advice), holder: holder.map(Box::new) }
    }
}

/// An endpoint, as the description of a worker.
struct Place<'e>(&'e Endpoint);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Endpoint::Unix(_) | Endpoint::Tcp(_) => write!(f, "on {}", self.0.in_words()),
            Endpoint::None => f.write_str("without an address"),
        }
    }
}

/// Describes the problem with a claim.
fn describe_claim(
    session: &SessionId,
    why: &ConflictReason,
    holder: Option<&LockClaim>,
    claim: &Path,
) -> String {
    let by = holder.map_or_else(|| "by somebody who left no name".to_owned(), describe_holder);
    let claim = Shown(claim);
    match why {
        ConflictReason::KernelLockHeld => format!("session `{session}` is claimed {by}"),
        ConflictReason::HolderAlive => {
            format!("session `{session}` is claimed {by}, which runs but no longer holds the lock")
        }
        ConflictReason::HolderUnjudged(doubt) => {
            format!("session `{session}` was claimed {by}, which cannot be judged: {}", doubt.describe())
        }
        ConflictReason::Corrupt { why } => {
            format!("the claim file `{claim}` is corrupt and was left alone: {why}")
        }
        ConflictReason::OtherSession { named } => {
            format!("the claim file `{claim}` is about session `{named}` and was left alone")
        }
    }
}

/// Describes the holder of a claim, as the continuation of "is claimed". The text comes from a file, so control
/// characters are escaped.
fn describe_holder(claim: &LockClaim) -> String {
    let (owner, host) = (Shown(&claim.owner), Shown(&claim.hostname));
    format!("by {owner} (pid {} on {host}) since {}", claim.holder.pid, claim.created_at)
}
