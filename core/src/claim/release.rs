//! May the claim be given up? The only door to a release.
//!
//! # Invariants
//! 1. `should_release` is true at most once over any sequence of events.
//! 2. A timeout is not an event: no amount of waiting releases anything.
//! 3. Under [`ReleasePolicy::ReleaseAfterSpawnObservation`] only an observation releases, or a start that never
//!    happened; a start that began can no longer "not have happened".
//!
//! Checked by `gates/tests/release.rs`.

use crate::claim::LockClaim;
use crate::process::id::SessionId;

/// When a claim is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReleasePolicy {
    /// No claim is held.
    NoLock,
    /// Once a message reached its final state, whichever.
    ReleaseAfterSendFinal,
    /// Once a start was observed: its socket answered, or its process ended.
    ReleaseAfterSpawnObservation,
}

/// How far a claim has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ReleaseState {
    /// Held; nothing has happened yet.
    #[default]
    Pending,
    /// Held; a worker runs that has not been observed.
    Started,
    /// Given up.
    Released,
}

/// How a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SendFinal {
    /// It was delivered.
    Sent,
    /// It was delivered another way.
    FallbackSent,
    /// It was refused.
    Rejected,
    /// It could not be delivered.
    Failed,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReleaseEvent {
    /// A message reached its final state.
    SendFinal(SendFinal),
    /// A worker was started.
    SpawnStarted,
    /// A worker could not be started.
    SpawnStartFailed,
    /// Its socket answered.
    SocketAlive,
    /// Its process ended.
    ChildExited,
    /// A message waits in a mailbox.
    MailboxEnqueued,
}

/// Takes one event and says whether the claim is to be released now.
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

/// A plan and a claim that do not belong together. Nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PairingError {
    /// The plan needs a claim and none was given.
    #[error("session `{session}` cannot be started without a claim on it")]
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
    /// A claim is held where none may be.
    #[error("a claim on session `{session}` is held where the policy says there must be none")]
    Unexpected {
        /// The claim's session.
        session: SessionId,
    },
}

impl ReleasePolicy {
    /// Checks that `claim` is the one that this policy releases for `session`, and hands it back.
    ///
    /// # Errors
    /// [`PairingError`] where it is missing, on another session, or held where there must be none.
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
