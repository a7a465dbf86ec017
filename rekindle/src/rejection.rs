//! The words of a rejection: what is wrong, who is in the way, and the next command to type.

use crate::error::Error;
use crate::outcome::Rejection;
use crate::survey::Survey;
use crate::unlock::Force;
use rekindle_adapters::{Probed, probe};
use rekindle_core::claim::ConflictReason;
use rekindle_core::shown::Shown;
use rekindle_core::{LastWorker, Lifeline, Liveness, LockClaim, RejectReason, SessionId};
use std::path::Path;

impl Rejection {
    pub(crate) fn new(reason: RejectReason, liveness: Option<Liveness>, socket: &Path) -> Self {
        let socket = socket.to_owned();
        Self {
            reason,
            liveness,
            socket,
            holder: None,
            pid: None,
            message: String::new(),
            next: String::new(),
        }
    }

    pub(crate) fn saying(self, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { message: message.into(), next: next.into(), ..self }
    }

    /// The worker, or what stands at its socket, is in the way.
    pub(crate) fn of_worker(
        reason: RejectReason,
        session: &SessionId,
        socket: &Path,
        probed: &Probed,
        survey: &Survey,
    ) -> Self {
        let (shown, why) = (Shown(socket), probed.why());
        let pid = survey.pid().filter(|_| survey.last_worker() != LastWorker::Gone);
        let worker = pid.map_or_else(|| "its worker".to_owned(), |pid| format!("its worker (pid {pid})"));
        let (message, next) = match reason {
            RejectReason::TargetAddressConflict => (
                format!("`{shown}` is not to be trusted: {why}"),
                probe::mend(socket).unwrap_or_else(|| {
                    format!("look at what stands at `{shown}`, or name another path with --socket")
                }),
            ),
            RejectReason::IndeterminateNoSpawn => {
                (format!("`{shown}` could not be judged: {why}"), format!("rekindle probe {shown}"))
            }
            RejectReason::NotRunning => (
                format!("no worker of session `{session}` answers: {why}"),
                format!("rekindle up {session} -- PROGRAM [ARG]..."),
            ),
            RejectReason::AlreadyLive => (
                format!("a worker of session `{session}` answers already"),
                format!("rekindle up {session} --intent attach"),
            ),
            RejectReason::WorkerUnresponsive => {
                let message =
                    format!("session `{session}`: {worker} runs but does not answer on `{shown}`: {why}");
                (message, format!("rekindle stop {session}"))
            }
            RejectReason::WorkerUnknown => {
                let held = survey.evidence.lifeline == Lifeline::Held;
                let doubts = survey.doubts().join("; ");
                let message = format!(
                    "session `{session}`: whether its worker still runs cannot be told from here: {doubts}"
                );
                // Who lives is not forgotten: the doctor says whether a stop from here would reach it.
                let next = if held {
                    format!("rekindle doctor {session}")
                } else {
                    format!("rekindle unlock {session} --forget")
                };
                (message, next)
            }
            RejectReason::BadTarget | RejectReason::TargetLocked | _ => {
                (format!("session `{session}` cannot be started now"), format!("rekindle show {session}"))
            }
        };
        Self { pid, ..Self::new(reason, Some(probed.liveness()), socket).saying(message, next) }
    }

    /// A claim that is not ours to take is in the way.
    pub(crate) fn locked(
        session: &SessionId,
        socket: &Path,
        why: &ConflictReason,
        holder: Option<LockClaim>,
        claim: &Path,
    ) -> Self {
        let (message, next) = describe_claim(session, why, holder.as_ref(), claim);
        Self { holder, ..Self::new(RejectReason::TargetLocked, None, socket).saying(message, next) }
    }
}

impl Error {
    /// A claim that is not to be cleared.
    pub(crate) fn claimed(
        session: &SessionId,
        claim: &Path,
        why: &ConflictReason,
        holder: Option<LockClaim>,
        force: Force,
    ) -> Self {
        let (message, next) = match (why, force) {
            (ConflictReason::HolderAlive, Force::No)
                if holder.as_ref().is_some_and(|it| it.retained_at.is_some()) =>
            {
                (
                    format!("the claim on session `{session}` is kept for a worker that still runs"),
                    format!("rekindle stop {session}"),
                )
            }
            (_, Force::No | Force::Yes) => describe_claim(session, why, holder.as_ref(), claim),
        };
        Self::Claimed { message, next, holder: holder.map(Box::new) }
    }
}

/// What is wrong with a claim, and what to do about it.
fn describe_claim(
    session: &SessionId,
    why: &ConflictReason,
    holder: Option<&LockClaim>,
    claim: &Path,
) -> (String, String) {
    let by = holder.map_or_else(|| "by somebody who left no name".to_owned(), describe_holder);
    let claim = Shown(claim);
    let wait = format!("wait for it, or look at it: rekindle doctor {session}");
    let clear =
        format!("once you are sure that no launcher is at work on it: rekindle unlock {session} --force");
    match why {
        ConflictReason::KernelLockHeld => (format!("session `{session}` is claimed {by}"), wait),
        ConflictReason::HolderAlive => {
            (format!("session `{session}` is claimed {by}, which runs but no longer holds the lock"), wait)
        }
        ConflictReason::HolderUnjudged(doubt) => (
            format!("session `{session}` was claimed {by}, which cannot be judged: {}", doubt.describe()),
            clear,
        ),
        ConflictReason::Corrupt { why } => {
            (format!("the claim file `{claim}` is corrupt and was left alone: {why}"), clear)
        }
        ConflictReason::OtherSession { named } => {
            (format!("the claim file `{claim}` is about session `{named}` and was left alone"), clear)
        }
    }
}

/// Who holds a claim, to follow "is claimed". Its text comes from a file, so it is escaped.
fn describe_holder(claim: &LockClaim) -> String {
    let (owner, host) = (Shown(&claim.owner), Shown(&claim.hostname));
    format!("by {owner} (pid {} on {host}) since {}", claim.holder.pid, claim.created_at)
}
