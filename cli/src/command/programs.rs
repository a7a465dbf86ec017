//! The verbs that run a program in the foreground.

pub(crate) mod claim;
pub(crate) mod demo;
pub(crate) mod lifecycle;
pub(crate) mod pool;
pub(crate) mod supervise;
pub(crate) mod worker;
