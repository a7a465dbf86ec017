//! The command line: addresses, advice, output, text for people, secrets, and the cost of a verb.

pub(crate) mod addresses;
pub(crate) mod advice;
pub(crate) mod output;
pub(crate) mod pages;
pub(crate) mod people;
pub(crate) mod scale;
pub(crate) mod secrets;

rekindle_smoke::rooms![addresses, advice, secrets, output, people, scale, pages];
