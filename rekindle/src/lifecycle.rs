//! A daemon's singleton marker: one file that says who runs, and a lock that decides who may.
//!
//! # Invariants
//! 1. Who may take it is for `rekindle_core::decide_claim` to say, under `ClaimPolicy::lifecycle`.
//! 2. The marker is written, replaced and removed only by whoever has the flock of `<path>.lock`.
//! 3. A conflict leaves the marker as it is, byte for byte; a release removes only our own.
//!
//! Checked by `gates/tests/claim.rs` and `lifecycle.rs`, and by `smoke/tests/smoke/lifecycle/marker.rs`.

mod guard;
mod lock;
mod outcome;
mod report;
mod task;

pub use guard::LifecycleGuard;
pub use lock::LifecycleLock;
pub use outcome::{
    Acquired, ForceUnlocked, LifecycleConflict, LifecycleError, LifecycleState, LifecycleStatus, Released,
    TakenOver,
};
#[doc(inline)]
pub use rekindle_adapters::lifecycle::LifecycleFileError;
#[doc(inline)]
pub use rekindle_core::LifecyclePayload;
#[doc(inline)]
pub use rekindle_core::claim::lifecycle::StartedAt;
#[doc(inline)]
pub use rekindle_core::claim::{ConflictReason, TakeOverReason};
#[doc(inline)]
pub use rekindle_core::identity::{DeathProof, UnknownReason};
