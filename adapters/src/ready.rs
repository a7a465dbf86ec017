//! When a worker is ready: one file for each kind of readiness that needs more than a connect.

pub mod handshake;
pub mod notify;
pub(crate) mod watcher;
