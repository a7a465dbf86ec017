//! The care of sessions whose launcher or worker is gone: to diagnose, to say how a worker ended, to clear a claim, to forget a
//! worker, to remove a session.

pub mod diagnose;
pub mod ending;
pub mod forget;
pub mod gc;
pub mod similar;
pub mod unlock;
