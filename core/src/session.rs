//! What is known of a session and of its worker: plan, record, evidence, and the view that a transaction decides by.

pub mod evidence;
pub mod lifeline;
pub mod notify;
pub mod plan;
pub mod readiness;
pub mod record;
pub mod state;
pub mod target;
pub mod view;
