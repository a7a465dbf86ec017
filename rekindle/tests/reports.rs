//! Every reported type has a text for people and JSON for machines.

use rekindle::lifecycle::{
    Acquired, ForceUnlocked, LifecycleConflict, LifecycleError, LifecycleState, LifecycleStatus, Released,
    TakenOver,
};
use rekindle::pool::{PoolEntry, PoolError, PoolStatus, RunOutcome};
use rekindle::{
    Collected, Diagnosis, DryRun, Ensured, Error, Exited, Forgotten, Kept, LeftOut, Listing, Liveness,
    OsFailure, RejectReason, Rejection, Retained, Running, SessionState, SessionSummary, SessionView,
    SpawnError, StartKind, StdioEnd, StdioEvent, StdioStopped, StopOutcome, Stopped, Unlocked,
};
use serde::Serialize;
use std::fmt::Display;

/// Compiles only for types with both.
macro_rules! are_reported {
    ($($reported:ty),+ $(,)?) => {{
        fn is_reported<T: Display + Serialize>() {}
        $(is_reported::<$reported>();)+
    }};
}

#[test]
fn outcomes_and_errors_have_words_and_json() {
    are_reported!(
        Acquired,
        ForceUnlocked,
        LifecycleConflict,
        LifecycleError,
        LifecycleState,
        LifecycleStatus,
        Released,
        TakenOver,
        PoolEntry,
        PoolError,
        PoolStatus,
        RunOutcome,
        Collected,
        Diagnosis,
        DryRun,
        Ensured,
        Error,
        Exited,
        Forgotten,
        Kept,
        LeftOut,
        Listing,
        Liveness,
        OsFailure,
        RejectReason,
        Rejection,
        Retained,
        Running,
        SessionState,
        SessionSummary,
        SessionView,
        SpawnError,
        StartKind,
        StdioEnd,
        StdioEvent,
        StdioStopped,
        StopOutcome,
        Stopped,
        Unlocked,
    );
}
