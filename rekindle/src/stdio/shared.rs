//! The state shared by a child's handles, tasks and stop.

use super::launch::Listener;
use super::outcome::StdioStopped;
use rekindle_adapters::stdio::{Departure, InputTap, Orders};
use rekindle_core::lines::Lines;
use rekindle_core::{ChildExit, OsFailure, Pid, WatchError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, watch};

/// The handles of a child. The guardian ends the child once the last handle is dropped.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) orders: Orders,
    pub(super) input: InputTap,
    pub(super) life: watch::Receiver<Life>,
    pub(super) complaints: Arc<Mutex<Lines>>,
    pub(super) stopping: Mutex<Option<Stopping>>,
    pub(super) listener: Listener,
}

/// The state of a child.
#[derive(Debug, Clone, Default)]
pub(super) struct Life {
    /// The child's exit, once ended.
    pub(super) end: Option<ChildExit>,
    /// Whether our part of stderr has been read to the end.
    pub(super) complaints_read: bool,
    /// The departure of the guardian, once no process of the child is left.
    pub(super) departure: Option<Departure>,
}

impl Life {
    pub(super) fn is_gone(&self) -> bool {
        self.departure.is_some()
    }
}

/// A stop in progress, for callers that join.
#[derive(Debug)]
pub(super) struct Stopping {
    pub(super) report: watch::Receiver<Option<StdioStopped>>,
    /// A permit for each further call.
    pub(super) asked_again: Arc<Semaphore>,
}

impl Shared {
    /// The running processes of the child: descendants of the guardian, as long as the guardian lives.
    pub(super) fn survivors(&self) -> Vec<Pid> {
        if self.life.borrow().is_gone() { Vec::new() } else { self.orders.members() }
    }

    /// The running descendants that were left alone, or will be.
    pub(super) fn left(&self) -> Vec<Pid> {
        let departure = self.life.borrow().departure.clone();
        departure.map_or_else(|| self.orders.left(), |departure| departure.left)
    }

    /// A sentence about the facts that are unknown after the loss of a guardian.
    pub(super) fn loss(&self) -> Option<String> {
        let life = self.life.borrow();
        let guardian = life.departure.as_ref()?.guardian;
        (guardian != ChildExit::Code(0)).then(|| {
            "the guardian of the child was killed: descendants with a session of their own may still run"
                .into()
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.input.close();
    }
}

pub(super) fn cut_short() -> WatchError {
    OsFailure::new("watch the child", "the runtime on which it was started was shut down").into()
}

/// A panic in a listener leaves the lines valid.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
