//! The verbs that install the command: completions and manual pages.

pub(crate) mod completions;
pub(crate) mod man;
