//! When a worker is ready: one file for each kind of readiness, and the watcher that chooses among them.

pub(crate) mod connect;
pub mod handshake;
mod listen;
pub mod notify;
pub(crate) mod watcher;
