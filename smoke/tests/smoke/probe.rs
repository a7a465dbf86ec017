//! What a probe says of a socket path, and how a watch waits for a socket that is not there yet.

pub(crate) mod hints;
pub(crate) mod paths;
pub(crate) mod swap;
pub(crate) mod watch;

rekindle_smoke::rooms![paths, swap, watch, hints];
