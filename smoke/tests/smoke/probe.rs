//! The verdicts of a probe on a socket path, and the wait of a watch for a missing socket.

pub(crate) mod hints;
pub(crate) mod paths;
pub(crate) mod swap;
pub(crate) mod watch;

rekindle_smoke::rooms![paths, swap, watch, hints];
