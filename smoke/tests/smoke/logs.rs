//! The logs of a worker: read, followed, and cut in passing.

pub(crate) mod cut;
pub(crate) mod follow;
pub(crate) mod read;

rekindle_smoke::rooms![read, follow, cut];
