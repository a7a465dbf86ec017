//! The readiness of a worker: one file for each kind, and the watcher that chooses among the kinds.

pub(crate) mod connect;
pub mod handshake;
mod listen;
pub mod notify;
pub(crate) mod watcher;
