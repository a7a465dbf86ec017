//! Linux: the only folder that names the kernel's calls.
//!
//! | room | what is asked of the kernel |
//! |---|---|
//! | `failure` | the operation, the path and the errno of a call that failed |
//! | `fs` | files and directories, their locks, and what happens to them |
//! | `process` | processes: born, held on to, signalled, reaped |
//! | `socket`, `descriptors`, `poll` | Unix sockets; pipes; waiting for them |
//! | `procfs`, `socket_table`, `lock_table` | processes, listeners and flocks, as `/proc` shows them |
//! | `clock`, `short_sleep`, `random` | the wall clock; pauses below a millisecond; random numbers |
//! | `user`, `startup` | our user; the signals and descriptors with which a program begins |
//!
//! # Invariants
//! 1. The calls are made by nix. rustix stands in where nix has none that is safe: `flock` on a file that others own too
//!    (`fs::flock`), pidfds (`process::pidfd`), a rename that replaces nothing on any libc (`fs`), a copy of a descriptor
//!    above a number (`descriptors`), and the length of what a pipe holds (`poll`). libc is for the child between `clone` and
//!    `exec` (`process::clone`), where a call must be nothing but a call, and for constants that nix does not spell.
//! 2. What is `unsafe` is here and nowhere else.
//! 3. A function asks, or does, one thing. What an answer means for a session is for others to say.
//!
//! The first two are checked by `gates/tests/house.rs`.

pub(crate) mod descriptors;
pub(crate) mod failure;
pub(crate) mod fs;
pub(crate) mod lock_table;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod short_sleep;
pub(crate) mod socket;
pub(crate) mod user;

pub mod clock;
pub mod procfs;
pub mod random;
pub mod socket_table;
pub mod startup;
