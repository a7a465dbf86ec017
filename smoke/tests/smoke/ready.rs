//! The kinds of readiness: handshake, listen, notify.

pub(crate) mod handshake;
pub(crate) mod listen;
pub(crate) mod notify;

rekindle_smoke::rooms![notify, listen, handshake];
