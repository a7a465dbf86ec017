//! What the live suite in `tests/smoke` stands on: test environments that own what they start, and facts about real processes.
//!
//! | module | what it does |
//! |---|---|
//! | [`suite`] | runs tests, each within a bound, and closes with the count |
//! | [`test environment`] | a private directory and all processes started in it, ended when it goes |
//! | [`account`] | whose processes a test starts: ours, or an ordinary user's |
//! | [`container`] | a container: namespaces of its own over the test environment's files |
//! | [`sentinel`] | a process that writes down every signal it gets |
//! | [`cli`] | runs `rekindle` and reads what it answered |
//! | [`starts`] | starts workers through the library |
//! | [`children`] | starts children that are spoken to over their standard streams |
//! | [`homes`] | directories of several users |
//! | [`procs`] | what `/proc` says of a process |
//! | [`programs`] | other people's programs, and small workers in Python |
//! | [`peers`] | threads that play a worker and misbehave |
//! | [`proxy`] | `rekindle supervise` as a client sees it |
//! | [`soak`] | starts and ends children over and over: `just soak` |
//! | [`wait`] | waits for facts |
//! | [`harness`] | kills, fails and crowds launchers: `just crash`, `just contend` |
//!
//! # Invariants
//! 1. Nothing waits for an interval: every wait is for a fact, and fails by its name when it does not come true.
//! 2. No upper bound on time is asserted but by the outcome of what was bounded.
//! 3. Whatever a test starts is ended with its test environment, also when the test panics, and that nothing is left is checked.
//! 4. A program that is missing fails the test that needs it. Only what [`suite::Need`] names may be missing, and then
//!    the test is skipped by name.

pub mod account;
pub mod children;
pub mod cli;
pub mod container;
pub mod harness;
pub mod homes;
pub mod peers;
pub mod procs;
pub mod programs;
pub mod proxy;
pub mod reaper;
pub mod sentinel;
pub mod soak;
pub mod starts;
pub mod suite;
pub mod test_env;
pub mod wait;

pub use account::{Account, Root};
pub use cli::{Launcher, Reply};
pub use container::{Container, Place};
pub use sentinel::{Sentinel, SentinelKind};
pub use starts::Starts;
pub use test_env::TestEnv;

/// Compiles the programs on the pages of `docs`. They are not run here: `just gates` starts no process.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../docs/library.md")]
    struct Library;
    #[doc = include_str!("../../docs/pool-protocol.md")]
    struct PoolProtocol;
    #[doc = include_str!("../../docs/supervise.md")]
    struct Supervise;
}
