//! The order of a start under the claim, and what is written down before the claim goes.

pub mod order;
pub mod settle;
