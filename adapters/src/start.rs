//! One start: its progress, the core's seams around it, and all of them put together.

pub mod deps;
pub(crate) mod progress;
pub mod seams;

pub use progress::{FoundWorker, FreshWorker, SpawnOn, Start};
