//! The kernel, and waiting for events.

pub mod backoff;
pub(crate) mod linux;
