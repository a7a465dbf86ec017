//! A daemon's singleton marker: a file with the holder's identity, and a lock that decides who may hold.
//!
//! # Invariants
//! 1. `rekindle_core::decide_claim` decides about taking the lock, under `ClaimPolicy::lifecycle`.
//! 2. Only the holder of the flock on `<path>.lock` writes, replaces and removes the marker.
//! 3. A conflict leaves every byte of the marker unchanged; a release removes only our own marker.
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
