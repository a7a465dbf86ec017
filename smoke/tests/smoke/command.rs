//! The command line: addresses, advice, completions, manual pages, output, secrets, and the cost of a verb.

pub(crate) mod addresses;
pub(crate) mod advice;
pub(crate) mod completions;
pub(crate) mod manual;
pub(crate) mod output;
pub(crate) mod pages;
pub(crate) mod scale;
pub(crate) mod secrets;

rekindle_smoke::rooms![addresses, advice, completions, manual, secrets, output, scale, pages];
