//! The worker pool: verbs, workers and limits.

pub(crate) mod patience;
pub(crate) mod verbs;
pub(crate) mod worker;

rekindle_smoke::rooms![worker, verbs, patience];
