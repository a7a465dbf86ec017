//! The pool protocol on real sockets: the client, and the server of `rekindle worker`.

pub(crate) mod client;
pub(crate) mod server;

rekindle_smoke::rooms![client, server];
