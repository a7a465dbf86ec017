//! The facts about a session and its worker: plan, record, evidence, and the view on which a transaction decides.

pub mod again;
pub mod endpoint;
pub mod events;
pub mod evidence;
pub mod lifeline;
pub mod notify;
pub mod ownership;
pub mod plan;
pub mod readiness;
pub mod record;
pub mod state;
pub mod target;
pub mod view;
pub mod wait;
