//! What the handles of a child, its tasks and its stop share.

use super::launch::Listener;
use super::outcome::StdioStopped;
use rekindle_adapters::stdio::{Departure, InputTap, Orders};
use rekindle_core::lines::Lines;
use rekindle_core::{ChildExit, OsFailure, Pid, WatchError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, watch};

/// What is held of a child. The guardian ends the child once nobody holds it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) orders: Orders,
    pub(super) input: InputTap,
    pub(super) life: watch::Receiver<Life>,
    pub(super) complaints: Arc<Mutex<Lines>>,
    pub(super) stopping: Mutex<Option<Stopping>>,
    pub(super) listener: Listener,
}

/// How far a child's life has come.
#[derive(Debug, Clone, Default)]
pub(super) struct Life {
    /// How it ended, once it has.
    pub(super) end: Option<ChildExit>,
    /// Nothing more is to be read from stderr, as far as that is ours to read.
    pub(super) complaints_read: bool,
    /// No process that belongs to it is left, nor its guardian: how that went.
    pub(super) departure: Option<Departure>,
}

impl Life {
    pub(super) fn is_gone(&self) -> bool {
        self.departure.is_some()
    }
}

/// A stop that has begun, for those who join it.
#[derive(Debug)]
pub(super) struct Stopping {
    pub(super) report: watch::Receiver<Option<StdioStopped>>,
    /// One permit for each time that it was asked for again.
    pub(super) asked_again: Arc<Semaphore>,
}

impl Shared {
    /// The processes of the child that run; the guardian is their ancestor for as long as it is there.
    pub(super) fn survivors(&self) -> Vec<Pid> {
        if self.life.borrow().is_gone() { Vec::new() } else { self.orders.members() }
    }

    /// The running descendants that were left alone, or are about to be.
    pub(super) fn left(&self) -> Vec<Pid> {
        let departure = self.life.borrow().departure.clone();
        departure.map_or_else(|| self.orders.left(), |departure| departure.left)
    }

    /// A sentence about what a lost guardian leaves unknown.
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

/// A panic while lines were listened to says nothing about the lines.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
