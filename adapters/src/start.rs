//! One start: its progress, the core's seams, and their assembly.

pub mod deps;
mod found;
mod fresh;
pub(crate) mod place;
pub(crate) mod progress;
pub mod seams;

pub use found::FoundWorker;
pub use fresh::FreshWorker;
pub use progress::{SpawnOn, Start};
