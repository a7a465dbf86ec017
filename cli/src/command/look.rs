//! The verbs that look, and change nothing.

pub(crate) mod doctor;
pub(crate) mod ls;
pub(crate) mod probe;
pub(crate) mod roots;
pub(crate) mod show;
