//! Wrong ways to perform an effect. Each of them has to break a promise, or to be guarded a second time.

use crate::start::order::{CHILD, ChildStep};

/// How effects are performed. [`Conduct::RIGHT`] is the right way; each other value is wrong in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conduct {
    /// What the child does between fork and exec.
    pub child: [Option<ChildStep>; 5],
    /// What is performed wrongly.
    pub wrong: Option<Sabotage>,
    /// Something else that is performed wrongly.
    pub also_wrong: Option<Sabotage>,
}

/// One wrong way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// A restart does not end the worker, and goes on as if it had.
    ReplaceUnended,
    /// The lock is on the evidence file, which goes with it.
    LockOnEvidence,
    /// A start uses the lifeline file that is there.
    LifelineReused,
    /// The launcher locks the lifeline and unlocks it once its child runs.
    LifelineOfLauncher,
    /// The record is written after the fork.
    RecordAfterFork,
    /// The record is completed after the claim was released.
    RecordAfterRelease,
    /// The identity of the child comes into the record with the observation.
    IdentityWhenObserved,
    /// The last worker is gone if its record names nobody who lives, whatever the lifeline says.
    GoneByRecord,
    /// The last worker is gone if its record says that it exited.
    GoneByExitedRecord,
    /// The last worker is gone if nobody answers.
    GoneByRefusedConnect,
    /// An exit is believed when the leader is gone.
    ExitOfLeader,
    /// A time-out releases the claim.
    TimeoutReleases,
    /// A signal reaches the leader alone.
    KillOfLeader,
    /// The claim of a dropped future stays as it is.
    DroppedLeftHeld,
    /// A stale socket stays where it is.
    StaleSocketLeft,
    /// A stop cleans up without the claim, and removes the evidence of any.
    StopWithoutClaim,
    /// A stop takes the lifeline that it opened once for that of the generation it saw.
    StopPinsOpenedOnce,
    /// A stop takes whatever lifeline has the name when it signals.
    StopPinsByName,
    /// An unlock does not take the lock.
    UnlockWithoutLock,
    /// A collection does not take the lock.
    GcWithoutLock,
    /// A lifeline that lost its name is not searched for.
    LostLifelineUnsearched,
}

impl Conduct {
    /// The right way.
    pub const RIGHT: Self = Self {
        child: [Some(CHILD[0]), Some(CHILD[1]), Some(CHILD[2]), Some(CHILD[3]), Some(CHILD[4])],
        wrong: None,
        also_wrong: None,
    };

    /// Wrong in one place.
    pub const fn wrong(wrong: Sabotage) -> Self {
        Self { wrong: Some(wrong), ..Self::RIGHT }
    }

    /// Wrong in one place more.
    #[must_use]
    pub const fn and(self, wrong: Sabotage) -> Self {
        Self { also_wrong: Some(wrong), ..self }
    }

    /// A child that takes other steps.
    pub const fn child(child: [Option<ChildStep>; 5]) -> Self {
        Self { child, ..Self::RIGHT }
    }

    /// Whether something is performed wrongly.
    pub fn has(&self, what: Sabotage) -> bool {
        self.wrong == Some(what) || self.also_wrong == Some(what)
    }
}
