//! The verbs that start or use a worker.

pub(crate) mod call;
pub(crate) mod init;
pub(crate) mod project;
pub(crate) mod restart;
pub(crate) mod up;
