//! The logs of a worker: their names, their index, the cuts in passing, and reading.

pub mod index_file;
pub mod names;
pub mod pass;
pub mod reader;
pub mod watch;
