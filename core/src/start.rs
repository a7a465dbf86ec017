//! One start: its order under the claim, how it is watched, and what is written down before the claim goes.

pub mod execute;
pub mod order;
pub mod resume;
pub mod seams;
pub mod settle;
