//! Decides whether a claim may be released. No other code permits a release.
//!
//! # Invariants
//! 1. [`reduce`] says "release" at most once over any sequence of events.
//! 2. A timeout is not an event: no amount of waiting releases a claim.
//! 3. Under [`ReleasePolicy::ReleaseAfterSpawnObservation`] only an observation releases the claim, or a start without
//!    a process. After [`ReleaseEvent::SpawnStarted`] a failed start releases nothing.
//!
//! Checked by `gates/tests/release.rs`.

use crate::claim::LockClaim;
use crate::process::id::SessionId;

/// The time of a claim's release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReleasePolicy {
    /// No claim is held.
    NoLock,
    /// After a message has reached a final state, of any kind.
    ReleaseAfterSendFinal,
    /// After an observation of a start: the socket answered, or the process ended.
    ReleaseAfterSpawnObservation,
}

/// The progress of a claim.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ReleaseState {
    /// Held; nothing has happened yet.
    #[default]
    Pending,
    /// Held; a worker runs, and has not been observed.
    Started,
    /// Released.
    Released,
}

/// The final state of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SendFinal {
    /// The message was delivered.
    Sent,
    /// The message was delivered by another way.
    FallbackSent,
    /// The message was refused.
    Rejected,
    /// The message could not be delivered.
    Failed,
}

/// A fact that may release a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReleaseEvent {
    /// A message reached its final state.
    SendFinal(SendFinal),
    /// A worker was started.
    SpawnStarted,
    /// A worker could not be started.
    SpawnStartFailed,
    /// The worker's socket answered.
    SocketAlive,
    /// The worker's process ended.
    ChildExited,
    /// A message waits in a mailbox.
    MailboxEnqueued,
}

/// Takes one event and decides whether to release the claim now.
///
/// ```
/// use rekindle_core::release::{ReleaseEvent, ReleasePolicy, ReleaseState, reduce};
///
/// let policy = ReleasePolicy::ReleaseAfterSpawnObservation;
/// let (state, now) = reduce(policy, ReleaseState::Pending, ReleaseEvent::SpawnStarted);
/// assert!(!now);
/// let (state, now) = reduce(policy, state, ReleaseEvent::SocketAlive);
/// assert!(now);
/// let (_, again) = reduce(policy, state, ReleaseEvent::ChildExited);
/// assert!(!again);
/// ```
#[must_use = "a release that is dropped leaves the claim held"]
pub fn reduce(policy: ReleasePolicy, state: ReleaseState, event: ReleaseEvent) -> (ReleaseState, bool) {
    use {ReleaseEvent as Ev, ReleasePolicy as P, ReleaseState as St};
    match (policy, state, event) {
        (P::NoLock, state, _) | (_, state @ St::Released, _) => (state, false),
        (P::ReleaseAfterSendFinal, _, Ev::SendFinal(_)) => (St::Released, true),
        (
            P::ReleaseAfterSendFinal,
            state,
            Ev::SpawnStarted | Ev::SpawnStartFailed | Ev::SocketAlive | Ev::ChildExited | Ev::MailboxEnqueued,
        ) => (state, false),
        (P::ReleaseAfterSpawnObservation, St::Pending, Ev::SpawnStarted) => (St::Started, false),
        (P::ReleaseAfterSpawnObservation, St::Pending, Ev::SpawnStartFailed) => (St::Released, true),
        (P::ReleaseAfterSpawnObservation, _, Ev::SocketAlive | Ev::ChildExited) => (St::Released, true),
        (
            P::ReleaseAfterSpawnObservation,
            state,
            Ev::SpawnStarted | Ev::SpawnStartFailed | Ev::SendFinal(_) | Ev::MailboxEnqueued,
        ) => (state, false),
    }
}

/// A plan and a claim that do not match. No worker was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PairingError {
    /// The plan needs a claim, and there is no claim.
    #[error("a start of session `{session}` needs a claim on the session")]
    Missing {
        /// The plan's session.
        session: SessionId,
    },
    /// The claim is on another session.
    #[error("the plan is for session `{planned}` but the claim is on `{claimed}`")]
    OtherSession {
        /// The plan's session.
        planned: SessionId,
        /// The claim's session.
        claimed: SessionId,
    },
    /// There is a claim, and the policy allows no claim.
    #[error("a claim on session `{session}` is held, but the policy allows no claim")]
    Unexpected {
        /// The claim's session.
        session: SessionId,
    },
}

impl ReleasePolicy {
    /// Checks that this policy releases `claim` for `session`, and returns the claim.
    ///
    /// # Errors
    /// [`PairingError`] if the claim is missing, on another session, or not allowed.
    pub fn pair<'c>(
        self,
        session: &SessionId,
        claim: Option<&'c LockClaim>,
    ) -> Result<Option<&'c LockClaim>, PairingError> {
        match (self, claim) {
            (Self::NoLock, None) => Ok(None),
            (Self::NoLock, Some(claim)) => {
                Err(PairingError::Unexpected { session: claim.session_id.clone() })
            }
            (Self::ReleaseAfterSendFinal | Self::ReleaseAfterSpawnObservation, None) => {
                Err(PairingError::Missing { session: session.clone() })
            }
            (Self::ReleaseAfterSendFinal | Self::ReleaseAfterSpawnObservation, Some(claim)) => {
                if claim.session_id == *session {
                    Ok(Some(claim))
                } else {
                    Err(PairingError::OtherSession {
                        planned: session.clone(),
                        claimed: claim.session_id.clone(),
                    })
                }
            }
        }
    }
}
