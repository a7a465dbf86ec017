//! Identifies sessions and processes, and decides which processes may be signalled.

pub mod exit;
pub mod id;
pub mod identity;
pub mod signal;
pub mod stop_signal;
pub mod warrant;
