//! A running worker, ours or one whose launcher died: its exit, its signals, its survivors.
//!
//! # Invariants
//! 1. An exit is believed only when the process is gone *and* the lifeline is free: a leader that exits while its
//!    lifeline is held has daemonised, and the lifeline is watched in its place.
//! 2. No exit is missed: the pidfd exists from birth. A child that nobody waits for is still reaped.
//! 3. A signal goes through a pidfd, never to a bare pid, and only with a warrant of the core's judges: a process that is
//!    not to be judged is never pinned, signalled or counted as a member.
//! 4. Our child is reaped last: until then its pid, and so the name of its group, cannot become a stranger's.
//!
//! Checked by `smoke/tests/smoke/spawn/child.rs`.

mod exit;
mod members;
mod pin;
mod process;
mod reaper;
mod signal;
mod watch;

pub use exit::await_exit;
pub(crate) use members::is_kin;
pub use members::{listener_at, members};
pub use reaper::ReapedExit;
pub(crate) use reaper::leave_to_reaper;
pub use signal::signal;
pub use watch::Worker;
