//! The care of sessions whose launcher or worker is gone: to diagnose, to clear a claim, to forget a worker, to remove a session.

pub mod diagnose;
pub mod forget;
pub mod gc;
pub mod unlock;
