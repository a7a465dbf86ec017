//! Starts a worker: everything is prepared beforehand, then one `clone` and one `exec`.
//!
//! std's `Command` would need `pre_exec` for a worker, and then copies the launcher's page tables. Here the child
//! borrows the launcher's memory until exec (`sys::linux::process::clone`), and its pidfd exists from birth.
//!
//! # Invariants
//! 1. The child takes the lifeline before exec, on a descriptor opened by the child.
//! 2. The child keeps its copy of the claim's descriptor until its lifeline is held and marked: a worker is guarded at
//!    every instant, however the launcher dies.
//! 3. The worker has a new process session, default signals, an empty signal mask, its launcher's umask, and only these
//!    descriptors: 0 to 2, its lifeline and, if inherited, its socket.
//! 4. A failed start leaves no process, and names the missing file.
//!
//! Checked by `smoke/tests/smoke/spawn/child.rs`.

mod birth;
pub mod env_file;
pub mod foreground;
pub(crate) mod prepare;
pub mod program;
mod request;

pub use birth::spawn;
pub use request::{Provision, SpawnRequest};
