//! The verbs that end a worker, and the verbs that clear what is left.

pub(crate) mod down;
pub(crate) mod gc;
pub(crate) mod rm;
pub(crate) mod signal;
pub(crate) mod stop;
pub(crate) mod unlock;
