//! Wrong ways to perform an effect. Each wrong way has to break a promise, or to meet a second guard.

use crate::start::order::{CHILD, ChildStep};

/// The way of performing effects. [`Conduct::RIGHT`] is the right way; each other value is wrong in a single place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conduct {
    /// The child's steps between fork and exec.
    pub child: [Option<ChildStep>; 5],
    /// The wrongly performed effect.
    pub wrong: Option<Sabotage>,
    /// A second wrongly performed effect.
    pub also_wrong: Option<Sabotage>,
}

/// A wrong way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// A restart does not end the worker, and goes on as if the worker had ended.
    ReplaceUnended,
    /// The lock is on the evidence file, and disappears with the file.
    LockOnEvidence,
    /// A start reuses the existing lifeline file.
    LifelineReused,
    /// The launcher locks the lifeline, and unlocks the lifeline as soon as the child runs.
    LifelineOfLauncher,
    /// The record is written after the fork.
    RecordAfterFork,
    /// The record is completed after the claim was released.
    RecordAfterRelease,
    /// The child's identity is recorded only with the observation.
    IdentityWhenObserved,
    /// The last worker counts as gone if the record names no living process, whatever the state of the lifeline.
    GoneByRecord,
    /// The last worker counts as gone if the record says `exited`.
    GoneByExitedRecord,
    /// The last worker counts as gone if no process answers.
    GoneByRefusedConnect,
    /// An exit is believed when the leader is gone.
    ExitOfLeader,
    /// A time-out releases the claim.
    TimeoutReleases,
    /// A signal reaches the leader alone.
    KillOfLeader,
    /// The claim of a dropped future stays held.
    DroppedLeftHeld,
    /// A stale socket is not removed.
    StaleSocketLeft,
    /// A stop cleans up without the claim, and removes the evidence of any claim.
    StopWithoutClaim,
    /// A stop takes the lifeline opened once for the lifeline of the observed generation.
    StopPinsOpenedOnce,
    /// A stop takes any lifeline under the name at the time of the signal.
    StopPinsByName,
    /// The program of a claimer does not inherit the lock.
    ProgramWithoutAnchor,
    /// An unlock does not take the lock.
    UnlockWithoutLock,
    /// A collection does not take the lock.
    GcWithoutLock,
    /// A lifeline without a name is not searched for.
    LostLifelineUnsearched,
    /// Any listener on a port counts as the worker's.
    StrangerBelieved,
    /// A start uses a chosen port again, although a stranger took the port.
    PortKept,
}

impl Conduct {
    /// The right way.
    pub const RIGHT: Self = Self {
        child: [Some(CHILD[0]), Some(CHILD[1]), Some(CHILD[2]), Some(CHILD[3]), Some(CHILD[4])],
        wrong: None,
        also_wrong: None,
    };

    /// A conduct with a single sabotage.
    pub const fn wrong(wrong: Sabotage) -> Self {
        Self { wrong: Some(wrong), ..Self::RIGHT }
    }

    /// The same conduct with a second sabotage.
    #[must_use]
    pub const fn and(self, wrong: Sabotage) -> Self {
        Self { also_wrong: Some(wrong), ..self }
    }

    /// A child with other steps.
    pub const fn child(child: [Option<ChildStep>; 5]) -> Self {
        Self { child, ..Self::RIGHT }
    }

    /// Whether the conduct includes a sabotage.
    pub fn has(&self, what: Sabotage) -> bool {
        self.wrong == Some(what) || self.also_wrong == Some(what)
    }
}
