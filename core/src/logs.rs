//! The logs of a worker: their bound, what a cut removes, and the times that are known of their lines.
//!
//! A worker appends to its logs without a pipe, so nothing reads while the worker writes. The commands of rekindle cut the
//! logs in passing, and note in an index how far each log had grown, and when.

pub mod cut;
pub mod index;
pub mod max;

pub use cut::Extent;
pub use index::{LogIndex, Stamp};
pub use max::{InvalidLogMax, LogMax};

use serde::{Deserialize, Serialize};

/// One of the two streams that a worker writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogStream {
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
}

impl LogStream {
    /// Both streams, in the order of their descriptors 1 and 2.
    pub const ALL: [Self; 2] = [Self::Stdout, Self::Stderr];

    /// The stream in one word, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}
