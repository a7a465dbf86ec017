//! Several sessions that belong together: in which order they start and end, and which of them are left out.
//!
//! Read [`order`] first, then [`schedule`]. [`root`] names the state root of a project.

pub mod order;
pub mod root;
pub mod schedule;

pub use order::{Order, OrderFault};
pub use schedule::{Direction, Effect, Ended, Phase, Schedule, Summary};
