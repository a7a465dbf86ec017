//! Where a worker answers: sockets that are probed, inspected, bound.

pub mod bound;
pub mod probe;
pub mod socket_file;
