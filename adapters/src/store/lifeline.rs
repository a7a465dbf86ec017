//! The lifeline: a lock that a worker and its descendants hold for as long as any of them lives.
//!
//! The child takes it itself, between fork and exec, on a descriptor that it opened itself, so that the launcher
//! never holds it and cannot leak it. It is a fresh file for each generation.
//!
//! # Invariants
//! 1. It is asked with a shared lock: two who ask with exclusive ones would see each other.
//! 2. We never unlock what a worker holds; a lock of ours is on a descriptor of ours.
//! 3. What cannot be asked is unreadable, not free; what cannot be searched for everywhere is not absent.
//!
//! Checked by `smoke/tests/smoke/spawn/child.rs` and `ground/removal.rs`.

mod locate;
pub(crate) mod mark;
mod probe;
mod root_id;
mod search;

pub use locate::{Located, ask, find, guards_this_process, locate, open, renew};
pub use mark::{LifelineMark, Worksite};
pub(crate) use probe::Reach;
pub use probe::{LIFELINE_FILE, LifelineProbe};
pub use root_id::RootId;
pub use search::{Lost, Searched, search};
