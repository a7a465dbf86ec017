//! The command line: addresses, advice, completions, manual pages, output, schemas, secrets, text for people, and the cost of a
//! verb.

pub(crate) mod addresses;
pub(crate) mod advice;
pub(crate) mod completions;
pub(crate) mod manual;
pub(crate) mod output;
pub(crate) mod pages;
pub(crate) mod people;
pub(crate) mod scale;
pub(crate) mod schemas;
pub(crate) mod secrets;

rekindle_smoke::rooms![
    addresses,
    advice,
    completions,
    manual,
    secrets,
    output,
    people,
    schemas,
    scale,
    pages
];
