//! Text for people: pure functions of the library's types, of the time and of the width.
//!
//! # Invariants
//! 1. Foreign text enters a [`Line`] through an escape, so styles are the only codes that a terminal obeys.
//! 2. A column is aligned by display width, not by the number of characters.
//! 3. No clock, file or terminal: time and width are arguments.
//!
//! Checked by the tests of each file, and by `smoke/tests/smoke/command/people.rs`.

pub(crate) mod ago;
pub(crate) mod ending;
pub(crate) mod line;
pub(crate) mod ls;
pub(crate) mod show;
mod signals;
mod table;

pub(crate) use line::{Line, Page};
