//! One start: its progress, the core's seams, and their assembly.

pub mod deps;
pub(crate) mod place;
pub(crate) mod progress;
pub mod seams;

pub use progress::{FoundWorker, FreshWorker, SpawnOn, Start};
