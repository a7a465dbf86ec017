//! Processes: born, pinned, signalled and reaped.

pub(crate) mod clone;
pub(crate) mod lock_trial;
pub mod orphans;
pub(crate) mod pidfd;
pub(crate) mod signals;
pub(crate) mod tied;
