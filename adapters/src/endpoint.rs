//! The address of a worker: sockets are probed, inspected and bound here.

pub mod bound;
pub mod hint;
pub mod port;
pub mod probe;
pub mod socket_file;
pub mod tcp;
