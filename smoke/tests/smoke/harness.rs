//! The harnesses in short, and the conformance body of the gates on the production adapters.

pub(crate) mod conformance;
pub(crate) mod samples;

rekindle_smoke::rooms![samples, conformance];
