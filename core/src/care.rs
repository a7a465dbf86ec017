//! The care of sessions whose launcher or worker is gone: to clear a claim, forget a worker, remove a session.

pub mod forget;
pub mod gc;
pub mod unlock;
