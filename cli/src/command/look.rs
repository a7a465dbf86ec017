//! The verbs that look, and change nothing.

pub(crate) mod doctor;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod probe;
pub(crate) mod show;
