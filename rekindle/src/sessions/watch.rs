//! Watching sessions, and signals to a watched worker.

pub(crate) mod complete;
pub(crate) mod event;
mod events;
pub(crate) mod look;
mod signal;
mod status;
pub(crate) mod wait;
pub(crate) mod words;

pub use events::Events;
pub(crate) use signal::signal;
pub use signal::{Signalled, Whom};
pub(crate) use status::status;
pub use status::{SessionStatus, Standing};
