//! The lifecycle lock of a daemon, and the names of its marker.

pub(crate) mod marker;
pub(crate) mod names;

rekindle_smoke::rooms![marker, names];
