//! Effects that answer when the test says so.
//!
//! # Invariants
//! 1. Nothing happens by itself: every answer is given by the test, and time passes when the test says so.
//! 2. Everything that is asked, answered or dropped is in one ordered [`Log`].
//! 3. A future that was never polled was never asked, as with every `async` function.
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
