//! Processes: born, pinned, signalled and reaped.

pub(crate) mod clone;
pub mod orphans;
pub(crate) mod pidfd;
pub(crate) mod signals;
pub(crate) mod tied;
