//! A start: the order under the claim, the watch, and the writes before the release of the claim.

pub mod execute;
pub mod order;
pub mod resume;
pub mod seams;
pub mod settle;
