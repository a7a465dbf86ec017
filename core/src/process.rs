//! Which session, which process exactly, and whether it may be signalled.

pub mod id;
pub mod identity;
pub mod warrant;
