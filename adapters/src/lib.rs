//! The operating system behind [`rekindle_core`]: every effect of the core, on Linux.
//!
//! | room | content |
//! |---|---|
//! | `sys` | system calls, in `sys::linux` only: [`procfs`], [`socket_table`], [`clock`], [`random`], [`orphans`], [`startup`]; waiting: [`backoff`], [`directories`] |
//! | `store` | [`way`], [`state_root`], [`session_dir`], [`directory`]: trusted places. [`claim_lock`], [`lifeline`]: the two kernel locks of a session. [`record_file`], [`lock_file`], [`lifecycle`]: the files. [`remedy`]: advice after a failure |
//! | `endpoint` | [`probe`]: is a process of our user listening on a socket? [`tcp`]: the same for a port. [`socket_file`], [`bound`]: the socket's file, and sockets bound by the launcher for the worker. [`hint`], [`port`]: ports for reports to people |
//! | `ready` | [`notify`]: the worker's readiness messages. [`handshake`]: ready when the worker answers our handshake. [`mod@line`]: the pattern for a line of output |
//! | [`spawn`] | finds the program ([`program`]), reads its variables ([`env_file`]), and starts the program as a worker, or in the [`foreground`] under a lock |
//! | [`worker`] | a worker's exit, signals and survivors |
//! | [`start`] | one start: its record, the core's traits ([`seams`]), and their assembly ([`deps`]) |
//! | [`logs`] | the logs of a worker: names, index, cuts in passing, reading |
//! | `pool` | [`lines`]: bounded lines on a socket. [`call`]: one line there, one back. [`client`], [`serve`]: the two sides of the pool protocol |
//! | [`stdio`] | a child over stdin and stdout, and its guardian |
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

pub mod logs;
pub mod spawn;
pub mod start;
pub mod stdio;
pub mod worker;

pub use endpoint::{bound, hint, port, probe, socket_file, tcp};
pub use pool::{call, client, lines, serve};
pub use ready::{handshake, line, notify};
pub use spawn::{env_file, foreground, program};
pub use start::{deps, seams};
pub use store::{
    claim_file, claim_lock, directory, lifecycle, lifeline, lock_file, record_file, remedy, session_dir,
    state_root, way,
};
pub use sys::backoff;
pub use sys::linux::fs::directories;
pub use sys::linux::process::orphans;
pub use sys::linux::{clock, procfs, random, socket_table, startup};

pub use claim_lock::{ClaimAttempt, HeldClaim};
pub use client::{PoolCallError, PoolClient};
pub use deps::ProductionSpawnBgResumeDeps;
pub use probe::{Connection, Probed};
pub use session_dir::SessionDir;
pub use state_root::{StateRoot, StateRootError};
pub use worker::Worker;
