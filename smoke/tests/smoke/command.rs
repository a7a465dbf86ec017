//! The command line: advice, output, secrets, and the cost of a verb.

pub(crate) mod advice;
pub(crate) mod output;
pub(crate) mod pages;
pub(crate) mod scale;
pub(crate) mod secrets;

rekindle_smoke::rooms![advice, secrets, output, scale, pages];
