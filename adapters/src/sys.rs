//! The kernel, and waiting for it.

pub mod backoff;
pub(crate) mod linux;
