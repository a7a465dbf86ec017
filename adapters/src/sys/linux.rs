//! Linux: the only folder with system calls.
//!
//! | room | content |
//! |---|---|
//! | `failure` | the operation, the path and the errno of a failed call |
//! | `fs` | files and directories, their locks, and their events |
//! | `process` | processes: born, pinned, signalled, reaped |
//! | `socket`, `descriptors`, `poll` | Unix sockets; pipes; waiting for them |
//! | `procfs`, `socket_table`, `lock_table` | processes, listeners and flocks, as `/proc` shows them |
//! | `socket::tcp_table` | TCP listeners, as the kernel's socket diagnosis names them |
//! | `clock`, `short_sleep`, `random` | the wall clock; pauses below a millisecond; random numbers |
//! | `user`, `startup` | our user; a program's initial signals and descriptors |
//!
//! # Invariants
//! 1. The calls are made by nix. rustix is used where nix has no safe function: `flock` on a shared file (`fs::flock`),
//!    pidfds (`process::pidfd`), a rename without replacement on any libc (`fs`), a copy of a descriptor above a number
//!    (`descriptors`), and the number of bytes in a pipe (`poll`). libc is for the child between `clone` and `exec`
//!    (`process::clone`), where a call must be a bare system call, and for constants missing in nix.
//! 2. All `unsafe` code is here.
//! 3. A function asks, or does, one thing. The meaning of an answer for a session is decided elsewhere.
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
