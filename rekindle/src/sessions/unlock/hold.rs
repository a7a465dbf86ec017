//! Holds the claim of a session while a message is sent to the worker.
//!
//! Performs the effects of [`rekindle_core::claim::hold`], which decides.

use crate::error::Error;
use crate::json::holder::HolderJson;
use crate::outcome::Rejection;
use crate::sessions::list::unknown;
use crate::sessions::snapshot::{ListenerTables, Snapshot};
use rekindle_adapters::claim_file::CLAIM_FILE;
use rekindle_adapters::claim_lock::{ClaimAttempt, ClaimQueue};
use rekindle_adapters::{HeldClaim, StateRoot, foreground};
use rekindle_core::claim::ConflictReason;
use rekindle_core::claim::hold::{Conclusion, Effect, Event, Hold, Passes, Patience, step};
use rekindle_core::release::SendFinal;
use rekindle_core::{
    ChildExit, Endpoint, Generation, Host, Liveness, LockClaim, ReleaseError, SessionId, SessionState,
    SpawnError,
};
use std::ffi::OsString;
use std::fmt;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The outcome of [`Sessions::claim`](crate::Sessions::claim).
#[derive(Debug)]
#[must_use = "the claim may be another's"]
pub enum Claimed {
    /// This call holds the claim.
    Ours(Box<SessionClaim>),
    /// Another process has the claim.
    Conflict(Box<ClaimConflict>),
}

/// The reason why a claim could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimConflict {
    /// The kind of conflict.
    pub why: ConflictReason,
    /// Whether the wait for the claim has ended by its deadline.
    pub is_late: bool,
    /// The holder of the claim, if readable.
    pub holder: Option<LockClaim>,
    /// The conflict in words.
    pub message: String,
    /// The next step.
    pub advice: crate::Advice,
}

impl fmt::Display for ClaimConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ClaimConflict {
    /// The holder's evidence for JSON, without the nonce.
    pub fn holder_shown(&self) -> Option<HolderJson<'_>> {
        self.holder.as_ref().map(HolderJson::from)
    }
}

/// A held claim: no process starts a worker of the session meanwhile, replaces it, or collects the session. A `stop` needs
/// no claim, and ends the worker all the same.
///
/// Released on drop, as after a failed send. If this process is killed, the claim stays held while a program of
/// [`Self::run_program`] lives; then the next launcher takes the claim over.
#[derive(Debug)]
pub struct SessionClaim {
    hold: Hold,
    held: Option<HeldClaim>,
    /// The session.
    pub session: SessionId,
    /// The state of the session under the claim.
    pub state: SessionState,
    /// The recorded endpoint; `None` if no worker was ever started.
    pub endpoint: Option<Endpoint>,
    /// The generation of the worker; 0 if no worker was ever started.
    pub generation: Generation,
    snapshot: Snapshot,
    here: Arc<Host>,
}

/// Takes the claim of a session that exists.
pub(crate) async fn claim(
    root: &StateRoot,
    here: &Arc<Host>,
    session: &SessionId,
    wait: Duration,
) -> Result<Claimed, Error> {
    // A claim makes the directory of its session, and a mistyped name must leave none.
    if root.session(session)?.is_none() {
        return Err(unknown(root, session));
    }
    let deadline = Instant::now() + wait;
    let mut queue = ClaimQueue::new(root, session, here);
    let mut taking = Taking::default();
    let patience = if wait.is_zero() { Patience::None } else { Patience::UntilDeadline };
    let mut hold = Hold::new(patience);
    loop {
        let event = match hold.effect() {
            Effect::Acquire => match queue.attempt() {
                Ok(ClaimAttempt::Held(held)) => {
                    taking.held = Some(*held);
                    Event::Did
                }
                Ok(ClaimAttempt::Conflict { why, holder }) => {
                    let passes = if why.may_pass() { Passes::Yes } else { Passes::No };
                    taking.conflict = Some((why, holder.map(|holder| *holder)));
                    Event::Conflict(passes)
                }
                Err(error) => taking.failed(error.into()),
            },
            Effect::AwaitClaim => match timeout_at(deadline, queue.wait()).await {
                Ok(()) => Event::Did,
                Err(_) => Event::Late,
            },
            Effect::Look => match taking.held.as_ref().map(|held| Snapshot::take(held.dir(), here)) {
                Some(Ok(snapshot)) => {
                    taking.snapshot = Some(snapshot);
                    Event::Did
                }
                Some(Err(error)) => taking.failed(error.into()),
                None => Event::Failed,
            },
            Effect::Release => match taking.held.take().map_or(Ok(()), HeldClaim::release) {
                Ok(()) => Event::Did,
                Err(_) => Event::Failed,
            },
            Effect::Send | Effect::Done(_) => return claimed(root, here, session, hold, taking),
        };
        hold = step(hold, event);
    }
}

fn claimed(
    root: &StateRoot,
    here: &Arc<Host>,
    session: &SessionId,
    hold: Hold,
    mut taking: Taking,
) -> Result<Claimed, Error> {
    if let Some(error) = taking.error.take() {
        return Err(error);
    }
    if let Some(snapshot) = taking.snapshot.take() {
        let held = taking.held.take();
        return Ok(Claimed::Ours(Box::new(SessionClaim {
            hold,
            held,
            session: session.clone(),
            state: snapshot.state(&ListenerTables::read(), here),
            endpoint: snapshot.endpoint(),
            generation: snapshot.generation(),
            snapshot,
            here: here.clone(),
        })));
    }
    let (why, holder) = taking.conflict.take().unwrap_or((ConflictReason::KernelLockHeld, None));
    let file = root.path().join(session.as_str()).join(CLAIM_FILE);
    let Rejection { message, advice, holder, .. } =
        Rejection::locked(session, &Endpoint::None, &why, holder, &file);
    let is_late = hold.effect() == Effect::Done(Conclusion::Late);
    Ok(Claimed::Conflict(Box::new(ClaimConflict { why, is_late, holder, message, advice })))
}

/// The findings of taking a claim.
#[derive(Debug, Default)]
struct Taking {
    held: Option<HeldClaim>,
    snapshot: Option<Snapshot>,
    conflict: Option<(ConflictReason, Option<LockClaim>)>,
    error: Option<Error>,
}

impl Taking {
    fn failed(&mut self, error: Error) -> Event {
        self.error = Some(error);
        Event::Failed
    }
}

/// A future that is dropped between taking the claim and the end of the look has sent nothing.
impl Drop for Taking {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            tell_unreleased(held.release());
        }
    }
}

impl SessionClaim {
    /// Connects to the worker's endpoint and judges the answer. Without an endpoint the worker's process is judged.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn probe(&self) -> Liveness {
        match &self.endpoint {
            Some(endpoint) => {
                let foreign = self.snapshot.foreign_listener();
                self.snapshot.probe(endpoint, foreign, &self.here).await.liveness()
            }
            None => Liveness::Dormant,
        }
    }

    /// Runs a program to its end under the claim, with `variables` in its environment, and returns the exit. Blocks the
    /// thread.
    ///
    /// The program inherits the locked directory: if this process is killed, the program goes on, and the claim stays
    /// held until the program and all that inherited the descriptor have ended. Only for the main thread of a process
    /// without other work.
    ///
    /// # Errors
    /// If the program could not be started.
    pub fn run_program(
        &self,
        command: &[OsString],
        variables: &[(&'static str, OsString)],
    ) -> Result<ChildExit, SpawnError> {
        let held = self.held.as_ref().ok_or(SpawnError::Abandoned { why: "the claim is not held".into() })?;
        foreground::run_on(command, variables, held.dir().as_fd())
    }

    /// Releases the claim. Every end of a send releases: a failed or refused message holds nobody up.
    ///
    /// # Errors
    /// If the evidence cannot be removed, or is no longer ours. The kernel's lock is given up all the same.
    pub fn release(mut self, end: SendFinal) -> Result<(), ReleaseError> {
        self.give_up(end)
    }

    fn give_up(&mut self, end: SendFinal) -> Result<(), ReleaseError> {
        self.hold = step(self.hold, Event::Sent(end));
        if self.hold.effect() != Effect::Release {
            return Ok(());
        }
        let released = self.held.take().map_or(Ok(()), HeldClaim::release);
        self.hold = step(self.hold, if released.is_ok() { Event::Did } else { Event::Failed });
        released
    }
}

impl Drop for SessionClaim {
    fn drop(&mut self) {
        tell_unreleased(self.give_up(SendFinal::Failed));
    }
}

fn tell_unreleased(released: Result<(), ReleaseError>) {
    if let Err(error) = released {
        tracing::warn!(%error, "a claim could not be released");
    }
}
