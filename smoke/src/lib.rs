//! The library of the live suite in `tests/smoke`: test environments that end all of their processes, and facts about
//! real processes.
//!
//! | module | task |
//! |---|---|
//! | [`suite`] | runs tests, each within a bound, and prints the counts |
//! | [`test_env`] | a private directory and all processes started there, ended together |
//! | [`account`] | the user behind a test's processes: ours, or an ordinary user |
//! | [`container`] | a container: new namespaces over the test environment's files |
//! | [`sentinel`] | a process that writes down every received signal |
//! | [`cli`] | runs `rekindle` and reads the reply |
//! | [`schema`] | validates every answer of `rekindle` against the schema of its verb |
//! | [`sshd`] | a real sshd on a port of the loopback device |
//! | [`starts`] | starts workers through the library |
//! | [`children`] | starts stdio children |
//! | [`homes`] | directories of several users |
//! | [`procs`] | facts about processes from `/proc` |
//! | [`programs`] | third-party programs, and small workers in Python and Rust |
//! | [`peers`] | threads in the role of a misbehaving worker |
//! | [`proxy`] | `rekindle supervise` as seen by a client |
//! | [`soak`] | starts and ends children over and over: `just soak` |
//! | [`wait`] | waits for facts |
//! | [`harness`] | kills, fails and crowds launchers: `just crash`, `just contend` |
//!
//! # Invariants
//! 1. Every wait is for a fact, never for an interval; a fact that does not come true fails the test by name.
//! 2. An upper bound on time is asserted only through the outcome of the bounded action.
//! 3. A test environment ends every process started by its test, also after a panic, and checks that none is left.
//! 4. A missing program fails the test. Only the items in [`suite::Need`] may be missing; then the test is skipped by
//!    name.

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
pub mod schema;
pub mod sentinel;
pub mod soak;
pub mod sshd;
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
