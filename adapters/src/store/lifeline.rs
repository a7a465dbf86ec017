//! The lifeline: a lock held by a worker and its descendants as long as any of them lives.
//!
//! The child takes the lock between fork and exec, on a descriptor opened by the child, so the launcher never holds the
//! lock and cannot leak the descriptor. Each generation has a fresh file.
//!
//! # Invariants
//! 1. A query uses a shared lock: two queries with exclusive locks would see each other.
//! 2. A worker's lock is never unlocked here; a lock of ours is on a descriptor of ours.
//! 3. A failed query means unreadable, not free; an incomplete search proves no absence.
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
pub use search::{Lost, Searched, hidden, search};
