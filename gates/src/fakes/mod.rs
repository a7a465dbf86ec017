//! Fake effects, with answers from the test.
//!
//! # Invariants
//! 1. Nothing happens by itself: the test gives every answer, and time passes only by the test's order.
//! 2. Every call, answer and drop is in one ordered [`Log`].
//! 3. An unpolled future has made no call, as with every `async` function.
//!
//! Checked by `gates/tests/fakes.rs`.

mod log;
mod memory;
mod run;
mod seam;
mod start;
mod stop;

pub use log::{Call, Entry, Log};
pub use memory::{Memory, Named};
pub use run::{POLLS_MAX, Run};
pub use seam::Seam;
pub use start::{Ended, FakeChild, FakeConnection, FakeStart, Step};
pub use stop::FakeStop;
