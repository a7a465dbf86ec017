//! Starts a worker: everything is prepared beforehand, then one `clone` and one `exec`.
//!
//! std's `Command` cannot do what a worker needs without `pre_exec`, which copies the launcher's page tables. Here the
//! child borrows the launcher's memory until it executes its program (`sys::linux::process::clone`), and its pidfd exists from birth.
//!
//! # Invariants
//! 1. The lifeline is taken by the child, before its program runs, on a descriptor that it opened itself.
//! 2. The child keeps its copy of the claim's descriptor until its lifeline is held and its identity written: at no
//!    instant is a worker unguarded, however the launcher dies.
//! 3. The worker has its own session, default signals, an empty mask, its launcher's umask, and no descriptor but 0 to 2, its
//!    lifeline and, where it is to inherit one, its socket.
//! 4. A start that fails leaves no process, and says which file is missing.
//!
//! Checked by `smoke/tests/smoke/spawn/child.rs`.

mod birth;
pub mod foreground;
pub(crate) mod prepare;
pub mod program;
mod request;

pub use birth::spawn;
pub use request::{Provision, SpawnRequest};
