//! The verbs that look, and change nothing.

pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod probe;
pub(crate) mod roots;
pub(crate) mod schema;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod wait;
