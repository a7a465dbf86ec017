//! Both sides of the pool protocol, and the lines on the wire.

pub mod call;
pub mod client;
pub mod lines;
pub mod serve;
