//! Many transactions on one simulated kernel, explored exhaustively: two workers are never alive for one session.
//!
//! The kernel is [`rekindle_core::testing`]. The actors are launchers with their workers, a stop, an `unlock --force`
//! and a collection; each actor is the machine of `core` used in production. Actors take atomic steps in any order. At
//! any instant an actor may be killed, a future dropped, a worker die, a socket or the whole directory vanish.
//!
//! | module | task |
//! |---|---|
//! | [`scenario`] | the actors, the initial state, and the adversities |
//! | [`promises`] | the promises for every state, and the next launcher |
//! | [`mod@explore`] | the walk, breadth first, and the shortest history to a broken promise |
//!
//! Checked by `gates/tests/transactions.rs`.

pub mod explore;
pub mod promises;
pub mod scenario;

pub use explore::{Broken, Report, explore};
pub use promises::Promise;
pub use scenario::{Act, Adversity, Origin, Scenario, State};
