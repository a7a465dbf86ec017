//! The command line: addresses, advice, output, schemas, secrets, and the cost of a verb.

pub(crate) mod addresses;
pub(crate) mod advice;
pub(crate) mod output;
pub(crate) mod pages;
pub(crate) mod people;
pub(crate) mod scale;
pub(crate) mod schemas;
pub(crate) mod secrets;

rekindle_smoke::rooms![addresses, advice, secrets, output, schemas, scale, pages];
