//! Both sides of the pool protocol, and the lines that it is spoken in.

pub mod call;
pub mod client;
pub mod lines;
pub mod serve;
