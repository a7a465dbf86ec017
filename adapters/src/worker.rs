//! A running worker, ours or one with a dead launcher: exit, signals, survivors.
//!
//! # Invariants
//! 1. An exit is believed only if the process is gone *and* the lifeline is free: a leader that exits while its
//!    lifeline is held has daemonised, and from then on the lifeline is watched.
//! 2. No exit is missed: the pidfd exists from birth. A child without a waiter is still reaped.
//! 3. A signal goes through a pidfd, never to a bare pid, and only with a warrant of the core's judges: an unjudged
//!    process is never pinned, signalled or counted as a member.
//! 4. Our child is reaped last: until then its pid, the name of its group, cannot be reused.
//!
//! Checked by `smoke/tests/smoke/spawn/child.rs`.

mod exit;
mod members;
mod pin;
mod process;
mod reaper;
mod send;
mod signal;
mod watch;

pub use exit::await_exit;
pub(crate) use members::{family, has_visible_holder, is_family, is_kin, known};
pub use members::{listener_at, members};
pub use reaper::ReapedExit;
pub(crate) use reaper::leave_to_reaper;
pub use send::{signal_leader, signal_members};
pub use signal::{signal, signal_by};
pub use watch::Worker;
