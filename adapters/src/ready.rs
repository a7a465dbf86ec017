//! The readiness of a worker: one file for each kind, and the watcher that chooses among the kinds.

pub(crate) mod connect;
mod exec;
pub mod handshake;
mod http;
pub mod line;
mod listen;
mod notified;
pub mod notify;
mod port;
mod running;
pub(crate) mod watcher;

use crate::start::progress::Start;
use crate::worker::Worker;
use rekindle_core::Endpoint;
use rekindle_core::plan::ForeignListener;
use std::sync::Arc;

/// The start and the endpoint that a watch looks at.
pub(crate) struct Site<'s> {
    pub(crate) start: &'s Start,
    pub(crate) endpoint: &'s Endpoint,
    worker: Option<Arc<Worker>>,
}

impl<'s> Site<'s> {
    pub(crate) fn of(start: &'s Start, endpoint: &'s Endpoint) -> Self {
        Self { start, endpoint, worker: start.worker() }
    }

    /// The worker, for recognising its processes.
    pub(crate) fn worker(&self) -> Option<&Worker> {
        self.worker.as_deref()
    }

    pub(crate) fn foreign(&self) -> ForeignListener {
        self.start.foreign_listener()
    }
}
