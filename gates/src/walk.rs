//! Many transactions on one simulated kernel, explored exhaustively: two workers are never alive for one session.
//!
//! The kernel is [`rekindle_core::testing`]; its actors are launchers, the workers that they start, a stop, an
//! `unlock --force` and a collection, and each of them is the machine of `core` that production drives. Each takes one
//! atomic step at a time, in any order, and at any instant one may be killed, a future dropped, a worker die, a socket or the
//! whole directory vanish.
//!
//! | module | what it is for |
//! |---|---|
//! | [`scenario`] | who takes part, on what, and what may happen to them |
//! | [`promises`] | what must hold, and the launcher that comes afterwards |
//! | [`mod@explore`] | the walk, breadth first, and the shortest history to a broken promise |
//!
//! Checked by `gates/tests/transactions.rs`.

pub mod explore;
pub mod promises;
pub mod scenario;

pub use explore::{Broken, Report, explore};
pub use promises::Promise;
pub use scenario::{Act, Adversity, Origin, Scenario, State};
