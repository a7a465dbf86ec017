//! A model of many launchers and their workers, explored exhaustively: two workers are never alive for one session.
//!
//! The world is what the kernel and the session directory hold: locks, four files, one socket path, processes. Its
//! actors are launchers, the workers that they start, a `stop` and an `unlock --force`. Each takes one atomic step at
//! a time, in any order, and at any instant one may be killed, a future dropped, a worker die, a socket vanish. Every
//! decision is the core's own function; the steps between them mirror `rekindle/src/ensure.rs`, `rekindle/src/end.rs`,
//! `adapters/src/start/progress.rs`, `adapters/src/store/claim_lock.rs` and `adapters/src/sys/linux/process/clone/worker.rs`.
//!
//! What the model leaves out: pids are never reused (`identity.rs` judges that), no call fails but by a death, nobody
//! removes the session directory, and every process lets itself be seen.
//!
//! | module | what it is for |
//! |---|---|
//! | [`protocol`] | which steps are taken, and the wrong ways to take them |
//! | [`world`] | the files, locks and processes |
//! | [`survey`] | what an actor learns of the last worker |
//! | [`claim`] | taking a claim and giving it up |
//! | [`worker`] | a child and the programs it may become; signals |
//! | [`launcher`], [`start`] | one `ensure`: up to its verdict, and the start or adoption after it |
//! | [`operator`] | `stop` and `unlock --force` |
//! | [`adversity`] | everything that may happen to all of them |
//! | [`promises`] | what must hold, and the launcher that comes afterwards |
//! | [`mod@explore`] | the walk, breadth first, and the shortest history to a broken promise |
//!
//! Checked by `gates/tests/launchers.rs`.

pub mod adversity;
pub mod claim;
pub mod explore;
pub mod launcher;
pub mod operator;
pub mod promises;
pub mod protocol;
pub mod start;
pub mod survey;
pub mod worker;
pub mod world;

pub use explore::{Broken, Report, explore};
pub use promises::Promise;
pub use protocol::{Adversity, Kind, Model, Origin, Protocol};
