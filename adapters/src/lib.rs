//! The operating system behind [`rekindle_core`]: every effect that the core names, on Linux.
//!
//! | room | what is in it |
//! |---|---|
//! | `sys` | the kernel's calls, in `sys::linux` and nowhere else: [`procfs`], [`socket_table`], [`clock`], [`random`], [`orphans`], [`startup`]; waiting: [`backoff`] |
//! | `store` | [`way`], [`state_root`], [`session_dir`], [`directory`]: places that are trusted. [`claim_lock`], [`lifeline`]: the two kernel locks of a session. [`record_file`], [`lock_file`], [`lifecycle`]: the files. [`remedy`]: what would help after a failure |
//! | `endpoint` | [`probe`]: does anybody answer on a socket, and is it our user. [`socket_file`], [`bound`]: the socket's file, and sockets that the launcher binds for its worker |
//! | `ready` | [`notify`]: what the worker says of itself. [`handshake`]: it is ready when it answers, to us |
//! | [`spawn`] | which program ([`program`]), and how it becomes a worker, or runs in the [`foreground`] under a lock |
//! | [`worker`] | its exit, its signals, its survivors |
//! | [`start`] | one start: its record, the core's traits around it ([`seams`]), and all of them put together ([`deps`]) |
//! | `pool` | [`lines`]: bounded lines on a socket. [`call`]: one there, one back. [`client`], [`serve`]: the two sides of the pool protocol |
//! | [`stdio`] | a child that is spoken to over its standard streams, and its guardian |
//!
//! This crate decides nothing: each judgement is a function of the core.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "rekindle-adapters needs Linux: it stands on pidfds, flock on directories, O_PATH and /proc. \
     rekindle-core and rekindle-gates need a Unix only."
);

mod endpoint;
mod pool;
mod ready;
mod store;
mod sys;

pub mod spawn;
pub mod start;
pub mod stdio;
pub mod worker;

pub use endpoint::{bound, probe, socket_file};
pub use pool::{call, client, lines, serve};
pub use ready::{handshake, notify};
pub use spawn::{foreground, program};
pub use start::{deps, seams};
pub use store::{
    claim_file, claim_lock, directory, lifecycle, lifeline, lock_file, record_file, remedy, session_dir,
    state_root, way,
};
pub use sys::backoff;
pub use sys::linux::process::orphans;
pub use sys::linux::{clock, procfs, random, socket_table, startup};

pub use claim_lock::{ClaimAttempt, HeldClaim};
pub use client::{PoolCallError, PoolClient};
pub use deps::ProductionSpawnBgResumeDeps;
pub use probe::{Connection, Probed};
pub use session_dir::SessionDir;
pub use state_root::{StateRoot, StateRootError};
pub use worker::Worker;
