//! Looking after sessions whose launcher or worker is gone: clearing a claim, forgetting a worker, removing a session.

pub mod forget;
pub mod gc;
pub mod unlock;
