//! The operating system behind [`rekindle_core`]: every effect that the core names, on Linux.
//!
//! | module | what it does |
//! |---|---|
//! | [`way`] | whose directories lead to a place, and may they be trusted |
//! | [`state_root`], [`session_dir`], [`directory`] | the directories, and files put in place whole |
//! | [`claim_lock`], [`lifeline`] | the two kernel locks of a session |
//! | [`record_file`] | the record |
//! | [`lifecycle`] | the files of a daemon's singleton marker |
//! | [`attended`] | a program that runs under a lock, and not without it |
//! | [`probe`] | does anybody answer on a socket, and is it our user |
//! | [`socket_table`] | who listens where, without connecting |
//! | [`bound`], [`notify`] | sockets that the launcher binds for its worker; what the worker says |
//! | [`handshake`] | a worker is ready when it answers, to us |
//! | [`backoff`] | pauses between two looks, ended early by events |
//! | [`program`], [`spawn`] | which program, and how it becomes a worker |
//! | [`worker`] | its exit, its signals, its survivors |
//! | [`seams`], [`start`], [`deps`] | the core's traits: one by one, around one start, and put together |
//! | [`startup`] | what a program that launches workers sets right first |
//! | [`lines`], [`client`] | bounded lines on a socket; one there, one back |
//! | [`pool_client`], [`serve`] | the client's and the worker's side of the pool protocol |
//! | [`stdio`] | a child that is spoken to over its standard streams, and its guardian |
//! | [`remedy`] | what would help after a failure |
//! | [`orphans`] | children that the kernel handed to us, as it does to pid 1 |
//! | [`procfs`], [`clock`], [`random`] | what the kernel says about processes, time and chance |
//!
//! This crate decides nothing: each judgement is a function of the core.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "rekindle-adapters needs Linux: it stands on pidfds, flock on directories, O_PATH and /proc. \
     rekindle-core and rekindle-gates need a Unix only."
);

mod blink;
mod file_system;
mod hints;
mod os;
mod ready;
mod temporary;

pub mod attended;
pub mod backoff;
pub mod bound;
pub mod claim_lock;
pub mod client;
pub mod clock;
pub mod deps;
pub mod directory;
pub mod handshake;
pub mod lifecycle;
pub mod lifeline;
pub mod lines;
pub mod lock_file;
pub mod notify;
pub mod orphans;
pub mod pool_client;
pub mod probe;
pub mod procfs;
pub mod program;
pub mod random;
pub mod record_file;
pub mod remedy;
pub mod seams;
pub mod serve;
pub mod session_dir;
pub mod socket_file;
pub mod socket_table;
pub mod spawn;
pub mod start;
pub mod startup;
pub mod state_root;
pub mod stdio;
pub mod way;
pub mod worker;

pub use claim_lock::{ClaimAttempt, HeldClaim};
pub use deps::ProductionSpawnBgResumeDeps;
pub use pool_client::{PoolCallError, PoolClient};
pub use probe::{Connection, Probed};
pub use session_dir::SessionDir;
pub use state_root::{StateRoot, StateRootError};
pub use worker::Worker;
